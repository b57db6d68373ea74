"""Objects on their way through a video, and how all of them take one step together."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from medsam2.engine.step import DRAWN_LOGIT, FramePrediction, step, step_with_mask
from medsam2.frames import Region
from medsam2.frames.resizing import move_logits
from medsam2.memory import MemoryBank, MemoryQuery
from medsam2.memory.bank import PROMPTED_RECENCY
from medsam2.network import FramePrompt, ImageFeatures, MemorySelection, Sam2Network, SeenMask, likeness
from medsam2.network.outputs import PointKind

CELLS_AT_ONCE = 4096
"""Cells of the stride-16 grid that a batch has on a CPU, all objects together. With more, the system gives and takes
back memory for ever larger tensors: a quarter of the time at 512 pixels with eight objects (docs/performance.md)."""


@dataclass(frozen=True)
class NetworkPrompt:
    """The prompts of one object on one frame, in network pixels.

    Attributes:
        points: (N, 2) float, x and y.
        kinds: (N,) int64 of `PointKind`.
        drawn: (1, S, S) a mask that the user drew, which is then the result; no points beside it. bool, as it is
            held through the run; in training floats, which may be soft at the border.
        previous: (1, S / 4, S / 4) logits of an earlier answer that the points correct.
        remembers: the frame attends to memories: it was reached by propagation before it was prompted.
        region: the part of the frame whose pixels these are; None: the whole frame.
    """

    points: Tensor
    kinds: Tensor
    drawn: Tensor | None = None
    previous: Tensor | None = None
    remembers: bool = False
    region: Region | None = None

    @classmethod
    def from_mask(cls, drawn: Tensor) -> "NetworkPrompt":
        """A drawn mask (1, S, S)."""
        nothing = FramePrompt.none(1, drawn.device)
        return cls(nothing.points[0], nothing.kinds[0], drawn=drawn)


@dataclass
class Track:
    """One object: what the user said of it, and what is remembered of it. Only this and its bank ever change.

    Attributes:
        bank: its memory.
        prompts: by frame.
        regions: by frame, where to look for it on the next one, for a network that focuses.
    """

    bank: MemoryBank
    prompts: dict[int, NetworkPrompt] = field(default_factory=dict)
    regions: dict[int, Region] = field(default_factory=dict)


@dataclass(frozen=True)
class Moment:
    """A place in the video and the direction of travel.

    Attributes:
        frame: index.
        direction: +1 or -1.
        frame_count: frames of the whole video.
    """

    frame: int
    direction: int
    frame_count: int


@dataclass(frozen=True)
class Advance:
    """What one step found for some of the tracks.

    Attributes:
        rows: indices of the tracks.
        prediction: of these tracks, in this order.
        likeness: (rows, 1, 4h, 4w) logits, the first drawing of what looks like each object; None where none was made.
    """

    rows: list[int]
    prediction: FramePrediction
    likeness: Tensor | None = None


def advance(
    network: Sam2Network,
    features: ImageFeatures,
    tracks: Sequence[Track],
    moment: Moment,
    present: Tensor | None = None,
) -> list[Advance]:
    """Take all tracks one frame further, in as few batches as their prompts and memories allow.

    Args:
        network: see `step`.
        features: of one frame that all tracks share, or of one frame a track.
        tracks: their banks are added to.
        moment: where.
        present: (tracks,) bool where it is known (in training, or from the user); else the network decides.
    """
    batches: dict[tuple[object, ...], list[int]] = defaultdict(list)
    selections = [_selection(track, features, row, moment) for row, track in enumerate(tracks)]
    for row, track in enumerate(tracks):
        batches[_batch_key(track.prompts.get(moment.frame), selections[row])].append(row)
    return [
        _advance_batch(network, features, tracks, selections, part, moment, present)
        for rows in batches.values()
        for part in _parts(rows, features)
    ]


def _parts(rows: list[int], features: ImageFeatures) -> list[list[int]]:
    """The objects of a batch, as many at a time as the device gains from."""
    if features.stride16.device.type != "cpu":
        return [rows]
    height, width = features.stride16.shape[-2:]
    count = max(CELLS_AT_ONCE // (height * width), 1)
    return [rows[start : start + count] for start in range(0, len(rows), count)]


def _selection(track: Track, features: ImageFeatures, row: int, moment: Moment) -> MemorySelection | None:
    """The memories a track attends to; none where the prompt comes first."""
    prompt = track.prompts.get(moment.frame)
    if prompt is not None and not prompt.remembers:
        return None
    image = features.stride16 if len(features) == 1 else features.stride16[row : row + 1]
    return track.bank.select(MemoryQuery(moment.frame, moment.direction, moment.frame_count, image))


def _batch_key(prompt: NetworkPrompt | None, selection: MemorySelection | None) -> tuple[object, ...]:
    """Tracks of one key can be computed as one batch."""
    layout = selection and selection.layout
    if prompt is None:
        return layout, None
    return layout, len(prompt.points), prompt.drawn is None, prompt.previous is None


def _advance_batch(
    network: Sam2Network,
    features: ImageFeatures,
    tracks: Sequence[Track],
    selections: Sequence[MemorySelection | None],
    rows: list[int],
    moment: Moment,
    present: Tensor | None,
) -> Advance:
    own = features if len(features) == 1 else features.take(torch.tensor(rows, device=features.stride16.device))
    prompts = [tracks[row].prompts.get(moment.frame) for row in rows]
    memory = [one for row in rows if (one := selections[row]) is not None] or None
    known = None if present is None else present[rows]
    drawn = [one.drawn for one in prompts if one is not None and one.drawn is not None]
    alike = None
    if drawn:
        found, entry = step_with_mask(network, own, torch.stack(drawn), moment.frame, known)
    else:
        prompt = _stack([one for one in prompts if one is not None], memory, rows, own)
        if memory and network.config.likeness and prompt.mask is None and not any(prompts):
            alike = _looks_like(own, memory)
            prompt = replace(prompt, mask=alike)
        found, entry = step(network, own, prompt, memory, moment.frame, known)
    for index, row in enumerate(rows):
        bank = tracks[row].bank
        remember = bank.add if prompts[index] is None else bank.add_prompted
        remember(entry.of_object(index))
    return Advance(rows, found, alike)


def _stack(
    prompts: list[NetworkPrompt], memory: list[MemorySelection] | None, rows: list[int], features: ImageFeatures
) -> FramePrompt:
    """The prompts of a batch as one. What was not prompted starts from the masks just before, if there are any."""
    if not prompts:
        before = [one.before for one in memory or () if one.before is not None]
        nothing = FramePrompt.none(len(rows), features.stride16.device)
        return replace(nothing, mask=_seen_from(before, features.regions) if before else None)
    previous = [one.previous for one in prompts if one.previous is not None]
    return FramePrompt(
        torch.stack([one.points for one in prompts]),
        torch.stack([one.kinds for one in prompts]),
        torch.stack(previous) if previous else None,
    )


def _seen_from(masks: Sequence[SeenMask], regions: Tensor | None) -> Tensor:
    """Masks as they lie in the parts of the frame that are looked at now (B, 4): logits (B, 1, 4h, 4w)."""
    logits = torch.cat([one.logits for one in masks])
    then = [one.regions for one in masks if one.regions is not None]
    if regions is None or len(then) < len(masks):
        return logits
    return move_logits(logits, torch.cat(then), regions, outside=-DRAWN_LOGIT)


def _looks_like(features: ImageFeatures, memory: Sequence[MemorySelection]) -> Tensor:
    """Where a frame, shared or one an object, looks like what each object's memories show: (B, 1, 4h, 4w).

    Prompted frames alone are believed, where there are any: fitted to found masks too, mistakes become examples.
    """
    drawn = []
    for index, selection in enumerate(memory):
        own = features if len(features) == 1 else features.take(slice(index, index + 1))
        ranked = zip(selection.entries, selection.recency, strict=True)
        prompted = [entry for entry, recency in ranked if recency == PROMPTED_RECENCY]
        drawn.append(likeness(own, prompted or selection.entries))
    return torch.cat(drawn)


def pad_points(prompt: NetworkPrompt, count: int) -> NetworkPrompt:
    """The same prompt with padding points up to `count`, so that prompts of different length make one batch."""
    missing = count - len(prompt.points)
    points = torch.cat((prompt.points, prompt.points.new_zeros(missing, 2)))
    kinds = torch.cat((prompt.kinds, prompt.kinds.new_full((missing,), PointKind.PADDING)))
    return replace(prompt, points=points, kinds=kinds)
