"""Prompts from what was drawn on a scan before: outlines, measured diameters, arrows.

A measured line says where an object is longest (RECIST 1.1, Eisenhauer et al. 2009, takes the longest diameter in the
plane), and a second one across it how wide it is. The prompt is the box around the ellipse that has them as its axes.
Of a line alone the width is not known; it is taken as `ASSUMED_WIDTH` of the length. The middle of a line is no prompt,
as that of a bent object lies outside.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import count

import numpy as np

from medsam2.errors import PromptError
from medsam2.prompts.prompt_types import BoxPrompt, MaskArray, MaskPrompt, ObjectPrompts, PointPrompt, nearest_voxel
from medsam2.spatial import FloatArray, Geometry
from medsam2.spatial.segmentation import MAXIMUM_LABEL

ASSUMED_WIDTH = 0.75
"""Short over long diameter of an object of which the long one alone was measured: lesions are rounder than long."""

AXES_ACROSS = (2, 1, 0)
"""The voxel axis along which a drawing is flat is looked for in this order: slices of the file come first."""


def annotated_object(
    name: str,
    label: int,
    geometry: Geometry,
    mask: MaskArray | None = None,
    diameters: Sequence[FloatArray] = (),
    points: Iterable[FloatArray] = (),
) -> ObjectPrompts:
    """Make the prompts of one annotated object.

    Args:
        name: Of the object.
        label: Of the object.
        geometry: The grid of the scan.
        mask: (D, H, W), what was outlined; where there is one, it says all and the rest is left out.
        diameters: Lines, each (2, 3) as voxel indices of both ends. Those of one slice make one box.
        points: Places inside the object, each (3,) as voxel indices.

    Raises:
        PromptError: A line has no length, lies in no slice or outside the scan, or nothing is prompted.
    """
    if mask is not None:
        return ObjectPrompts(name, label, masks=(MaskPrompt(mask),))
    clicks = tuple(PointPrompt(*point.tolist()) for point in points)
    boxes = tuple(_box(name, lines, axis, geometry) for axis, lines in _by_slice(name, diameters))
    return ObjectPrompts(name, label, clicks, boxes)


def apart(names: Iterable[str], numbers: Iterable[int | None]) -> list[tuple[str, int]]:
    """Give objects names and labels that differ, close to those of a file, in which they may repeat or be missing.

    Args:
        names: Of the objects; "" if one has none.
        numbers: Of the objects; None if one has none, and as many as there are names.

    Example:
        >>> apart(["cyst", "", "cyst"], [2, None, 2])
        [('cyst', 2), ('object 1', 1), ('cyst 2', 3)]
    """
    given: list[tuple[str, int]] = []
    for name, number in zip(names, numbers, strict=True):
        known_names, known_labels = {name for name, _ in given}, {label for _, label in given}
        is_free = number is not None and 1 <= number <= MAXIMUM_LABEL and number not in known_labels
        label = number if is_free and number is not None else next(n for n in count(1) if n not in known_labels)
        title = " ".join(name.split()) or f"object {label}"
        more = (f"{title} {n}" for n in count(2))
        given.append((title if title not in known_names else next(n for n in more if n not in known_names), label))
    return given


def _by_slice(name: str, diameters: Sequence[FloatArray]) -> list[tuple[int, list[FloatArray]]]:
    """Group lines by the slice that they lie in: the voxel axis across it, and its lines."""
    groups: dict[tuple[int, int], list[FloatArray]] = {}
    for line in diameters:
        ends = [nearest_voxel(end) for end in line.tolist()]
        axis = next((axis for axis in AXES_ACROSS if ends[0][axis] == ends[1][axis]), None)
        if axis is None:
            raise PromptError(
                f"object {name!r}: a measured line leads from voxel {ends[0]} to {ends[1]}, across the slices; "
                "expected both ends in one slice."
            )
        groups.setdefault((axis, ends[0][axis]), []).append(line)
    return [(axis, lines) for (axis, _), lines in groups.items()]


def _box(name: str, lines: Sequence[FloatArray], axis: int, geometry: Geometry) -> BoxPrompt:
    """Lay a box around the ellipse of one or two lines, and around all their ends, cut off at the scan's edges."""
    spacing = np.array(geometry.spacing_mm)
    ordered = sorted(lines, key=lambda line: float(np.linalg.norm((line[1] - line[0]) * spacing)), reverse=True)
    half_length = (ordered[0][1] - ordered[0][0]) / 2
    if not np.any(np.abs(half_length) > 0):
        raise PromptError(f"object {name!r}: a measured line has no length; expected two different ends.")
    half_width = (ordered[1][1] - ordered[1][0]) / 2 if len(ordered) > 1 else _across(half_length, axis, spacing)
    reach = np.sqrt(half_length**2 + half_width**2)
    middle = ordered[0].mean(axis=0)
    places = np.vstack([*ordered, middle - reach, middle + reach])
    lower, upper = places.min(axis=0), places.max(axis=0)
    lower[axis] = upper[axis] = round(float(middle[axis]))
    last = np.array(geometry.size_ijk) - 1
    if (upper < -0.5).any() or (lower > last + 0.5).any():
        raise PromptError(f"object {name!r}: a measured line lies outside the scan; is it of another one?")
    corners = (nearest_voxel(corner.clip(0, last).tolist()) for corner in (lower, upper))
    return BoxPrompt(*(float(number) for corner in corners for number in corner))


def _across(half_length: FloatArray, axis: int, spacing: FloatArray) -> FloatArray:
    """Give half of the width of a line alone: at right angles to it in its slice, in voxels."""
    row, column = (other for other in range(3) if other != axis)
    length_mm = half_length * spacing
    width_mm = np.zeros(3)
    width_mm[row], width_mm[column] = -length_mm[column], length_mm[row]
    half_width: FloatArray = width_mm * ASSUMED_WIDTH / spacing
    return half_width
