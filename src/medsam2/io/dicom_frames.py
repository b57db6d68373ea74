"""What DICOM files say of their slices: one `DicomFrame` each, whether single-frame, multi-frame or enhanced.

The values are read once and checked here, so that nothing later meets a malformed element.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

from medsam2.errors import FormatError
from medsam2.io.dicom_header import (
    ALWAYS_DIVIDING,
    PATIENT,
    SOMETIMES_DIVIDING,
    VALUES,
    floats,
    frames_of,
    header_errors,
    read_header,
    whole,
)
from medsam2.io.dicom_series import shown
from medsam2.spatial import FloatArray

_DIVIDING = (*ALWAYS_DIVIDING, *SOMETIMES_DIVIDING)


@dataclass(frozen=True)
class PixelLayout:
    """How the pixels of a frame are stored.

    Attributes:
        rows: Height H.
        columns: Width W.
        photometric: Photometric interpretation: "MONOCHROME2", "RGB", ...
        samples: 1, or 3 for colour.
        bits: Bits stored of a sample.
        signed: Whether samples are two's complement.
        padding: The stored values, least and greatest, of pixels that were not measured; None if there are none.
    """

    rows: int
    columns: int
    photometric: str
    samples: int
    bits: int
    signed: bool
    padding: tuple[int, int] | None

    @property
    def is_colour(self) -> bool:
        """Whether a pixel is read as RGB."""
        return self.samples > 1 or self.photometric == "PALETTE COLOR"


@dataclass(frozen=True, eq=False)
class DicomFrame:
    """One slice as its header describes it.

    Attributes:
        path: Its file.
        number: Its number in a multi-frame file, from 1; None in a file of one frame.
        uid: SOP instance UID.
        study_uid: Study instance UID.
        series_uid: Series instance UID.
        series_number: What viewers show; None if not said.
        instance_number: The file's number in its series; 0 if not said.
        frame_of_reference_uid: What positions refer to; "" if not said.
        modality: "CT", "MR", ...
        patient: A digest that tells two patients apart, and nothing else.
        layout: How its pixels are stored.
        position: (3,) LPS mm of the centre of the first pixel; None if not said.
        orientation: (6,) directions in which columns and rows count up: row cosines, column cosines; None if not said.
        pixel_spacing: Distance of neighbouring rows and of neighbouring columns, mm; None if not said.
        at_detector: Whether that is measured at the detector, and not in the patient.
        slice_spacing: Distance of slices, else their thickness, mm; None if not said.
        values: The elements that turn stored values into measured ones.
        tags: The values of what divides a series into volumes, as text.
    """

    path: Path
    number: int | None
    uid: str
    study_uid: str
    series_uid: str
    series_number: int | None
    instance_number: int
    frame_of_reference_uid: str
    modality: str
    patient: str = field(repr=False)
    layout: PixelLayout
    position: FloatArray | None
    orientation: FloatArray | None
    pixel_spacing: tuple[float, float] | None
    at_detector: bool
    slice_spacing: float | None
    values: Dataset
    tags: Mapping[str, str]

    @property
    def name(self) -> str:
        """What messages call it: the file's name, and the frame's number in a multi-frame file."""
        return self.path.name if self.number is None else f"{self.path.name}, frame {self.number}"


def read_frames(path: Path) -> tuple[tuple[DicomFrame, ...], str]:
    """Read the headers of a file's frames.

    Returns:
        The frames, none if the file holds no scan; and what kind of object it is, in DICOM's words.

    Raises:
        FormatError: The file is no DICOM, is damaged, or is an image of a kind that is no scan.
    """
    dataset, kind = read_header(path)
    if "Rows" not in dataset and kind.endswith("Image"):
        raise FormatError(f"{path.name} is a {kind} without pixels; it may be damaged or incomplete.")
    with header_errors(path):
        return tuple(_frame(path, number, elements) for number, elements in frames_of(path, dataset)), kind


def _frame(path: Path, number: int | None, attributes: Dataset) -> DicomFrame:
    position, orientation = (
        floats(attributes, "ImagePositionPatient", 3),
        floats(attributes, "ImageOrientationPatient", 6),
    )
    placed = position is not None and orientation is not None
    spacing, at_detector = _pixel_spacing(attributes)
    return DicomFrame(
        path=path,
        number=number,
        uid=str(attributes.SOPInstanceUID),
        study_uid=str(attributes.get("StudyInstanceUID") or ""),
        series_uid=str(attributes.SeriesInstanceUID),
        series_number=whole(attributes, "SeriesNumber"),
        instance_number=whole(attributes, "InstanceNumber") or 0,
        frame_of_reference_uid=str(attributes.get("FrameOfReferenceUID") or ""),
        modality=shown(str(attributes.get("Modality") or "unknown")),
        patient=_digest(*(str(attributes.get(name) or "") for name in PATIENT)),
        layout=_layout(attributes),
        position=position if placed else None,
        orientation=orientation if placed else None,
        pixel_spacing=spacing,
        at_detector=at_detector,
        slice_spacing=_slice_spacing(attributes),
        values=_values(attributes),
        tags={name: _text(attributes[name].value) for name in _DIVIDING if name in attributes},
    )


def _layout(attributes: Dataset) -> PixelLayout:
    padding = whole(attributes, "PixelPaddingValue")
    limit = whole(attributes, "PixelPaddingRangeLimit")
    limit = padding if limit is None else limit
    return PixelLayout(
        rows=int(attributes.Rows),
        columns=int(attributes.Columns),
        photometric=str(attributes.get("PhotometricInterpretation") or "MONOCHROME2"),
        samples=int(attributes.get("SamplesPerPixel") or 1),
        bits=int(attributes.get("BitsStored") or 32),
        signed=attributes.get("PixelRepresentation") == 1,
        padding=None if padding is None or limit is None else (min(padding, limit), max(padding, limit)),
    )


def _values(attributes: Dataset) -> Dataset:
    values = Dataset()
    values.update({element.tag: element for element in attributes if element.keyword in VALUES})
    values.set_original_encoding(*attributes.original_encoding)
    if "RescaleSlope" in values or "RescaleIntercept" in values:
        # Either may be left out by old equipment, and pydicom wants both.
        slope, intercept = floats(values, "RescaleSlope", 1), floats(values, "RescaleIntercept", 1)
        values.RescaleSlope = 1.0 if slope is None else float(slope[0])
        values.RescaleIntercept = 0.0 if intercept is None else float(intercept[0])
    return values


def _pixel_spacing(attributes: Dataset) -> tuple[tuple[float, float] | None, bool]:
    """Give the spacing of rows and columns in mm, and whether it is that at the detector."""
    for name in ("PixelSpacing", "NominalScannedPixelSpacing", "ImagerPixelSpacing"):
        spacing = floats(attributes, name, 2)
        if spacing is not None and spacing.min() > 0:
            return (float(spacing[0]), float(spacing[1])), name == "ImagerPixelSpacing"
    return _ultrasound_spacing(attributes.get("SequenceOfUltrasoundRegions") or ()), False


def _ultrasound_spacing(regions: Any) -> tuple[float, float] | None:
    """Give the calibration of the tissue regions of an ultrasound image, if they agree (PS3.3 C.8.5.5)."""
    centimetres, tissue = 3, 1
    spacings = {
        (10.0 * abs(float(region.PhysicalDeltaY)), 10.0 * abs(float(region.PhysicalDeltaX)))
        for region in regions
        if region.get("RegionSpatialFormat") == tissue
        and region.get("PhysicalUnitsXDirection") == region.get("PhysicalUnitsYDirection") == centimetres
    }
    (spacing,) = spacings if len(spacings) == 1 else (None,)
    return spacing if spacing is not None and min(spacing) > 0 else None


def _slice_spacing(attributes: Dataset) -> float | None:
    found = (floats(attributes, name, 1) for name in ("SpacingBetweenSlices", "SliceThickness"))
    # Some scanners give the spacing of slices a sign.
    return next((abs(float(one[0])) for one in found if one is not None and one[0] != 0), None)


def _text(value: Any) -> str:
    return "\\".join(map(str, value)) if isinstance(value, MultiValue) else str(value)


def _digest(*words: str) -> str:
    return hashlib.sha256("\0".join(words).encode()).hexdigest() if any(words) else ""
