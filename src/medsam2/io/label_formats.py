"""Formats that hold objects with names, and not only labels: which one an output asks for, and its writer.

To add one, write a module with `write` like its neighbours, and give its suffixes and its import below.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from pathlib import Path

from medsam2.errors import ConfigurationError
from medsam2.io import coco, dicom_seg, rtstruct, seg_nrrd
from medsam2.io.segments import Algorithm
from medsam2.spatial import Segmentation

Writer = Callable[[Segmentation, Path, Algorithm], tuple[str, ...]]


class LabelFormat(StrEnum):
    """A format of segmentations, by the name that the command line has for it."""

    DICOM_SEG = "dicom-seg"
    RTSTRUCT = "rtstruct"
    SEG_NRRD = "seg-nrrd"
    COCO = "coco"


WRITERS: dict[LabelFormat, Writer] = {
    LabelFormat.DICOM_SEG: dicom_seg.write,
    LabelFormat.RTSTRUCT: rtstruct.write,
    LabelFormat.SEG_NRRD: seg_nrrd.write,
    LabelFormat.COCO: coco.write,
}

SUFFIXES = {
    ".rtstruct.dcm": LabelFormat.RTSTRUCT,
    ".dcm": LabelFormat.DICOM_SEG,
    ".seg.nrrd": LabelFormat.SEG_NRRD,
    ".coco.json": LabelFormat.COCO,
}
"""What a name alone asks for; the longer suffix first."""

NEEDED_SUFFIX = {
    LabelFormat.DICOM_SEG: ".dcm",
    LabelFormat.RTSTRUCT: ".dcm",
    LabelFormat.SEG_NRRD: ".nrrd",
    LabelFormat.COCO: ".json",
}


def label_format(path: Path, chosen: LabelFormat | None = None) -> LabelFormat | None:
    """Give the format to write.

    Args:
        path: The output.
        chosen: What the user asked for; None: what the suffix says.

    Returns:
        The format; None for a plain label map, whose format the suffix says.

    Raises:
        ConfigurationError: The format asked for is not one of files of that suffix.
    """
    name = path.name.lower()
    if chosen is None:
        return next((format_ for suffix, format_ in SUFFIXES.items() if name.endswith(suffix)), None)
    if not name.endswith(NEEDED_SUFFIX[chosen]):
        raise ConfigurationError(
            f"{path} is to be of format {chosen}; expected a name that ends in {NEEDED_SUFFIX[chosen]}"
        )
    return chosen
