"""DICOM RT Structure Sets, with pydicom.

Each object is an ROI, and each of its parts on a slice a CLOSED_PLANAR contour in the plane of the image it was drawn
on, along the edges of the pixels (see `outlines`): filling the contours gives the mask back, pixel by pixel. A hole is
joined to the contour around it by a keyhole (PS3.3, C.8.8.6.3), which every reader of contours understands; with
CLOSEDPLANAR_XOR, the newer way, and with nested contours, readers differ.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from medsam2.errors import FormatError
from medsam2.io.atomic import written_whole
from medsam2.io.dicom_series import DicomSeries
from medsam2.io.dicom_sources import CHARACTER_SET, SliceSource, completed, quiet, read_sources, series_of
from medsam2.io.libraries import extra_needed, format_errors
from medsam2.io.outlines import outlines
from medsam2.io.segment_codes import ANATOMY, SCHEME, Concept
from medsam2.io.segments import Algorithm, Segment, cut, segments_of
from medsam2.spatial import FloatArray, Segmentation

if TYPE_CHECKING:
    from pydicom import Dataset

NAME = "RTSTRUCT"
LONGEST_NAME = 64
"""Characters of a value of type LO (PS3.5, 6.2)."""

DECIMALS = 6
"""Of coordinates, mm: ten thousandths of the smallest pixels, in the 16 characters of a value of type DS."""

RT_STRUCTURE_SET_STORAGE = "1.2.840.10008.5.1.4.1.1.481.3"
STUDY_COMPONENT_MANAGEMENT = "1.2.840.10008.3.1.2.3.1"
"""The retired class that stands for the study in a structure set (PS3.3, C.8.8.5)."""

COPIED = (
    *("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "PatientIdentityRemoved"),
    *("DeidentificationMethod", "DeidentificationMethodCodeSequence"),
    *("StudyInstanceUID", "StudyDate", "StudyTime", "StudyID", "AccessionNumber", "StudyDescription"),
    *("ReferringPhysicianName", "FrameOfReferenceUID"),
)
"""Attributes of patient and study that are those of the source."""

SERIES_NUMBER_OFFSET = 2000
"""The result's series number is its source's, plus this."""


def write(segmentation: Segmentation, path: Path, algorithm: Algorithm) -> tuple[str, ...]:
    """Write each object as an ROI.

    Args:
        segmentation: The label map of a DICOM series. An object without a voxel is an ROI without a contour.
        path: The file.
        algorithm: What made it.

    Returns:
        What could not be kept, for the user.

    Raises:
        FormatError: The scan is not DICOM, has changed or has no frame of reference, or the file cannot be written.
        MissingDependencyError: pydicom is not installed.
    """
    series = series_of(segmentation, path, NAME)
    with extra_needed("dicom", "writing RTSTRUCT"):
        from pydicom import dcmwrite
    sources = read_sources(series, segmentation.geometry, path)
    if not series.frame_of_reference_uid or any(source.axes is None for source in sources):
        raise FormatError(
            f"{path} cannot be written: the series does not say where it lies in the patient, which contours need; "
            "write DICOM SEG (.dcm), .nii.gz or .seg.nrrd instead."
        )
    segments = segments_of(segmentation)
    with written_whole(path) as draft, quiet():
        dataset = _dataset(segmentation, segments, sources, series, algorithm)
        with format_errors(path, "written"):
            # A long contour does not fit into a value of explicit VR.
            dcmwrite(draft, dataset, implicit_vr=True, little_endian=True, enforce_file_format=True)
    return tuple(remark for segment in segments for remark in cut(segment.name, LONGEST_NAME)[1])


def _dataset(
    segmentation: Segmentation,
    segments: Sequence[Segment],
    sources: Sequence[SliceSource],
    series: DicomSeries,
    algorithm: Algorithm,
) -> Dataset:
    dataset = _header(completed(sources[0].header), algorithm)
    dataset.ReferencedFrameOfReferenceSequence = [_references(sources, series)]
    dataset.StructureSetROISequence = [_roi(segment, series, algorithm) for segment in segments]
    dataset.ROIContourSequence = [_contours(segmentation, segment, sources) for segment in segments]
    dataset.RTROIObservationsSequence = [_observation(segment) for segment in segments]
    return dataset


def _header(source: Dataset, algorithm: Algorithm) -> Dataset:
    from pydicom import Dataset
    from pydicom.dataset import FileMetaDataset
    from pydicom.uid import ImplicitVRLittleEndian, generate_uid

    now = datetime.now()
    dataset = Dataset()
    dataset.SpecificCharacterSet = CHARACTER_SET
    for keyword in COPIED:
        if keyword in source:
            dataset[keyword] = source[keyword]
    dataset.SOPClassUID, dataset.SOPInstanceUID = RT_STRUCTURE_SET_STORAGE, generate_uid()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    dataset.Modality, dataset.SeriesInstanceUID = "RTSTRUCT", generate_uid()
    dataset.SeriesNumber = int(source.get("SeriesNumber") or 0) + SERIES_NUMBER_OFFSET
    dataset.SeriesDescription = f"Structures ({algorithm.name})"
    dataset.OperatorsName, dataset.PositionReferenceIndicator = "", source.get("PositionReferenceIndicator", "")
    dataset.Manufacturer = algorithm.name
    dataset.ManufacturerModelName = cut(algorithm.model, LONGEST_NAME)[0] or algorithm.name
    dataset.SoftwareVersions = algorithm.version
    dataset.InstanceNumber, dataset.StructureSetLabel = "1", algorithm.name
    dataset.StructureSetDate = dataset.InstanceCreationDate = now.strftime("%Y%m%d")
    dataset.StructureSetTime = dataset.InstanceCreationTime = now.strftime("%H%M%S")
    dataset.ApprovalStatus = "UNAPPROVED"
    return dataset


def _references(sources: Sequence[SliceSource], series: DicomSeries) -> Dataset:
    """Refer to every image of the series, by way of its study."""
    headers = {source.header.SOPInstanceUID: source.header for source in sources}
    images = [_image_reference(header, None) for header in headers.values()]
    of_series = _item(SeriesInstanceUID=series.series_uid, ContourImageSequence=images)
    of_study = _item(
        ReferencedSOPClassUID=STUDY_COMPONENT_MANAGEMENT,
        ReferencedSOPInstanceUID=series.study_uid,
        RTReferencedSeriesSequence=[of_series],
    )
    return _item(FrameOfReferenceUID=series.frame_of_reference_uid, RTReferencedStudySequence=[of_study])


def _image_reference(header: Dataset, frame: int | None) -> Dataset:
    reference = _item(ReferencedSOPClassUID=header.SOPClassUID, ReferencedSOPInstanceUID=header.SOPInstanceUID)
    if frame is not None:
        reference.ReferencedFrameNumber = frame
    return reference


def _roi(segment: Segment, series: DicomSeries, algorithm: Algorithm) -> Dataset:
    model = f", model {algorithm.model}" if algorithm.model else ""
    return _item(
        ROINumber=segment.number,
        ReferencedFrameOfReferenceUID=series.frame_of_reference_uid,
        ROIName=cut(segment.name, LONGEST_NAME)[0],
        ROIGenerationAlgorithm=algorithm.kind,
        ROIGenerationDescription=cut(f"{algorithm.name} {algorithm.version}{model}", LONGEST_NAME)[0],
    )


def _contours(segmentation: Segmentation, segment: Segment, sources: Sequence[SliceSource]) -> Dataset:
    roi = _item(ROIDisplayColor=list(segment.colour), ReferencedROINumber=segment.number)
    mask = segmentation.mask(segment.label)
    contours = [
        _contour(corners.astype(np.float64) - 0.5, sources[k])
        for k in np.flatnonzero(mask.any(axis=(1, 2))).tolist()
        for corners in outlines(mask[k])
    ]
    for number, contour in enumerate(contours, start=1):
        contour.ContourNumber = number
    if contours:
        roi.ContourSequence = contours
    return roi


def _contour(pixels: FloatArray, source: SliceSource) -> Dataset:
    """Write a closed line.

    Args:
        pixels: (N, 2) as (column, row), pixel centres at integers.
        source: The image it lies on.
    """
    from pydicom import DataElement

    contour = _item(
        ContourImageSequence=[_image_reference(source.header, source.frame)],
        ContourGeometricType="CLOSED_PLANAR",
        NumberOfContourPoints=len(pixels),
    )
    # Setting the attribute would check hundreds of thousands of numbers one by one.
    texts = [_decimal(value) for value in source.to_lps(pixels).ravel().tolist()]
    contour["ContourData"] = DataElement("ContourData", "DS", texts, already_converted=True)
    return contour


def _decimal(value: float) -> str:
    return f"{value:.{DECIMALS}f}".rstrip("0").rstrip(".")


def _observation(segment: Segment) -> Dataset:
    code = segment.code
    observation = _item(
        ObservationNumber=segment.number,
        ReferencedROINumber=segment.number,
        RTROIInterpretedType="ORGAN" if code.category == ANATOMY else "",
        ROIInterpreter="",
    )
    if code.is_known:
        kind = _coded(code.kind)
        if code.side is not None:
            kind.SegmentedPropertyTypeModifierCodeSequence = [_coded(code.side)]
        observation.RTROIIdentificationCodeSequence = [kind]
    return observation


def _coded(concept: Concept) -> Dataset:
    return _item(CodeValue=concept.value, CodingSchemeDesignator=SCHEME, CodeMeaning=concept.meaning)


def _item(**attributes: object) -> Dataset:
    from pydicom import Dataset

    item = Dataset()
    for keyword, value in attributes.items():
        setattr(item, keyword, value)
    return item
