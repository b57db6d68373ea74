"""What a preview shows: which objects, in which frames."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from medsam2.engine.volume_result import ObjectResult, SegmentationResult
from medsam2.metrics import dice
from medsam2.prompts import ResolvedObject, SlicePrompt
from medsam2.prompts.prompt_types import MaskArray
from medsam2.reporting.statistics import Box, check_same_grid, object_boxes
from medsam2.reporting.viewport import FloatPicture, Region, mask_region
from medsam2.spatial import Plane, PlaneView, Segmentation, Volume, acquisition_plane

MOST_ELONGATED = 16.0
"""A frame longer than this many times its width shows nothing, e.g. the side of a single slice."""


@dataclass(frozen=True, eq=False)
class Scene:
    """A scan, what was found in it, and what is known besides.

    Attributes:
        volume: The scan.
        result: What was found.
        prompts: What was prompted, by label.
        reference: Ground truth with the same labels, None if there is none.

    Raises:
        GeometryError: The result or the reference is not on the scan's grid.
    """

    volume: Volume
    result: SegmentationResult
    prompts: dict[int, ResolvedObject]
    reference: Segmentation | None = None

    def __post_init__(self) -> None:
        check_same_grid(self.volume, self.result.segmentation)
        if self.reference is not None:
            check_same_grid(self.volume, self.reference, "reference")

    @property
    def is_picture(self) -> bool:
        """Whether the scan is a photograph or the like, without sides of a patient and without millimetres."""
        source = self.volume.source
        return self.volume.is_rgb or (source is not None and source.format == "image")

    def views(self) -> list[PlaneView]:
        """Give the planes that are worth a look: axial, coronal and sagittal, or one of a scan of one slice."""
        all_views = [PlaneView.of(self.volume.geometry, plane) for plane in Plane]
        acquired = PlaneView.of(self.volume.geometry, acquisition_plane(self.volume.geometry))
        return [view for view in all_views if _is_wide(view)] or [acquired]

    def frame(self, view: PlaneView, t: int) -> FloatPicture:
        """Give a frame as it was shown to the network: (rows, columns) or (rows, columns, 3) in [0, 1]."""
        return self.result.window.apply(view.to_frames(self.volume.array)[t])

    def mask(self, label: int, view: PlaneView, t: int) -> MaskArray:
        """Give what was found of an object in a frame: (rows, columns) bool."""
        return _labels(self.result.segmentation, view, t) == label

    def reference_mask(self, label: int, view: PlaneView, t: int) -> MaskArray | None:
        """Give the reference of an object in a frame, (rows, columns) bool; None without a reference."""
        return None if self.reference is None else _labels(self.reference, view, t) == label

    def prompt(self, label: int, view: PlaneView, t: int) -> SlicePrompt | None:
        """Give what was prompted for an object in a frame, None if nothing was or it is not known."""
        resolved = self.prompts.get(label)
        return resolved.slices.get(t) if resolved is not None and resolved.plane == view.plane else None

    @cached_property
    def scores(self) -> dict[int, float]:
        """The Dice of each object with the reference, by label; without those that it is not defined for."""
        if self.reference is None:
            return {}
        reference_boxes = object_boxes(self.reference)
        scores: dict[int, float] = {}
        for label in (one.label for one in self.result.objects):
            box = _around([boxes[label] for boxes in (self._boxes, reference_boxes) if label in boxes])
            if box is not None:
                parts = (self.result.segmentation.labels[box], self.reference.labels[box])
                scores[label] = dice(parts[0] == label, parts[1] == label)
        return scores

    def best_frame(self, view: PlaneView) -> int:
        """Give the frame that shows most of the objects, each one weighed by how much of its largest cut is seen.

        If nothing was found, it is a frame with a prompt, else the one in the middle.
        """
        axis = view.voxel_axis
        shown = np.zeros(view.frame_count)
        for label, box in self._boxes.items():
            area = self._area(label, axis)
            shown[box[2 - axis]] += area / area.max()
        if shown.any():
            return view.frame_number(int(shown.argmax()))
        prompted = [
            view.frame_number(index)
            for one in self.result.objects
            for index in one.prompted_slices
            if one.plane == view.plane
        ]
        return prompted[0] if prompted else view.frame_count // 2

    def main_frame(self, one: ObjectResult, view: PlaneView) -> int:
        """Give the first frame that was prompted for an object, else the one that shows most of it."""
        if one.prompted_slices:
            return min(view.frame_number(index) for index in one.prompted_slices)
        return self.largest_frame(one, view)

    def largest_frame(self, one: ObjectResult, view: PlaneView) -> int:
        """Give the frame that shows most of an object; the one in the middle if nothing was found."""
        if one.label not in self._boxes:
            return view.frame_count // 2
        axis = view.voxel_axis
        start: int = self._boxes[one.label][2 - axis].start
        return view.frame_number(start + int(self._area(one.label, axis).argmax()))

    def frames_through(self, one: ObjectResult, view: PlaneView, count: int) -> list[int]:
        """Give the main frame, and others evenly spaced through what was found of an object, at most count in all."""
        main = self.main_frame(one, view)
        even = self._even_frames(one, view, count)
        if main not in even and len(even) == count:
            even.remove(min(even, key=lambda t: abs(t - main)))
        return [main, *(t for t in even if t != main)]

    def _even_frames(self, one: ObjectResult, view: PlaneView, count: int) -> list[int]:
        box = self._boxes.get(one.label)
        if box is None:
            return []
        side = box[2 - view.voxel_axis]
        shares = (np.arange(count) + 0.5) / count
        indices = np.floor(side.start + shares * (side.stop - side.start)).astype(int).tolist()
        return sorted({view.frame_number(index) for index in indices})

    def region(self, one: ObjectResult, view: PlaneView, frames: Iterable[int]) -> Region | None:
        """Give the region around an object's result, prompts and reference in some frames; None if all is empty."""
        regions = [part for t in frames for part in self._regions(one.label, view, t)]
        if not regions:
            return None
        whole = regions[0]
        for part in regions[1:]:
            whole = whole.union(part)
        return whole

    def _regions(self, label: int, view: PlaneView, t: int) -> list[Region]:
        prompt = self.prompt(label, view, t) or SlicePrompt()
        masks = (self.mask(label, view, t), self.reference_mask(label, view, t), prompt.mask)
        regions = [mask_region(mask) for mask in masks if mask is not None and mask.any()]
        regions += [Region(point.x, point.y, point.x + 1, point.y + 1) for point in prompt.points]
        if prompt.box is not None:
            regions.append(Region(prompt.box.x0, prompt.box.y0, prompt.box.x1 + 1, prompt.box.y1 + 1))
        return regions

    @cached_property
    def _boxes(self) -> dict[int, Box]:
        return object_boxes(self.result.segmentation)

    def _area(self, label: int, axis: int) -> NDArray[np.int64]:
        """Count an object's voxels on each slice of its box along a voxel axis."""
        others = tuple(n for n in range(3) if n != 2 - axis)
        return np.count_nonzero(self.result.segmentation.labels[self._boxes[label]] == label, axis=others)


def _labels(segmentation: Segmentation, view: PlaneView, t: int) -> NDArray[np.integer]:
    frame: NDArray[np.integer] = view.to_frames(segmentation.labels)[t]
    return frame


def _is_wide(view: PlaneView) -> bool:
    rows_mm, columns_mm = np.multiply(view.frame_shape, view.frame_spacing_mm).tolist()
    return min(view.frame_shape) > 1 and max(rows_mm, columns_mm) <= MOST_ELONGATED * min(rows_mm, columns_mm)


def _around(boxes: list[Box]) -> tuple[slice, ...] | None:
    """Give the smallest box around all, None if there is none."""
    if not boxes:
        return None
    sides = zip(*boxes, strict=True)
    return tuple(slice(min(s.start for s in side), max(s.stop for s in side)) for side in sides)
