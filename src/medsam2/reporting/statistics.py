"""What there is to measure of segmented objects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from medsam2.engine.volume_result import ObjectResult
from medsam2.errors import GeometryError
from medsam2.prompts.prompt_types import Voxel
from medsam2.spatial import Segmentation, Volume

Box = tuple[slice, ...]


@dataclass(frozen=True)
class ObjectStatistics:
    """Size, place and intensity of one object; an object without voxels has no place and no intensity.

    Attributes:
        name: Name of the object.
        label: Its value in the label map.
        voxels: Their number.
        volume_ml: The same in millilitres.
        mean_intensity: Of the object's voxels in the scan's own units, e.g. HU, without those that are not finite;
            None if there are none, and for RGB.
        intensity_std: Standard deviation of the same (of the population, not a sample).
        first_voxel: The lowest voxel index (i, j, k) of the box around the object.
        last_voxel: The highest; it belongs to the box.
        size_mm: Sides of that box along the voxel axes i, j, k, mm.
    """

    name: str
    label: int
    voxels: int = 0
    volume_ml: float = 0.0
    mean_intensity: float | None = None
    intensity_std: float | None = None
    first_voxel: Voxel | None = None
    last_voxel: Voxel | None = None
    size_mm: tuple[float, float, float] | None = None


def object_statistics(volume: Volume, segmentation: Segmentation) -> tuple[ObjectStatistics, ...]:
    """Measure each object: those with a name in their order, then other labels that occur, ascending.

    The label map is searched once; after that only the box around each object is looked at.

    Args:
        volume: The scan.
        segmentation: Its objects, on the same grid.

    Raises:
        GeometryError: The label map is not on the scan's grid.
    """
    check_same_grid(volume, segmentation)
    boxes = object_boxes(segmentation)
    names = {**segmentation.names, **{n: f"object {n}" for n in boxes if n not in segmentation.names}}
    return tuple(
        _measure(volume, segmentation, ObjectStatistics(name, label), boxes.get(label)) for label, name in names.items()
    )


def object_boxes(segmentation: Segmentation) -> dict[int, Box]:
    """Find the box around each label that occurs, as slices of the array (D, H, W), in ascending order."""
    found: Sequence[Box | None] = ndimage.find_objects(segmentation.labels)
    return {label: box for label, box in enumerate(found, start=1) if box is not None}


def found_slices(result: ObjectResult) -> tuple[int, ...]:
    """Give the slices on which the network found an object, as indices in the file, ascending.

    Overlapping objects may take voxels from it afterwards; an object that has none left counts as found nowhere.
    """
    if result.voxels == 0:
        return ()
    return tuple(one.slice_index for one in result.slices if one.confidence > 0)


def format_ml(volume_ml: float) -> str:
    """Write millilitres with about three digits, e.g. 1,126, 35.2 or 0.04."""
    decimals = 0 if volume_ml >= 100 else 1 if volume_ml >= 10 else 2
    return f"{volume_ml:,.{decimals}f}"


def check_same_grid(volume: Volume, segmentation: Segmentation, what: str = "segmentation") -> None:
    """Check that a label map lies on a scan's grid.

    Raises:
        GeometryError: It does not.
    """
    if not volume.geometry.same_grid(segmentation.geometry):
        raise GeometryError(
            f"the {what} has {segmentation.geometry.describe()}, the scan {volume.geometry.describe()}; "
            "expected the same grid at the same place. Resample the label map to the scan."
        )


def _measure(volume: Volume, segmentation: Segmentation, empty: ObjectStatistics, box: Box | None) -> ObjectStatistics:
    if box is None:
        return empty
    mask = segmentation.labels[box] == empty.label
    voxels = int(np.count_nonzero(mask))
    mean, std = (None, None) if volume.is_rgb else _mean_and_std(volume.array[box][mask])
    first = np.array([side.start for side in reversed(box)])
    last = np.array([side.stop - 1 for side in reversed(box)])
    i_mm, j_mm, k_mm = ((last - first + 1) * volume.geometry.spacing_mm).tolist()
    return ObjectStatistics(
        name=empty.name,
        label=empty.label,
        voxels=voxels,
        volume_ml=voxels * volume.geometry.voxel_volume_ml,
        mean_intensity=mean,
        intensity_std=std,
        first_voxel=tuple(first.tolist()),
        last_voxel=tuple(last.tolist()),
        size_mm=(i_mm, j_mm, k_mm),
    )


def _mean_and_std(values: np.ndarray) -> tuple[float | None, float | None]:
    finite = values[np.isfinite(values)].astype(np.float64)
    return (float(finite.mean()), float(finite.std())) if finite.size else (None, None)
