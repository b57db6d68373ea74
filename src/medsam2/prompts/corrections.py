"""Clicks that correct what was found before, on slices where nothing else was prompted.

A click alone says too little of its slice: a negative one not where the object is, a positive one not how far it
reaches. Both are said of what was found there, so that is prompted, too: by the box around it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from medsam2.prompts.prompt_types import BoxPrompt, MaskArray, ObjectPrompts, PointPrompt
from medsam2.spatial import PlaneView


def with_corrections(
    prompts: ObjectPrompts, clicks: Iterable[PointPrompt], found: MaskArray, view: PlaneView
) -> ObjectPrompts:
    """Add clicks to what was prompted before, each to what was found on its slice.

    A slice that is prompted already keeps its prompts and gets the clicks. Any other is also given the box around what
    was found there, grown to its positive clicks. Where nothing was found, negative clicks say what the result says
    and are left out, and positive ones stand alone.

    Args:
        prompts: of the object, before the clicks.
        clicks: all of the object's clicks since.
        found: (T, R, C) bool, the object in the last result, as frames of the view.
        view: of the plane of the object's slices.
    """
    voxels = [*(box.voxels[0] for box in prompts.boxes), *(point.voxel for point in prompts.points)]
    prompted = {*(_frame_of(voxel, view) for voxel in voxels), *_drawn_frames(prompts, view)}
    by_frame: dict[int, list[PointPrompt]] = defaultdict(list)
    for click in clicks:
        by_frame[_frame_of(click.voxel, view)].append(click)
    points, boxes = list(prompts.points), list(prompts.boxes)
    for frame, said in by_frame.items():
        if frame in prompted:
            points += said
        elif found[frame].any():
            points += said
            boxes.append(_box_around(found[frame], frame, said, view))
        else:
            points += [click for click in said if click.positive]
    return replace(prompts, points=tuple(points), boxes=tuple(boxes))


def _frame_of(voxel: tuple[int, int, int], view: PlaneView) -> int:
    return view.frame_number(voxel[view.voxel_axis])


def _drawn_frames(prompts: ObjectPrompts, view: PlaneView) -> list[int]:
    masks = (view.to_frames(mask.voxels) for mask in prompts.masks)
    return [frame for mask in masks for frame in np.flatnonzero(mask.any(axis=(1, 2))).tolist()]


def _box_around(mask: MaskArray, frame: int, clicks: Iterable[PointPrompt], view: PlaneView) -> BoxPrompt:
    rows, columns = np.nonzero(mask)
    inside = view.to_frame_coordinates([click.index for click in clicks if click.positive] or np.empty((0, 3)))
    x = [columns.min(), columns.max(), *inside[:, 1]]
    y = [rows.min(), rows.max(), *inside[:, 2]]
    first, last = view.to_index([(frame, min(x), min(y)), (frame, max(x), max(y))]).tolist()
    return BoxPrompt(*first, *last)
