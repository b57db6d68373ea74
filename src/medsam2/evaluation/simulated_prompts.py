"""Prompts as a user would give them, made from the truth of one slice: all that a segmenter may learn of it."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

import numpy as np

from medsam2.datasets.cases import Case
from medsam2.prompts import BoxPrompt, MaskPrompt, ObjectPrompts, PointPrompt, PromptSet, SlicePrompt
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
    objects = []
    for label in labels:
        frame = case.prompted_frames[label]
        prompt = slice_prompt(kind, case.truth_on(frame, label))
        name = f"{case.names[label]} ({label})"  # two structures may share a name, two prompted objects may not
        objects.append(_in_volume(prompt, frame, case.view, name, label))
    return PromptSet(tuple(objects))


def _in_volume(prompt: SlicePrompt, frame: int, view: PlaneView, name: str, label: int) -> ObjectPrompts:
    if prompt.box is not None:
        box = prompt.box
        first, last = view.to_index([(frame, box.x0, box.y0), (frame, box.x1, box.y1)]).tolist()
        return ObjectPrompts(name, label, boxes=(BoxPrompt(*first, *last),))
    if prompt.mask is not None:
        drawn = np.zeros((view.frame_count, *view.frame_shape), bool)
        drawn[frame] = prompt.mask
        return ObjectPrompts(name, label, masks=(MaskPrompt(view.from_frames(drawn)),))
    places = view.to_index([(frame, point.x, point.y) for point in prompt.points]).tolist()
    return ObjectPrompts(name, label, points=tuple(PointPrompt(*place) for place in places))
