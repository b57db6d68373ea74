"""Files of annotations: DICOM SEG, RTSTRUCT, presentation states and structured reports."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pydicom
from pydicom import Dataset

from medsam2.errors import FormatError
from medsam2.io import presentation_annotations, report_annotations, rtstruct_annotations, seg_annotations
from medsam2.io.annotated_series import AnnotatedSeries
from medsam2.io.annotation import Annotation, AnnotationFile
from medsam2.io.dicom_header import header_errors, known_name
from medsam2.spatial import Volume

Reader = Callable[[Dataset, AnnotatedSeries], tuple[list[Annotation], list[str]]]

SEG, RTSTRUCT, STATE, REPORT = "DICOM SEG", "RTSTRUCT", "presentation state", "structured report"
READERS: dict[str, Reader] = {
    SEG: seg_annotations.read,
    RTSTRUCT: rtstruct_annotations.read,
    STATE: presentation_annotations.read,
    REPORT: report_annotations.read,
}

SOP_CLASSES = {
    "1.2.840.10008.5.1.4.1.1.66.4": SEG,
    "1.2.840.10008.5.1.4.1.1.66.7": SEG,
    "1.2.840.10008.5.1.4.1.1.481.3": RTSTRUCT,
    "1.2.840.10008.5.1.4.1.1.11.1": STATE,
    "1.2.840.10008.5.1.4.1.1.11.2": STATE,
    "1.2.840.10008.5.1.4.1.1.88.22": REPORT,  # enhanced
    "1.2.840.10008.5.1.4.1.1.88.33": REPORT,  # comprehensive
    "1.2.840.10008.5.1.4.1.1.88.34": REPORT,  # comprehensive 3D
}


def read(path: Path, volume: Volume) -> AnnotationFile:
    """Read what was drawn on a scan.

    Args:
        path: The file.
        volume: The scan, read from the DICOM series that it was drawn on.

    Raises:
        FormatError: It is damaged, of another kind, of another series, or draws nothing that can be used.
        GeometryError: What is drawn does not fit the scan.
    """
    with header_errors(path):
        dataset = pydicom.dcmread(path, force=True)
        uid = str(dataset.get("SOPClassUID") or dataset.file_meta.get("MediaStorageSOPClassUID") or "")
        kind = SOP_CLASSES.get(uid)
        if kind is None:
            raise FormatError(
                f"{path.name} holds no annotations ({known_name(uid)}); expected a DICOM SEG, an RTSTRUCT, a "
                "presentation state or a structured report. A scan is given as the input."
            )
        annotations, notes = READERS[kind](dataset, AnnotatedSeries(volume, path, kind))
    if not annotations:
        told = f": {' '.join(notes)}" if notes else "."
        raise FormatError(f"{path.name}, a {kind}, draws nothing on the input that could be a prompt{told}")
    return AnnotationFile(kind, tuple(annotations), tuple(notes))
