"""Rows of numbers, in voxel indices or in patient millimetres, to points and boxes.

Both the text and the JSON form of prompts are read here, so that they mean the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

import numpy as np

from medsam2.errors import PromptError
from medsam2.prompts.prompt_types import BoxPrompt, PointPrompt, format_index, format_ranges, nearest_voxel
from medsam2.spatial import FloatArray, Geometry

LPS_OF_RAS = np.array([-1.0, -1.0, 1.0])
"""RAS and LPS differ in the direction of the first two axes, and in nothing else."""

FLAT_WITHIN_VOXELS = 1.0
"""A box given in mm is taken as flat along its thinnest axis, if it is no thicker than this."""


class CoordinateSpace(StrEnum):
    """What the numbers of a prompt count."""

    VOXEL = "voxel"
    """Voxel indices (i, j, k) of the file."""
    RAS = "ras"
    """Patient millimetres to the right, anterior and superior, as NIfTI viewers show them."""
    LPS = "lps"
    """Patient millimetres to the left, posterior and superior, as DICOM viewers show them."""


def point_from_numbers(numbers: Sequence[float], geometry: Geometry, space: CoordinateSpace, what: str) -> PointPrompt:
    """Make a click of i,j,k or i,j,k,label; in an image of one slice also of x,y or x,y,label.

    The label is 1 inside the object (also if left out) and 0 outside. In an image of one slice, three numbers
    are x,y,label.

    Args:
        numbers: Finite numbers: voxel indices, or x, y, z in mm.
        geometry: The grid of the volume. One slice means D = 1; then x = i, y = j and k = 0.
        space: What the numbers count. A point in mm becomes its nearest voxel.
        what: What messages call the point.

    Raises:
        PromptError: The count or the label is not one of these, or a point in mm lies outside the volume.
    """
    if _is_flat_image(geometry, space) and len(numbers) in (2, 3):
        place, label = [*numbers[:2], 0], numbers[2:]
    elif len(numbers) in (3, 4):
        place, label = list(numbers[:3]), numbers[3:]
    else:
        raise PromptError(f"{what} has {_count(numbers)}; expected {_point_forms(geometry, space)}.")
    if label and label[0] not in (0, 1):
        raise PromptError(
            f"{what} has the label {label[0]:g}; expected 1 (inside the object) or 0 (outside) at the end "
            f"of {_point_forms(geometry, space)}."
        )
    i, j, k = place
    if space != CoordinateSpace.VOXEL:
        i, j, k = nearest_voxel(_index_of([place], geometry, space, what)[0].tolist())
    return PointPrompt(i, j, k, positive=not label or label[0] == 1)


def box_from_numbers(numbers: Sequence[float], geometry: Geometry, space: CoordinateSpace, what: str) -> BoxPrompt:
    """Make a box of i0,j0,k0,i1,j1,k1; in an image of one slice also of x0,y0,x1,y1.

    The two corners of a box in mm are points, as read off a viewer; the box between them has the directions
    of the voxel grid. They become their nearest voxels, and the box is made flat along its thinnest axis if
    it is at most `FLAT_WITHIN_VOXELS` thick.

    Args:
        numbers: Finite numbers: voxel indices, or x, y, z in mm.
        geometry: The grid of the volume. One slice means D = 1.
        space: What the numbers count.
        what: What messages call the box.

    Raises:
        PromptError: The count is not one of these, or a corner in mm lies outside the volume.
    """
    if _is_flat_image(geometry, space) and len(numbers) == 4:
        x0, y0, x1, y1 = numbers
        return BoxPrompt(x0, y0, 0, x1, y1, 0)
    if len(numbers) != 6:
        raise PromptError(f"{what} has {_count(numbers)}; expected {_box_forms(geometry, space)}.")
    if space == CoordinateSpace.VOXEL:
        return BoxPrompt(*numbers)
    corners = _index_of([numbers[:3], numbers[3:]], geometry, space, what)
    thickness = np.abs(corners[1] - corners[0])
    thinnest = int(thickness.argmin())
    if thickness[thinnest] <= FLAT_WITHIN_VOXELS:
        corners[:, thinnest] = corners[:, thinnest].mean()
    lower, upper = corners.tolist()
    return BoxPrompt(*nearest_voxel(lower), *nearest_voxel(upper))


def _is_flat_image(geometry: Geometry, space: CoordinateSpace) -> bool:
    return geometry.shape[0] == 1 and space == CoordinateSpace.VOXEL


def _index_of(
    points_mm: Sequence[Sequence[float]], geometry: Geometry, space: CoordinateSpace, what: str
) -> FloatArray:
    """Map points in mm to voxel indices: (N, 3), not rounded."""
    points = np.array(points_mm, dtype=np.float64)
    index = geometry.lps_to_index(points * LPS_OF_RAS if space == CoordinateSpace.RAS else points)
    for point, place, inside in zip(points, index, geometry.contains(index), strict=True):
        if not inside:
            voxel = nearest_voxel(place.tolist())
            raise PromptError(
                f"{what}: {format_index(point)} mm ({space.upper()}) lies outside the volume, at voxel "
                f"{format_index(voxel)}; expected {format_ranges(geometry.size_ijk)}. "
                "Check whether the numbers are RAS, LPS or voxel indices."
            )
    return index


def _count(numbers: Sequence[float]) -> str:
    return f"{len(numbers)} number{'' if len(numbers) == 1 else 's'}"


def _point_forms(geometry: Geometry, space: CoordinateSpace) -> str:
    if space != CoordinateSpace.VOXEL:
        return "x,y,z or x,y,z,label in mm"
    if _is_flat_image(geometry, space):
        return "x,y or x,y,label or i,j,k,label (the image has one slice)"
    return f"i,j,k or i,j,k,label (the volume has {geometry.shape[0]} slices)"


def _box_forms(geometry: Geometry, space: CoordinateSpace) -> str:
    if space != CoordinateSpace.VOXEL:
        return "the six x0,y0,z0,x1,y1,z1 in mm"
    if _is_flat_image(geometry, space):
        return "the four x0,y0,x1,y1 or the six i0,j0,k0,i1,j1,k1 (the image has one slice)"
    return f"the six i0,j0,k0,i1,j1,k1 (the volume has {geometry.shape[0]} slices)"
