"""Lays the prompts of one object into the frames of its plane, and refuses what cannot be meant."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from medsam2.errors import PromptError
from medsam2.prompts.plane_choice import choose_plane
from medsam2.prompts.prompt_types import (
    BoxPrompt,
    Index,
    MaskArray,
    MaskPrompt,
    ObjectPrompts,
    PointPrompt,
    format_ranges,
)
from medsam2.prompts.slice_prompts import FrameBox, FramePoint, ResolvedObject, SlicePrompt
from medsam2.spatial import Geometry, Plane, PlaneView


def resolve_object(
    prompts: ObjectPrompts, geometry: Geometry, plane: Plane | None, default_plane: Plane
) -> ResolvedObject:
    """Lay an object's prompts into the frames of its plane.

    Args:
        prompts: The object.
        geometry: The grid of the volume.
        plane: The plane that the user named, None if none.
        default_plane: The plane to take where the prompts fit several.

    Raises:
        PromptError: A prompt lies outside the volume or is not of its shape, the plane is not clear (see
            `choose_plane`), or the prompts of a slice contradict each other.
    """
    _check_inside(prompts, geometry)
    view = PlaneView.of(geometry, choose_plane(prompts, geometry, plane, default_plane))
    points = _points_by_frame(prompts.points, view)
    boxes = _boxes_by_frame(prompts, view)
    masks = _masks_by_frame(prompts.masks, view)
    slices = {
        t: SlicePrompt(tuple(points.get(t, ())), boxes.get(t), masks.get(t)) for t in sorted({*points, *boxes, *masks})
    }
    # i,j,k with k = 0 is read as a negative click there.
    hint = " In an image of one slice, three numbers are x,y,label." if geometry.shape[0] == 1 else ""
    for t, prompt in slices.items():
        _check_slice(prompt, f"{prompts.title}, {_slice_name(view, t)}", hint)
    return ResolvedObject(prompts.name, int(prompts.label), view.plane, slices)


def _check_inside(prompts: ObjectPrompts, geometry: Geometry) -> None:
    for point in prompts.points:
        _check_corners_inside(prompts, point, (point.index,), geometry)
    for box in prompts.boxes:
        _check_corners_inside(prompts, box, box.corners, geometry)
    for mask in prompts.masks:
        if mask.voxels.shape != geometry.shape:
            raise PromptError(
                f"{prompts.title}: the mask has shape {mask.voxels.shape}; expected that of the volume's "
                f"array, (D, H, W) = {geometry.shape}. Draw the mask on the grid of the scan itself."
            )


def _check_corners_inside(
    prompts: ObjectPrompts, prompt: PointPrompt | BoxPrompt, corners: tuple[Index, ...], geometry: Geometry
) -> None:
    if not geometry.contains(corners).all():
        expected = format_ranges(geometry.size_ijk)
        raise PromptError(f"{prompts.title}: {prompt} lies outside the volume; expected {expected}.")


def _points_by_frame(points: Iterable[PointPrompt], view: PlaneView) -> dict[int, list[FramePoint]]:
    frames: dict[int, list[FramePoint]] = {}
    for point in points:
        x, y = _place_in_frame(point.index, view)
        frames.setdefault(_frame_of(point, view), []).append(FramePoint(x, y, point.positive))
    return frames


def _boxes_by_frame(prompts: ObjectPrompts, view: PlaneView) -> dict[int, FrameBox]:
    frames: dict[int, FrameBox] = {}
    for box in prompts.boxes:
        t = _frame_of(box, view)
        if t in frames:
            raise PromptError(
                f"{prompts.title}, {_slice_name(view, t)}: two boxes in one slice; an object has one. "
                "If they mark two objects, give them different labels."
            )
        (xa, ya), (xb, yb) = (_place_in_frame(corner, view) for corner in box.corners)
        frames[t] = FrameBox(min(xa, xb), min(ya, yb), max(xa, xb), max(ya, yb))
    return frames


def _masks_by_frame(masks: Iterable[MaskPrompt], view: PlaneView) -> dict[int, MaskArray]:
    """Cut masks into frames; where two are drawn in one frame, it gets their union."""
    frames: dict[int, MaskArray] = {}
    for mask in masks:
        stack = view.to_frames(mask.voxels)
        for t in np.flatnonzero(stack.any(axis=(1, 2))).tolist():
            frames[t] = stack[t] | frames[t] if t in frames else stack[t].copy()
    return frames


def _frame_of(prompt: PointPrompt | BoxPrompt, view: PlaneView) -> int:
    # Rounded in the file's axes: halfway between two slices, the view's flips must not decide.
    voxel = prompt.voxel if isinstance(prompt, PointPrompt) else prompt.voxels[0]
    return view.frame_number(voxel[view.voxel_axis])


def _place_in_frame(index: Index, view: PlaneView) -> tuple[float, float]:
    _, x, y = view.to_frame_coordinates([index])[0].tolist()
    return x, y


def _slice_name(view: PlaneView, t: int) -> str:
    return f"{view.plane} slice {'ijk'[view.voxel_axis]} = {view.slice_index(t)}"


def _check_slice(prompt: SlicePrompt, where: str, hint: str) -> None:
    positive = [point for point in prompt.points if point.positive]
    if prompt.mask is not None and (prompt.points or prompt.box is not None):
        raise PromptError(
            f"{where}: a mask together with {'points' if prompt.points else 'a box'}; a mask says all about "
            "its slice, so leave out one of them."
        )
    if prompt.points and prompt.box is None and not positive:
        raise PromptError(
            f"{where}: only negative clicks; add at least one positive point or a box, which say where the "
            f"object is.{hint}"
        )
    outside = [point for point in positive if prompt.box is not None and not prompt.box.contains(point)]
    if outside:
        raise PromptError(
            f"{where}: a positive point lies outside the object's box; move it into the box, enlarge the "
            "box, or give the point another label."
        )
