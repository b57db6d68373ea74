"""What kind of file one is: by its name, and by its first bytes."""

from __future__ import annotations

import re
import zlib
from enum import StrEnum
from pathlib import Path

from medsam2.errors import FormatError
from medsam2.io.libraries import format_errors


class FileKind(StrEnum):
    """A kind of file, by the name that users know."""

    NIFTI = "NIfTI"
    NIFTI_GZ = "gzip-compressed NIfTI"
    NRRD = "NRRD"
    METAIMAGE = "MetaImage"
    PNG = "PNG"
    JPEG = "JPEG"
    TIFF = "TIFF"
    DICOM = "DICOM"


SUFFIXES = {
    ".nii.gz": FileKind.NIFTI_GZ,
    ".nii": FileKind.NIFTI,
    ".nrrd": FileKind.NRRD,
    ".mha": FileKind.METAIMAGE,
    ".mhd": FileKind.METAIMAGE,
    ".png": FileKind.PNG,
    ".jpg": FileKind.JPEG,
    ".jpeg": FileKind.JPEG,
    ".tif": FileKind.TIFF,
    ".tiff": FileKind.TIFF,
    ".dcm": FileKind.DICOM,
}

SIGNATURES = {
    b"NRRD000": FileKind.NRRD,
    b"\x89PNG\r\n\x1a\n": FileKind.PNG,
    b"\xff\xd8\xff": FileKind.JPEG,
    b"II*\x00": FileKind.TIFF,
    b"MM\x00*": FileKind.TIFF,
    b"II+\x00": FileKind.TIFF,  # BigTIFF
    b"MM\x00+": FileKind.TIFF,
}
GZIP_SIGNATURE = b"\x1f\x8b"
METAIMAGE_FIELD = re.compile(rb"^\s*NDims\s*=", re.MULTILINE)

HEAD_BYTES = 4096
"""Enough for the magic of NIfTI (offset 344) and DICOM (offset 128), gzip-compressed or not."""

DICOM_ADVICE = "DICOM is not supported yet; convert the series to NIfTI, for example with dcm2niix"


def kind_of_name(path: Path) -> FileKind:
    """Give the kind that a file's name promises.

    Raises:
        FormatError: The suffix is unknown, or is DICOM's.
    """
    name = path.name.lower()
    kind = next((kind for suffix, kind in SUFFIXES.items() if name.endswith(suffix)), None)
    if kind is FileKind.DICOM:
        raise FormatError(f"{path} is named as DICOM. {DICOM_ADVICE}.")
    if kind is None:
        known = ", ".join(suffix for suffix in SUFFIXES if suffix != ".dcm")
        raise FormatError(f"{path} has an unknown suffix; expected one of {known}.")
    return kind


def kind_of_file(path: Path) -> FileKind:
    """Give the kind of an existing file, on which its name and its content must agree.

    Raises:
        FormatError: The file is missing, unreadable, empty, a folder, DICOM, of unknown kind, or not what its name
            says.
    """
    if path.is_dir():
        raise FormatError(_folder_message(path))
    with format_errors(path, "read"), path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    if not head:
        raise FormatError(f"{path} is empty.")
    found = _kind_of_content(head)
    if found is FileKind.DICOM:
        raise FormatError(f"{path} is a DICOM file. {DICOM_ADVICE}.")
    named = kind_of_name(path)
    if found is None:
        raise FormatError(f"{path} is named as {named}, but its content is not: it may be damaged.")
    if found is not named:
        suffix = next(suffix for suffix, kind in SUFFIXES.items() if kind is found)
        raise FormatError(f"{path} is named as {named}, but holds {found}; rename it to end in {suffix}.")
    return named


def _kind_of_content(head: bytes) -> FileKind | None:
    if head.startswith(GZIP_SIGNATURE):
        return FileKind.NIFTI_GZ if _is_nifti(_inflated(head)) else None
    if _is_nifti(head):
        return FileKind.NIFTI
    if head[128:132] == b"DICM":
        return FileKind.DICOM
    if METAIMAGE_FIELD.search(head):
        return FileKind.METAIMAGE
    return next((kind for signature, kind in SIGNATURES.items() if head.startswith(signature)), None)


def _is_nifti(head: bytes) -> bool:
    return head[344:348] == b"n+1\0" or head[4:8] == b"n+2\0"


def _inflated(head: bytes) -> bytes:
    """Decompress the beginning of a gzip stream; b"" if it is damaged."""
    try:
        return zlib.decompressobj(wbits=zlib.MAX_WBITS | 16).decompress(head, HEAD_BYTES)
    except zlib.error:
        return b""


def _folder_message(path: Path) -> str:
    with format_errors(path, "read"):
        files = list(path.iterdir())
    if any(file.suffix.lower() == ".dcm" for file in files):
        return f"{path} is a folder of DICOM files. {DICOM_ADVICE}."
    return f"{path} is a folder; expected a file. ({DICOM_ADVICE}.)"
