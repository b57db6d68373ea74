"""Through the slices: prompted ones first, then forward, then backward, all objects in lock step."""

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from medsam2.engine.step import FramePrediction
from medsam2.engine.track import Moment, Track, advance
from medsam2.errors import PromptError
from medsam2.network import ImageFeatures, Sam2Network

FEATURES_KEPT = 8
"""Encoded frames kept at hand: sweeps of objects that were prompted on different slices overlap."""


class Frames(Protocol):
    """Where frames come from, one at a time."""

    def __len__(self) -> int:
        """How many there are."""

    def frame(self, t: int) -> Tensor:
        """One frame, (3, S, S), normalised."""


@dataclass(frozen=True)
class SliceResult:
    """What was found of one object on one slice.

    Attributes:
        track: index of the object.
        frame: index of the slice.
        logits: (4h, 4w) float32 mask logits; nothing is above 0 where the object is absent.
        confidence: estimated intersection over union, [0, 1]; 0 where the object is absent.
        object_score: logit; positive where the network sees the object.
        prompted: the slice was prompted for this object.
    """

    track: int
    frame: int
    logits: Tensor
    confidence: float
    object_score: float
    prompted: bool

    @property
    def is_empty(self) -> bool:
        """Nothing of the object is on the slice."""
        return not bool((self.logits > 0).any())


@dataclass(frozen=True)
class Sweep:
    """A pass over slices in one direction.

    Attributes:
        frames: indices in the order of the pass.
        direction: +1 or -1.
    """

    frames: range
    direction: int


def propagate(
    network: Sam2Network,
    frames: Frames,
    tracks: Sequence[Track],
    patience: int | None = None,
    trust_prompts: bool = False,
) -> Iterator[list[SliceResult]]:
    """Segment the prompted slices, then all others, outward from them.

    Each object goes forward from its first prompted slice to the end, then backward from there to the beginning, as in
    SAM 2's predictor; objects that are on the same slice share its features. Stop by closing the iterator.

    Args:
        network: in evaluation mode.
        frames: the slices.
        tracks: objects with at least one prompt; their banks are filled.
        patience: a direction ends for an object after this many slices in a row without it, unless a prompted
            slice lies ahead; None never ends one.
        trust_prompts: an object is on the slices where it was prompted, whatever the network's object score says
            (SAM 2 believes the score).

    Yields:
        The results of one slice at a time; a slice may come up again for other objects.

    Raises:
        PromptError: an object has no prompt, or one outside the slices.
    """
    _check(frames, tracks)
    encoded = EncodedFrames(network, frames)
    for frame in sorted({frame for track in tracks for frame in track.prompts}):
        rows = [row for row, track in enumerate(tracks) if frame in track.prompts]
        present = torch.ones(len(rows), dtype=torch.bool, device=network.device) if trust_prompts else None
        yield _visit(network, encoded, tracks, rows, Moment(frame, 1, len(frames)), present)
    for sweep in sweeps([min(track.prompts) for track in tracks], len(frames)):
        yield from _sweep(network, encoded, tracks, sweep, patience)


def sweeps(starts: Sequence[int], frame_count: int) -> tuple[Sweep, Sweep]:
    """The forward and the backward pass that together reach every slice from each object's first prompted one."""
    return Sweep(range(min(starts) + 1, frame_count), 1), Sweep(range(max(starts) - 1, -1, -1), -1)


def _sweep(
    network: Sam2Network, encoded: "EncodedFrames", tracks: Sequence[Track], sweep: Sweep, patience: int | None
) -> Iterator[list[SliceResult]]:
    missing = [0] * len(tracks)
    for frame in sweep.frames:
        rows = []
        for row, track in enumerate(tracks):
            if frame in track.prompts:
                missing[row] = 0
            elif _is_on_its_way(track, frame, sweep.direction, missing[row], patience):
                rows.append(row)
        if not rows and _is_over(tracks, missing, patience, frame, sweep.direction):
            return
        if rows:
            results = _visit(network, encoded, tracks, rows, Moment(frame, sweep.direction, len(encoded.frames)))
            for result in results:
                missing[result.track] = missing[result.track] + 1 if result.is_empty else 0
            yield results


def _is_on_its_way(track: Track, frame: int, direction: int, missing: int, patience: int | None) -> bool:
    """Whether the sweep has reached the object's first prompt, and the object is not given up."""
    started = (frame - min(track.prompts)) * direction > 0
    return started and not _is_gone(track, frame, direction, missing, patience)


def _is_gone(track: Track, frame: int, direction: int, missing: int, patience: int | None) -> bool:
    prompt_ahead = any((other - frame) * direction > 0 for other in track.prompts)
    return patience is not None and missing >= patience and not prompt_ahead


def _is_over(tracks: Sequence[Track], missing: list[int], patience: int | None, frame: int, direction: int) -> bool:
    """Whether no object can come up again in this direction."""
    waiting = any((min(track.prompts) - frame) * direction >= 0 for track in tracks)
    gone = all(_is_gone(track, frame, direction, missing[row], patience) for row, track in enumerate(tracks))
    return gone and not waiting


def _visit(
    network: Sam2Network,
    encoded: "EncodedFrames",
    tracks: Sequence[Track],
    rows: list[int],
    moment: Moment,
    present: Tensor | None = None,
) -> list[SliceResult]:
    """Take some of the tracks to a slice."""
    with torch.inference_mode():
        found = advance(network, encoded[moment.frame], [tracks[row] for row in rows], moment, present)
    results = []
    for one in found:
        for place, index in enumerate(one.rows):
            prompted = moment.frame in tracks[rows[index]].prompts
            results.append(_result(rows[index], moment.frame, one.prediction, place, prompted))
    return sorted(results, key=lambda result: result.track)


def _result(track: int, frame: int, found: FramePrediction, place: int, prompted: bool) -> SliceResult:
    present = bool(found.present[place])
    return SliceResult(
        track=track,
        frame=frame,
        logits=found.logits[place].float().cpu(),
        confidence=float(found.iou[place]) if present else 0.0,
        object_score=float(found.object_score[place]),
        prompted=prompted,
    )


def _check(frames: Frames, tracks: Sequence[Track]) -> None:
    for row, track in enumerate(tracks):
        if not track.prompts:
            raise PromptError(f"object {row + 1} has no prompt; prompt it on at least one slice")
        outside = [frame for frame in track.prompts if not 0 <= frame < len(frames)]
        if outside:
            raise PromptError(f"object {row + 1} is prompted on slice {outside[0]}; there are 0..{len(frames) - 1}")


class EncodedFrames:
    """Features of frames, encoded when asked for; the last few are kept.

    Args:
        network: encodes them.
        frames: where they come from.
    """

    def __init__(self, network: Sam2Network, frames: Frames) -> None:
        self.network, self.frames = network, frames
        self._kept: OrderedDict[int, ImageFeatures] = OrderedDict()

    def __getitem__(self, frame: int) -> ImageFeatures:
        """The features of one frame (F = 1)."""
        if frame not in self._kept:
            with torch.inference_mode():
                image = self.frames.frame(frame)[None].to(self.network.device)
                self._kept[frame] = self.network.encode_image(image)
        self._kept.move_to_end(frame)
        while len(self._kept) > FEATURES_KEPT:
            self._kept.popitem(last=False)
        return self._kept[frame]
