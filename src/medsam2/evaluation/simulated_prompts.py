"""Prompts as a user would give them, made from the truth of one slice: all that a segmenter may learn of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum

import numpy as np

from medsam2.datasets.cases import Case
from medsam2.prompts import (
    BoxPrompt,
    FrameBox,
    FramePoint,
    MaskPrompt,
    ObjectPrompts,
    PointPrompt,
    PromptSet,
    SlicePrompt,
)
from medsam2.prompts.prompt_types import MaskArray
from medsam2.prompts.simulation import box_around, first_click
from medsam2.spatial import PlaneView


class PromptKind(StrEnum):
    """What is prompted on the one slice."""

    BOX = "box"
    CLICK = "click"
    MASK = "mask"


def slice_prompt(kind: PromptKind, truth: MaskArray) -> SlicePrompt:
    """The prompt of a structure on one slice.

    Args:
        kind: the tight box, the click farthest from the edge, or the mask itself.
        truth: (R, C) bool, the reference on this slice, not empty.
    """
    if kind is PromptKind.BOX:
        return SlicePrompt(box=box_around(truth))
    if kind is PromptKind.CLICK:
        return SlicePrompt(points=(first_click(truth),))
    return SlicePrompt(mask=truth)


def volume_prompts(case: Case, labels: Iterable[int], kind: PromptKind) -> PromptSet:
    """One prompt on one slice for each structure, in the volume's voxel indices.

    Nothing is read of the reference but on which slice the structure is largest, and its mask there.
    """
    return prompts_on(case, {label: (case.prompted_frames[label],) for label in labels}, kind)


def prompts_on(case: Case, frames: Mapping[int, Iterable[int]], kind: PromptKind) -> PromptSet:
    """A prompt on each of some slices for each structure, in the volume's voxel indices.

    Args:
        case: of whose reference the masks on these slices are read, and nothing else.
        frames: by label, those that are prompted; the structure is on all of them.
        kind: of the prompts.
    """
    objects = []
    for label, some in frames.items():
        prompts = {frame: slice_prompt(kind, case.truth_on(frame, label)) for frame in some}
        name = f"{case.names[label]} ({label})"  # two structures may share a name, two prompted objects may not
        objects.append(in_volume(prompts, case.view, name, label))
    return PromptSet(tuple(objects))


def in_volume(prompts: Mapping[int, SlicePrompt], view: PlaneView, name: str, label: int) -> ObjectPrompts:
    """The prompts of an object on some slices, by frame, in voxel indices."""
    drawn = {frame: prompt.mask for frame, prompt in prompts.items() if prompt.mask is not None}
    return ObjectPrompts(
        name,
        label,
        points=tuple(_point(point, frame, view) for frame, prompt in prompts.items() for point in prompt.points),
        boxes=tuple(_box(prompt.box, frame, view) for frame, prompt in prompts.items() if prompt.box is not None),
        masks=(MaskPrompt(_stacked(drawn, view)),) if drawn else (),
    )


def _point(point: FramePoint, frame: int, view: PlaneView) -> PointPrompt:
    i, j, k = view.to_index([(frame, point.x, point.y)])[0].tolist()
    return PointPrompt(i, j, k, point.positive)


def _box(box: FrameBox, frame: int, view: PlaneView) -> BoxPrompt:
    first, last = view.to_index([(frame, box.x0, box.y0), (frame, box.x1, box.y1)]).tolist()
    return BoxPrompt(*first, *last)


def _stacked(masks: Mapping[int, MaskArray], view: PlaneView) -> MaskArray:
    """Masks of some frames as voxels of the volume, (D, H, W)."""
    frames = np.zeros((view.frame_count, *view.frame_shape), bool)
    for frame, mask in masks.items():
        frames[frame] = mask
    return view.from_frames(frames)
