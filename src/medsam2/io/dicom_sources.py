"""The headers of the series that a segmentation belongs to, read again to refer to its images."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from medsam2.errors import FormatError
from medsam2.io.dicom_series import DicomInstance, DicomSeries
from medsam2.io.libraries import extra_needed, silenced
from medsam2.spatial import FloatArray, Geometry, Segmentation

if TYPE_CHECKING:
    from pydicom import Dataset

POSITION_TOLERANCE_VOXELS = 0.5
"""How far an image may lie from where the label map has its slice, as a share of the largest spacing. Slices need not
be quite even, and lie where their images say; a grid of another place is farther off."""


CHARACTER_SET = "ISO_IR 192"
"""UTF-8: holds the names of objects in any script, and the patient's name in whatever set it was."""

TYPE_2_KEYWORDS = (
    *("PatientID", "PatientName", "PatientBirthDate", "PatientSex", "AccessionNumber"),
    *("StudyID", "StudyDate", "StudyTime", "ReferringPhysicianName"),
)
"""Attributes that may be empty and must be there; anonymisers remove them all the same."""

TALKATIVE = ("pydicom", "highdicom.base", "highdicom.image")
"""Loggers whose records quote headers."""

SEXES = ("M", "F", "O", "")


@dataclass(frozen=True, eq=False)
class SliceSource:
    """The image that one slice of a label map was drawn on.

    Attributes:
        header: The dataset of its file, without pixels; the same object for all frames of a file.
        frame: Its number in a multi-frame file, from 1; None in a file of one frame.
        axes: LPS steps to the next column and to the next row, and the position of the first pixel's centre, as the
            columns of (3, 3), mm; None if the image has no place in the patient.
    """

    header: Dataset
    frame: int | None
    axes: FloatArray | None

    def to_lps(self, pixels: FloatArray) -> FloatArray:
        """Map places in the slice to the patient.

        Args:
            pixels: (N, 2) as (column, row), pixel centres at integers.

        Returns:
            (N, 3) in LPS mm.
        """
        if self.axes is None:
            raise FormatError("an image of the series has no position in the patient")
        return np.column_stack([pixels, np.ones(len(pixels))]) @ self.axes.T


def series_of(segmentation: Segmentation, path: Path, wanted: str) -> DicomSeries:
    """Give the series that a label map was drawn on.

    Args:
        segmentation: The label map.
        path: The file to write, for messages.
        wanted: The format to write, for messages.

    Raises:
        FormatError: Its scan is not DICOM.
    """
    source = segmentation.source
    if source is None or not isinstance(source.header, DicomSeries):
        given = "has no source file" if source is None else f"is of format '{source.format}'"
        raise FormatError(
            f"{path} is to be {wanted}, which refers to the images of a DICOM series, but the scan {given}; "
            "write .nii.gz, .nrrd or .seg.nrrd instead, or give the DICOM series as the input."
        )
    return source.header


def read_sources(
    series: DicomSeries, geometry: Geometry, path: Path, action: str = "written"
) -> tuple[SliceSource, ...]:
    """Read the headers of a series again.

    Args:
        series: What the reader kept of it.
        geometry: The grid of the label map.
        path: The file to write, for messages; those of the series are not named, as their names may tell of a patient.
        action: What is done with that file.

    Returns:
        The source of slice k, for each k.

    Raises:
        FormatError: A file is gone, or does not hold the image that was segmented.
        MissingDependencyError: pydicom is not installed.
    """
    headers = {
        file: _header(file, number, f"{path} cannot be {action}") for number, file in enumerate(series.files, start=1)
    }
    if len(series.instances) != geometry.shape[0]:
        raise FormatError(
            f"{path} cannot be {action}: the series has {len(series.instances)} slices, "
            f"the label map {geometry.shape[0]}."
        )
    sources = []
    for k, instance in enumerate(series.instances):
        source = _slice_source(headers[instance.path], instance)
        _check_unchanged(source, instance, geometry, k, f"{path} cannot be {action}")
        sources.append(source)
    return tuple(sources)


@contextmanager
def quiet() -> Iterator[None]:
    """Keep remarks of the DICOM libraries off the screen and out of logs: they quote the patient's name."""
    with ExitStack() as stack:
        for name in TALKATIVE:
            stack.enter_context(silenced(logging.getLogger(name)))
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")
        yield


def completed(header: Dataset) -> Dataset:
    """Give a header the attributes that it must have and may leave empty, in place, its text decoded."""
    header.decode()
    for keyword in TYPE_2_KEYWORDS:
        if header.get(keyword) is None:
            setattr(header, keyword, "")
    if header.PatientSex not in SEXES:
        header.PatientSex = ""
    return header


def _header(file: Path, number: int, problem: str) -> Dataset:
    with extra_needed("dicom", "reading and writing DICOM"):
        import pydicom
    from medsam2.io.dicom_header import HEADER_ERRORS

    try:
        with quiet():
            return pydicom.dcmread(file, force=True, stop_before_pixels=True)
    except (OSError, *HEADER_ERRORS) as error:
        told = isinstance(error, OSError) and error.strerror
        raise FormatError(
            f"{problem}: file {number} of the series cannot be read again "
            f"({told or 'it is not DICOM any more'}). The result refers to each image; keep them in place."
        ) from error


def _slice_source(header: Dataset, instance: DicomInstance) -> SliceSource:
    return SliceSource(header, instance.frame, image_axes(header, instance.frame))


def image_axes(header: Dataset, frame: int | None) -> FloatArray | None:
    """Place an image (PS3.3, C.7.6.2.1.1): `SliceSource.axes` of a file or of a frame of it, from 1."""
    position = frame_attribute(header, frame, "PlanePositionSequence", "ImagePositionPatient")
    orientation = frame_attribute(header, frame, "PlaneOrientationSequence", "ImageOrientationPatient")
    spacing = frame_attribute(header, frame, "PixelMeasuresSequence", "PixelSpacing")
    if not position or not orientation or not spacing:
        return None
    along_row, along_column = np.reshape(np.array(orientation, float), (2, 3))
    rows_apart, columns_apart = map(float, spacing)
    return np.column_stack([along_row * columns_apart, along_column * rows_apart, np.array(position, float)])


def frame_attribute(header: Dataset, frame: int | None, group: str, keyword: str) -> Any:
    """Find an attribute of a frame: in its own functional group, in the shared one, or in the image itself."""
    places = []
    if frame is not None and "PerFrameFunctionalGroupsSequence" in header:
        places = [header.PerFrameFunctionalGroupsSequence[frame - 1], *header.get("SharedFunctionalGroupsSequence", ())]
    for place in places:
        if place.get(group):
            return place[group][0].get(keyword)
    return header.get(keyword)


def _check_unchanged(source: SliceSource, instance: DicomInstance, geometry: Geometry, k: int, problem: str) -> None:
    header = source.header
    height, width = geometry.shape[1:]
    same = (header.get("SOPInstanceUID"), header.get("Rows"), header.get("Columns")) == (instance.uid, height, width)
    if same and source.axes is not None:
        corners = np.array([(i, j) for i in (0, width - 1) for j in (0, height - 1)], float)
        expected = geometry.index_to_lps(np.column_stack([corners, np.full(len(corners), k)]))
        distance = np.linalg.norm(source.to_lps(corners) - expected, axis=1).max()
        same = bool(distance <= POSITION_TOLERANCE_VOXELS * max(geometry.spacing_mm))
    if not same:
        raise FormatError(
            f"{problem}: the image of slice {k} is not the one that was segmented; "
            "the series has changed since it was read."
        )
