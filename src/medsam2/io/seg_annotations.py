"""Reading DICOM Segmentation objects (BINARY, FRACTIONAL, LABELMAP) as annotations, with pydicom."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.pixels.utils import iter_pixels

from medsam2.io.annotated_series import AnnotatedSeries, image_reference
from medsam2.io.annotation import Annotation, Drawing
from medsam2.io.dicom_sources import frame_attribute, image_axes

HALF = 0.5
"""A voxel belongs to a FRACTIONAL segment from this share on."""


def read(dataset: Dataset, series: AnnotatedSeries) -> tuple[list[Annotation], list[str]]:
    """Read each segment.

    Args:
        dataset: Of a SEG file, with its pixels.
        series: The series that it must belong to.

    Returns:
        The segments with a voxel, and what to tell the user of the others.

    Raises:
        FormatError: It belongs to another series.
        GeometryError: Its voxels are not those of the series.
    """
    every = [dataset.get("SourceImageSequence") or (), *(_sources(dataset, frame) for frame in _frames(dataset))]
    referred = [image_reference(source) for sources in every for source in sources]
    series.check_belongs(
        {str(item.SeriesInstanceUID) for item in dataset.get("ReferencedSeriesSequence") or ()},
        {uid for uid, _ in referred},
        str(dataset.get("FrameOfReferenceUID") or ""),
    )
    names = {int(item.SegmentNumber): str(item.get("SegmentLabel") or "") for item in dataset.SegmentSequence}
    masks: dict[int, NDArray[np.bool_]] = {}
    for frame, pixels in zip(_frames(dataset), _pixels(dataset), strict=True):
        places = [series.slice_of(image_reference(source)) for source in _sources(dataset, frame)]
        k = next((place for place in places if place is not None), None)
        for number, drawn in _drawn(dataset, frame, pixels):
            mask = masks.setdefault(number, np.zeros(series.geometry.shape, np.bool_))
            series.lay(mask, drawn, image_axes(dataset, frame), k)
    objects = [
        Drawing(name, series.geometry, number).finished(masks[number])
        for number, name in names.items()
        if number in masks
    ]
    found = [one for one in objects if one is not None]
    empty = len(names) - len(found)
    return found, [f"{empty} of {len(names)} segments are empty and were left out."] if empty else []


def _frames(dataset: Dataset) -> range:
    return range(1, int(dataset.get("NumberOfFrames") or 1) + 1)


def _pixels(dataset: Dataset) -> Iterator[NDArray[np.generic]]:
    """Give the frames one by one; where bits are packed and frames share a byte, pydicom reads all of them at once."""
    if dataset.BitsAllocated == 1 and dataset.Rows * dataset.Columns % 8:
        return iter(dataset.pixel_array.reshape(-1, dataset.Rows, dataset.Columns))
    return iter_pixels(dataset)


def _sources(dataset: Dataset, frame: int) -> list[Dataset]:
    """Give the images that a frame was drawn on; those of the whole object would not tell which."""
    groups = [
        dataset.PerFrameFunctionalGroupsSequence[frame - 1],
        *(dataset.get("SharedFunctionalGroupsSequence") or ()),
    ]
    derived = [item for group in groups for item in group.get("DerivationImageSequence") or ()]
    return [source for item in derived for source in item.get("SourceImageSequence") or ()]


def _drawn(dataset: Dataset, frame: int, pixels: NDArray[np.generic]) -> Iterator[tuple[int, NDArray[np.bool_]]]:
    """Give the segments of a frame that have a pixel there: number, and (rows, columns)."""
    if dataset.get("SegmentationType") == "LABELMAP":
        for number in np.unique(pixels).tolist():
            if number:
                yield number, pixels == number
        return
    number = int(frame_attribute(dataset, frame, "SegmentIdentificationSequence", "ReferencedSegmentNumber"))
    whole = (
        float(dataset.get("MaximumFractionalValue") or 255) if dataset.get("SegmentationType") == "FRACTIONAL" else 1
    )
    drawn = pixels.astype(np.float32) >= HALF * whole
    if drawn.any():
        yield number, drawn
