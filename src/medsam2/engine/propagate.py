"""Through the slices: prompted ones first, then forward, then backward, all objects in lock step."""

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch import Tensor

from medsam2.engine.step import FramePrediction
from medsam2.engine.track import Moment, Track, advance
from medsam2.errors import PromptError
from medsam2.frames import Region
from medsam2.network import ImageFeatures, Sam2Network

FEATURES_KEPT = 8
"""Encoded frames kept at hand: sweeps of objects that were prompted on different slices overlap."""


class Frames(Protocol):
    """Where frames come from, one at a time."""

    @property
    def frame_shape(self) -> tuple[int, int]:
        """Rows and columns of a frame."""

    def __len__(self) -> int:
        """How many there are."""

    def frame(self, t: int) -> Tensor:
        """One frame, (3, S, S), normalised."""

    def through(self, region: Region | None) -> "Frames":
        """The same, looked at through a region."""


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
        region: the part of the slice that the logits show; None: all of it.
    """

    track: int
    frame: int
    logits: Tensor
    confidence: float
    object_score: float
    prompted: bool
    region: Region | None = None

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
    chosen = [tracks[row] for row in rows]
    regions = [_region(encoded, track, moment) for track in chosen]
    with torch.inference_mode():
        found = advance(network, encoded.seen(moment.frame, regions), chosen, moment, present)
    results = []
    for one in found:
        for place, index in enumerate(one.rows):
            prompted = moment.frame in chosen[index].prompts
            result = _result(rows[index], moment.frame, one.prediction, place, prompted, regions[index])
            _look_around(encoded, chosen[index], result)
            results.append(result)
    return sorted(results, key=lambda result: result.track)


def _region(encoded: "EncodedFrames", track: Track, moment: Moment) -> Region | None:
    """Where on a slice to look for an object: where it was prompted, or around where it was just before."""
    if moment.frame in track.prompts:
        return track.prompts[moment.frame].region
    if not encoded.network.config.focus:
        return None
    return track.regions.get(moment.frame - moment.direction, Region.whole(encoded.frames.frame_shape))


def _look_around(encoded: "EncodedFrames", track: Track, result: SliceResult) -> None:
    """Note where to look for an object on the next slice; where it was not found, at the same place once more."""
    if result.region is None:
        return
    extent = result.region.extent(result.logits > 0)
    shape, focus = encoded.frames.frame_shape, encoded.network.config.focus
    track.regions[result.frame] = Region.around(extent, focus, shape) if extent else result.region


def _result(
    track: int, frame: int, found: FramePrediction, place: int, prompted: bool, region: Region | None
) -> SliceResult:
    present = bool(found.present[place])
    return SliceResult(
        track=track,
        frame=frame,
        logits=found.logits[place].float().cpu(),
        confidence=float(found.iou[place]) if present else 0.0,
        object_score=float(found.object_score[place]),
        prompted=prompted,
        region=region,
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
        self._kept: OrderedDict[tuple[int, Region | None], ImageFeatures] = OrderedDict()

    def __getitem__(self, frame: int) -> ImageFeatures:
        """The features of one whole frame (F = 1)."""
        return self.seen(frame, [None])

    def seen(self, frame: int, regions: Sequence[Region | None]) -> ImageFeatures:
        """The features of what is seen of a frame through each region; F = 1 if they are all the same."""
        distinct = list(dict.fromkeys(regions))
        self._encode(frame, [region for region in distinct if (frame, region) not in self._kept])
        features = ImageFeatures.join([self._kept[frame, region] for region in distinct])
        self._forget(frame, distinct)
        if len(distinct) == 1:
            return features
        return features.take(torch.tensor([distinct.index(region) for region in regions], device=self.network.device))

    def _encode(self, frame: int, regions: list[Region | None]) -> None:
        """Encode a frame through regions, all at once."""
        if not regions:
            return
        images = [self._looking_at(region).frame(frame) for region in regions]
        with torch.inference_mode():
            features = self.network.encode_image(torch.stack(images).to(self.network.device))
        for index, region in enumerate(regions):
            one = features.take(slice(index, index + 1))
            if region is not None:
                shares = torch.tensor([region.shares(self.frames.frame_shape)], device=self.network.device)
                one = replace(one, regions=shares)
            self._kept[frame, region] = one

    def _looking_at(self, region: Region | None) -> Frames:
        return self.frames if region is None else self.frames.through(region)

    def _forget(self, frame: int, regions: list[Region | None]) -> None:
        """Let go of what has not been asked for the longest."""
        for region in regions:
            self._kept.move_to_end((frame, region))
        while len(self._kept) > max(FEATURES_KEPT, len(regions)):
            self._kept.popitem(last=False)
