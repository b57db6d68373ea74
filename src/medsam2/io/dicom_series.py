"""What is kept of a DICOM series once its pixels are read: enough to refer to each slice, nothing of the patient."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple


class DicomInstance(NamedTuple):
    """Where one slice comes from.

    Attributes:
        path: Its file.
        frame: Its number in a multi-frame file, from 1 as DICOM counts; None in a file of one frame.
        uid: The SOP instance UID of the file.
    """

    path: Path
    frame: int | None
    uid: str


@dataclass(frozen=True)
class DicomSeries:
    """The series that a volume was read from: the `SourceFile.header` of the format "dicom".

    Of a zip, the files are unpacked in a folder that is removed when this object is gone.

    Attributes:
        study_uid: Study instance UID.
        series_uid: Series instance UID.
        frame_of_reference_uid: What the positions refer to; "" in a series without.
        modality: "CT", "MR", ...
        files: The files that were read, each once.
        instances: The source of slice k of the volume's array, for each k.
    """

    study_uid: str
    series_uid: str
    frame_of_reference_uid: str
    modality: str
    files: tuple[Path, ...]
    instances: tuple[DicomInstance, ...]
