"""Dividing the frames of a DICOM series into stacks, each of which is one volume: nothing is ever mixed.

Frames of another size, colour or orientation, or with another echo, time point, b-value, image type or stack, are
another volume. What then lies at the same place is divided by a further attribute, if one tells it apart in regular
grids. A frame without a position is a volume with the frames of its own file only.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np

from medsam2.io.dicom_frames import DicomFrame
from medsam2.io.dicom_geometry import SAME_PLACE_MM, fault, in_order, is_placed, nearest_plane, places
from medsam2.io.dicom_header import ALWAYS_DIVIDING, SOMETIMES_DIVIDING, TIMES_OF_DAY
from medsam2.io.dicom_series import shown

ORIENTATION_TOLERANCE = 1e-3
"""Cosines that differ by less are of the same orientation: half a voxel over 500 voxels."""

LOCALISER_WORDS = ("LOCALIZER", "LOCALISER", "SCOUT", "TOPOGRAM", "SURVEY")
"""Image types of the overview pictures from which a scan is planned."""


@dataclass(frozen=True, eq=False)
class Stack:
    """Frames that make one volume.

    Attributes:
        frames: The slices in order.
        marks: What tells this stack from the others of its series: ("EchoTime 4.6", ...).
    """

    frames: tuple[DicomFrame, ...]
    marks: tuple[str, ...] = ()

    @property
    def is_localiser(self) -> bool:
        """Whether it is an overview picture."""
        return is_localiser(self.frames[0])

    def describe(self) -> str:
        """Give number, plane, size and marks of the slices, for messages."""
        layout = self.frames[0].layout
        slices = "slice" if len(self.frames) == 1 else "slices"
        kind = ["localiser"] if self.is_localiser else []
        words = f"{len(self.frames)} {nearest_plane(self.frames[0])} {slices} of {layout.columns} x {layout.rows}"
        return ", ".join([" ".join(words.split()), *kind, *self.marks])


def is_localiser(frame: DicomFrame) -> bool:
    """Tell by its image type whether a frame is an overview picture."""
    said = f"{frame.tags.get('ImageType', '')} {frame.tags.get('FrameType', '')}".upper()
    return any(word in said for word in LOCALISER_WORDS)


def without_duplicates(frames: Sequence[DicomFrame]) -> tuple[list[DicomFrame], list[str]]:
    """Leave out files that repeat an instance: the same UID, place and kind of picture.

    Returns:
        The frames that stay, and what is to be said of the others.
    """
    kept: dict[Hashable, DicomFrame] = {}
    for frame in frames:
        kept.setdefault((frame.uid, frame.number, _place(frame), frame.layout, *frame.tags.items()), frame)
    dropped = len(frames) - len(kept)
    told = f"{dropped} {'slice is' if dropped == 1 else 'slices are'} there twice and read once."
    return list(kept.values()), [told] if dropped else []


def _place(frame: DicomFrame) -> Hashable:
    if frame.position is None or frame.orientation is None:
        return None
    return (*frame.position.tolist(), *frame.orientation.tolist())


def divide(frames: Sequence[DicomFrame]) -> list[Stack]:
    """Divide the frames of one series into stacks, in the order in which they are numbered."""
    groups = [group for part in _by_orientation(frames) for group in _grouped(part, _always).values()]
    stacks = [stack for group in groups for stack in _untangled(in_order(group))]
    stacks.sort(key=lambda stack: min((frame.instance_number, frame.number or 0) for frame in stack.frames))
    heads = [stack.frames[0].tags for stack in stacks]
    differing = [name for name in ALWAYS_DIVIDING if len({tags.get(name) for tags in heads}) > 1]
    return [replace(stack, marks=(*_marks(stack, differing), *stack.marks)) for stack in stacks]


def _always(frame: DicomFrame) -> Hashable:
    layout = frame.layout
    file = None if frame.position is not None else frame.path
    return file, layout.rows, layout.columns, layout.is_colour, *(frame.tags.get(name) for name in ALWAYS_DIVIDING)


def _by_orientation(frames: Iterable[DicomFrame]) -> list[list[DicomFrame]]:
    groups: list[list[DicomFrame]] = []
    for frame in frames:
        for group in groups:
            if _parallel(group[0], frame):
                group.append(frame)
                break
        else:
            groups.append([frame])
    return groups


def _parallel(one: DicomFrame, other: DicomFrame) -> bool:
    if one.orientation is None or other.orientation is None:
        return one.orientation is other.orientation
    return bool(np.abs(one.orientation - other.orientation).max() < ORIENTATION_TOLERANCE)


def _grouped(frames: Iterable[DicomFrame], key: Any) -> dict[Hashable, list[DicomFrame]]:
    groups: dict[Hashable, list[DicomFrame]] = {}
    for frame in frames:
        groups.setdefault(key(frame), []).append(frame)
    return groups


def _untangled(frames: tuple[DicomFrame, ...]) -> list[Stack]:
    """Divide frames at the same places by the first attribute that leaves regular grids, if there is one."""
    if not is_placed(frames) or not fault(frames):
        return [Stack(frames)]
    for name in SOMETIMES_DIVIDING:
        parts = _grouped(frames, lambda frame, name=name: frame.tags.get(name))
        ordered = {value: in_order(part) for value, part in parts.items()}
        if len(parts) > 1 and _overlap(ordered.values()) and not any(map(fault, ordered.values())):
            hidden = name in TIMES_OF_DAY
            words = [f"number {n}" if hidden else shown(str(value)) for n, value in enumerate(ordered, start=1)]
            return [Stack(part, (f"{name} {word}",)) for part, word in zip(ordered.values(), words, strict=True)]
    return [Stack(frames)]


def _overlap(parts: Iterable[tuple[DicomFrame, ...]]) -> bool:
    """Tell whether each part lies, in space, on a part before it, and is no continuation: a table moved on in steps."""
    spans = sorted((along.min(), along.max()) for along in map(places, parts))
    return all(after[0] < before[1] + SAME_PLACE_MM for before, after in pairwise(spans))


def _marks(stack: Stack, names: Iterable[str]) -> tuple[str, ...]:
    """Give the values of those attributes in which the stacks of a series differ."""
    values = ((name, stack.frames[0].tags.get(name)) for name in names)
    return tuple(f"{name} {'not said' if value is None else shown(value)}" for name, value in values)
