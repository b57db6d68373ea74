"""Which plane an object is prompted in.

Boxes and masks tell by their shape along which voxel axes their slices can be stacked; points fit any plane.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from medsam2.errors import PromptError
from medsam2.prompts.prompt_types import BoxPrompt, MaskArray, MaskPrompt, ObjectPrompts
from medsam2.spatial import Geometry, Plane, PlaneView, plane_of_voxel_axis

ALL_AXES = frozenset((0, 1, 2))


@dataclass(frozen=True)
class _SliceAxes:
    """Along which voxel axes (0, 1, 2 for i, j, k) the slices of prompts can be stacked.

    Attributes:
        prompt: What messages call the prompt that decides.
        possible: The axes that its shape allows.
        natural: The axis to take if nothing else decides, None if there is no such axis.
    """

    prompt: str
    possible: frozenset[int]
    natural: int | None = None


def choose_plane(prompts: ObjectPrompts, geometry: Geometry, plane: Plane | None, default_plane: Plane) -> Plane:
    """Choose the plane of an object's slices.

    A box lies across the axis along which it is flat, a mask across the axis along which no two neighbouring
    slices are drawn (of several such axes, the one with the fewest slices). A solid mask, with neighbouring
    slices drawn along every axis, fits every plane. Where several planes are left, an axis with a single voxel
    comes first, then `plane`, then the axis with the fewest slices of a solid mask, then `default_plane`.

    Args:
        prompts: The object; its masks have the volume's shape.
        geometry: The grid of the volume.
        plane: The plane that the user named, None if none.
        default_plane: The plane to take where the prompts fit several.

    Raises:
        PromptError: A box is not flat, the prompts lie in different planes or not in the named one, or they
            fit several planes of which none is named.
    """
    common = _common_axes(prompts, geometry, default_plane)
    if plane is not None:
        _check_named_plane(prompts, common, geometry, plane)
        return plane
    default_axis = PlaneView.of(geometry, default_plane).voxel_axis
    if len(common.possible) == 1:
        (axis,) = common.possible
    elif common.natural is not None:
        axis = common.natural
    elif default_axis in common.possible:
        axis = default_axis
    else:
        raise PromptError(
            f"{prompts.title}: its {common.prompt} fits several planes, as it is flat along "
            f"{_describe(common.possible, geometry)}; name the plane."
        )
    return plane_of_voxel_axis(geometry, axis)


def _common_axes(prompts: ObjectPrompts, geometry: Geometry, default_plane: Plane) -> _SliceAxes:
    """Find the axes that fit all prompts of an object."""
    readings = [
        *(_box_axes(prompts, box, geometry, default_plane) for box in prompts.boxes),
        *(_mask_axes(mask) for mask in prompts.masks),
    ]
    common = _SliceAxes("points", ALL_AXES)
    for reading in readings:
        common = _narrowed(prompts, common, reading, geometry)
    single = frozenset(axis for axis in common.possible if geometry.size_ijk[axis] == 1)
    return _SliceAxes(common.prompt, single) if single and readings else common


def _narrowed(prompts: ObjectPrompts, common: _SliceAxes, reading: _SliceAxes, geometry: Geometry) -> _SliceAxes:
    both = common.possible & reading.possible
    if not both:
        raise PromptError(
            f"{prompts.title} is prompted in two planes: its {common.prompt} lies across "
            f"{_describe(common.possible, geometry)}, its {reading.prompt} across "
            f"{_describe(reading.possible, geometry)}. Prompt one object in slices of one plane."
        )
    decides = reading if both < common.possible or common.prompt == "points" else common
    natural = reading.natural if common.natural is None else common.natural
    return _SliceAxes(decides.prompt, both, natural if natural in both else None)


def _box_axes(prompts: ObjectPrompts, box: BoxPrompt, geometry: Geometry, default_plane: Plane) -> _SliceAxes:
    lower, upper = box.voxels
    flat = frozenset(axis for axis in ALL_AXES if lower[axis] == upper[axis])
    if not flat:
        raise PromptError(f"{prompts.title}: {_not_flat(box, geometry, default_plane)}")
    return _SliceAxes(str(box), flat)


def _not_flat(box: BoxPrompt, geometry: Geometry, default_plane: Plane) -> str:
    lower, upper = (list(voxel) for voxel in box.voxels)
    spans = ", ".join(f"{name} {a}..{b}" for name, a, b in zip("ijk", lower, upper, strict=True))
    axis = PlaneView.of(geometry, default_plane).voxel_axis
    lower[axis] = upper[axis] = (lower[axis] + upper[axis]) // 2
    example = ",".join(str(number) for number in (*lower, *upper))
    return (
        f"{box} spans {spans}; a box lies in one slice, so its corners must be equal along i, j or k. "
        f"The box in its middle {default_plane} slice is {example}."
    )


def _mask_axes(mask: MaskPrompt) -> _SliceAxes:
    drawn = [_drawn_slices(mask.voxels, axis) for axis in range(3)]
    counts = [int(slices.sum()) for slices in drawn]
    # Slices drawn by hand leave their neighbours empty; a solid mask can be cut along any axis.
    by_hand = {axis for axis in ALL_AXES if not (drawn[axis][1:] & drawn[axis][:-1]).any()}
    least = min(counts[axis] for axis in by_hand or ALL_AXES)
    fewest = frozenset(axis for axis in by_hand or ALL_AXES if counts[axis] == least)
    if by_hand:
        return _SliceAxes("mask", fewest)
    return _SliceAxes("mask", ALL_AXES, natural=min(fewest) if len(fewest) == 1 else None)


def _drawn_slices(voxels: MaskArray, axis: int) -> MaskArray:
    """Tell for each slice along voxel axis i, j or k whether anything is drawn in it."""
    array_axis = 2 - axis
    drawn: MaskArray = np.any(voxels, axis=tuple({0, 1, 2} - {array_axis}))
    return drawn


def _check_named_plane(prompts: ObjectPrompts, common: _SliceAxes, geometry: Geometry, plane: Plane) -> None:
    axis = PlaneView.of(geometry, plane).voxel_axis
    if axis not in common.possible:
        raise PromptError(
            f"{prompts.title}: its {common.prompt} lies across {_describe(common.possible, geometry)}, but "
            f"the plane named is {plane}, across {'ijk'[axis]}. Leave the plane out, or prompt in a {plane} "
            "slice."
        )


def _describe(axes: Iterable[int], geometry: Geometry) -> str:
    return " and ".join(f"{'ijk'[axis]} ({plane_of_voxel_axis(geometry, axis)})" for axis in sorted(axes))
