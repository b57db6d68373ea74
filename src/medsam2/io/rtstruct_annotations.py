"""Reading the contours of DICOM RT Structure Sets as annotations."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from pydicom import Dataset

from medsam2.io.annotated_series import AnnotatedSeries, image_reference
from medsam2.io.annotation import Annotation, Drawing
from medsam2.spatial import FloatArray

CLOSED, EXCLUSIVE, OPEN, POINT = "CLOSED_PLANAR", "CLOSEDPLANAR_XOR", "OPEN_PLANAR", "POINT"


def read(dataset: Dataset, series: AnnotatedSeries) -> tuple[list[Annotation], list[str]]:
    """Read each ROI: closed contours are filled, a line of two ends is a measured line, points are clicks.

    Args:
        dataset: Of an RTSTRUCT file.
        series: The series that it must belong to.

    Returns:
        The ROIs with a contour, and what to tell the user of the others.

    Raises:
        FormatError: It belongs to another series.
        GeometryError: A contour lies in no slice of the series.
    """
    images = {str(item.ReferencedSOPInstanceUID) for contour in _contours(dataset) for item in _images(contour)}
    named = [item for frame in dataset.get("ReferencedFrameOfReferenceSequence") or () for item in _series(frame)]
    frames = {str(item.get("FrameOfReferenceUID")) for item in dataset.get("ReferencedFrameOfReferenceSequence") or ()}
    ours = series.series.frame_of_reference_uid
    series.check_belongs({str(item.SeriesInstanceUID) for item in named}, images, ours if ours in frames else "")
    of_number = {int(item.ReferencedROINumber): item for item in dataset.get("ROIContourSequence") or ()}
    found, notes = [], []
    for roi in dataset.StructureSetROISequence:
        number, name = int(roi.ROINumber), str(roi.get("ROIName") or "")
        drawing = Drawing(name or f"ROI {number}", series.geometry, number)
        left_out = {_draw(drawing, contour, series) for contour in _own_contours(of_number.get(number))} - {""}
        notes += [f"{drawing.name}: {reason} was left out." for reason in sorted(left_out)]
        annotation = drawing.finished()
        if annotation is None:
            notes.append(f"{drawing.name} has no contour and was left out.")
        else:
            found.append(annotation)
    return found, notes


def _draw(drawing: Drawing, contour: Dataset, series: AnnotatedSeries) -> str:
    """Add a contour to its object; give what it is if it cannot be used, else ""."""
    kind = str(contour.get("ContourGeometricType") or "")
    points = _points(contour)
    references = [series.slice_of(image_reference(item)) for item in _images(contour)]
    k = references[0] if len(references) == 1 else None
    index = series.lps_to_index(points, k)
    if kind in (CLOSED, EXCLUSIVE) and len(points) > 2:
        drawing.add_outline(index, exclusive=kind == EXCLUSIVE)
    elif kind == OPEN and len(points) == 2:
        drawing.add_line(index)
    elif kind == POINT:
        drawing.add_points(index)
    else:
        return f"{'an open' if kind.startswith('OPEN_') else 'a'} contour of {len(points)} points"
    return ""


def _points(contour: Dataset) -> FloatArray:
    return np.array(contour.ContourData, dtype=np.float64).reshape(-1, 3)


def _contours(dataset: Dataset) -> Iterator[Dataset]:
    for roi in dataset.get("ROIContourSequence") or ():
        yield from _own_contours(roi)


def _own_contours(roi: Dataset | None) -> list[Dataset]:
    return [] if roi is None else [one for one in roi.get("ContourSequence") or () if one.get("ContourData")]


def _images(contour: Dataset) -> list[Dataset]:
    return list(contour.get("ContourImageSequence") or ())


def _series(frame_of_reference: Dataset) -> Iterator[Dataset]:
    for study in frame_of_reference.get("RTReferencedStudySequence") or ():
        yield from study.get("RTReferencedSeriesSequence") or ()
