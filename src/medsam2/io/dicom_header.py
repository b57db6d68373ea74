"""The elements of DICOM headers that a volume is made from, read with pydicom.

Names, birth dates and the like are never read. pydicom's own messages may quote values of the header, so they are not
passed on.
"""

from __future__ import annotations

import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from highdicom.spatial import is_tiled_image
from pydicom.dataset import Dataset
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.sequence import Sequence
from pydicom.uid import UID

from medsam2.errors import FormatError
from medsam2.io.libraries import silenced
from medsam2.spatial import FloatArray

ALWAYS_DIVIDING = (
    "StackID",
    "ImageType",
    "FrameType",
    "EchoNumbers",
    "EchoTime",
    "EffectiveEchoTime",
    "TemporalPositionIdentifier",
    "TemporalPositionIndex",
    "DiffusionBValue",
)
"""Frames that differ in one of these are of different volumes."""

TIMES_OF_DAY = ("AcquisitionTime", "AcquisitionDateTime", "FrameAcquisitionDateTime", "ContentTime")
"""When a patient was examined is nobody's business: messages tell the order only."""

SOMETIMES_DIVIDING = (
    "AcquisitionNumber",
    "DiffusionGradientOrientation",
    "TriggerTime",
    "NominalCardiacTriggerDelayTime",
    "NominalPercentageOfCardiacPhase",
    "InversionTime",
    "FlipAngle",
    "FrameReferenceTime",
    *TIMES_OF_DAY,
)
"""Frames of one volume may differ in these; they tell volumes apart that lie at the same place."""

NO_SCANS = (
    "1.2.840.10008.5.1.4.1.1.66.4",  # segmentation
    "1.2.840.10008.5.1.4.1.1.66.7",  # label map segmentation
    "1.2.840.10008.5.1.4.1.1.481.2",  # RT dose
)
"""SOP classes that have pixels and are results, not scans."""

PATIENT = ("PatientID", "IssuerOfPatientID")
_IDENTITY = (
    "SOPClassUID",
    "SOPInstanceUID",
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "SeriesNumber",
    "InstanceNumber",
    "Modality",
    "FrameOfReferenceUID",
)
_PIXELS = (
    "NumberOfFrames",
    "Rows",
    "Columns",
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "BitsStored",
    "PixelRepresentation",
    "PixelPaddingValue",
    "PixelPaddingRangeLimit",
    "TotalPixelMatrixRows",
    "TotalPixelMatrixColumns",
)
_PLACE = (
    "ImagePositionPatient",
    "ImageOrientationPatient",
    "PixelSpacing",
    "ImagerPixelSpacing",
    "NominalScannedPixelSpacing",
    "SequenceOfUltrasoundRegions",
    "SpacingBetweenSlices",
    "SliceThickness",
)
VALUES = ("RescaleSlope", "RescaleIntercept", "ModalityLUTSequence")
SHARED, PER_FRAME = "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"
_READ = (*PATIENT, *_IDENTITY, *_PIXELS, *_PLACE, *VALUES, SHARED, PER_FRAME, *ALWAYS_DIVIDING, *SOMETIMES_DIVIDING)

LEAST_FRAME_BITS = 8
"""No frame takes less; a damaged count of frames must not fill the memory."""

HEADER_ERRORS = (
    InvalidDicomError,
    BytesLengthException,
    AttributeError,
    ValueError,
    TypeError,
    LookupError,
    RuntimeError,
    NotImplementedError,
    EOFError,
    ArithmeticError,
    struct.error,
    zlib.error,
    MemoryError,
)
"""What pydicom raises for files that are not DICOM, or damaged."""


@contextmanager
def quiet() -> Iterator[None]:
    """Keep pydicom's remarks on odd files off the user's screen: they may quote the header."""
    with silenced(pydicom.config.logger), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@contextmanager
def header_errors(path: Path) -> Iterator[None]:
    """Turn what pydicom raises for a bad file into one line that names the file and quotes nothing.

    Raises:
        FormatError: One of these errors was raised.
    """
    try:
        with quiet():
            yield
    except OSError as error:
        raise FormatError(f"{path.name} cannot be read: {error.strerror or 'it may be damaged'}.") from error
    except HEADER_ERRORS as error:
        raise FormatError(f"{path.name} cannot be read as DICOM; it may be damaged or incomplete.") from error


def read_header(path: Path) -> tuple[Dataset, str]:
    """Read the elements that matter of a file, and what kind of object it is, in DICOM's words.

    Raises:
        FormatError: The file is no DICOM, or is damaged.
    """
    with header_errors(path):
        dataset = pydicom.dcmread(path, force=True, stop_before_pixels=True, specific_tags=list(_READ))
        uid = dataset.get("SOPClassUID") or dataset.file_meta.get("MediaStorageSOPClassUID")
        if not uid:
            raise InvalidDicomError
        return dataset, known_name(uid).removesuffix(" Storage")


def known_name(uid: str) -> str:
    """Give the name of a UID of the standard, and not the text of any other."""
    name = UID(uid, pydicom.config.IGNORE).name
    return "of an unknown kind" if name == uid else name


def frames_of(path: Path, dataset: Dataset) -> Iterator[tuple[int | None, Dataset]]:
    """Give each frame of a file as if it were a file of its own; none if the file holds no scan.

    Yields:
        The frame's number, from 1, or None in a file of one frame; and its elements.

    Raises:
        FormatError: The file's parts do not fit, or it is an image of a kind that is no scan.
    """
    if "Rows" not in dataset or "Columns" not in dataset or dataset.get("SOPClassUID") in NO_SCANS:
        return
    if is_tiled_image(dataset):
        raise FormatError(f"{path.name} is a tiled whole-slide image; expected a scan. Export a region of it as TIFF.")
    if "SeriesInstanceUID" not in dataset or "SOPInstanceUID" not in dataset:
        raise FormatError(f"{path.name} names no series or no instance; it may be damaged or incomplete.")
    count = int(dataset.get("NumberOfFrames") or 1)
    if count * LEAST_FRAME_BITS > 8 * path.stat().st_size:
        raise FormatError(f"{path.name} announces {count} frames and is too short for them; it is damaged.")
    per_frame = dataset.get(PER_FRAME)
    if count == 1 and not per_frame:
        yield None, dataset
        return
    if per_frame and len(per_frame) != count:
        raise FormatError(f"{path.name} has {count} frames and describes {len(per_frame)}; it is damaged.")
    shared = (dataset.get(SHARED) or [Dataset()])[0]
    common = Dataset()
    common.update({element.tag: element for element in dataset if element.keyword not in (SHARED, PER_FRAME)})
    for number, groups in enumerate(per_frame or [Dataset()] * count, start=1):
        yield number, _flattened(common, shared, groups)


def _flattened(common: Dataset, *functional_groups: Dataset) -> Dataset:
    """Describe a frame of an enhanced image as if it were an image of its own (PS3.3 C.7.6.16)."""
    flat = Dataset()
    flat.update(common)
    for groups in functional_groups:
        for macro in groups:
            _spread(flat, macro.value)
    return flat


def _spread(flat: Dataset, items: Any) -> None:
    if not isinstance(items, Sequence) or not items:
        return
    for element in items[0]:
        flat[element.tag] = element
        _spread(flat, element.value)


def floats(attributes: Dataset, name: str, count: int) -> FloatArray | None:
    """Give the numbers of an element, None if it is missing or empty.

    Raises:
        ValueError: They are not as many as expected, or not finite.
    """
    value = attributes.get(name)
    numbers = np.array(() if value is None or value == "" else value, dtype=np.float64).ravel()
    if numbers.size == 0:
        return None
    if numbers.size != count or not np.isfinite(numbers).all():
        raise ValueError(name)
    return numbers


def whole(attributes: Dataset, name: str) -> int | None:
    """Give the whole number of an element, None if it is missing or empty."""
    value = attributes.get(name)
    return None if value is None or value == "" else int(value)
