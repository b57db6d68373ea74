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

BARE_DICOM = re.compile(rb"[\x02\x08]\x00.\x00([A-Z]{2}|.[\x00-\x03]\x00\x00)|\x00[\x02\x08]\x00.[A-Z]{2}", re.DOTALL)
"""How DICOM begins that has lost its preamble: an element of group 2 or 8, in any of its three encodings."""

ZIP_SUFFIX = ".zip"


def kind_of_name(path: Path) -> FileKind:
    """Give the kind that a file's name promises.

    Raises:
        FormatError: The suffix is unknown.
    """
    kind = _known_kind(path)
    if kind is None:
        raise FormatError(f"{path} has an unknown suffix; expected one of {', '.join(SUFFIXES)}.")
    return kind


def kind_of_file(path: Path) -> FileKind:
    """Give the kind of an existing file, on which its name and its content must agree.

    A folder is taken for a DICOM series, and so is a zip; a DICOM file may have any name that promises nothing else.

    Raises:
        FormatError: The file is missing, unreadable, empty, of unknown kind, or not what its name says.
    """
    if path.is_dir():
        return FileKind.DICOM
    with format_errors(path, "read"), path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    if not head:
        raise FormatError(f"{path} is empty.")
    found = _kind_of_content(head)
    if path.name.lower().endswith(ZIP_SUFFIX) or (found is FileKind.DICOM and _known_kind(path) is None):
        return FileKind.DICOM
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
    if looks_like_dicom(head):
        return FileKind.DICOM
    if METAIMAGE_FIELD.search(head):
        return FileKind.METAIMAGE
    return next((kind for signature, kind in SIGNATURES.items() if head.startswith(signature)), None)


def looks_like_dicom(head: bytes) -> bool:
    """Tell DICOM by a file's first bytes, with or without its preamble."""
    return head[128:132] == b"DICM" or BARE_DICOM.match(head) is not None


def is_dicom(path: Path) -> bool:
    """Tell whether a file looks like DICOM by its first bytes, whatever its name.

    Raises:
        FormatError: It cannot be read.
    """
    with format_errors(path, "read"), path.open("rb") as file:
        return looks_like_dicom(file.read(HEAD_BYTES))


def _known_kind(path: Path) -> FileKind | None:
    name = path.name.lower()
    return next((kind for suffix, kind in SUFFIXES.items() if name.endswith(suffix)), None)


def _is_nifti(head: bytes) -> bool:
    return head[344:348] == b"n+1\0" or head[4:8] == b"n+2\0"


def _inflated(head: bytes) -> bytes:
    """Decompress the beginning of a gzip stream; b"" if it is damaged."""
    try:
        return zlib.decompressobj(wbits=zlib.MAX_WBITS | 16).decompress(head, HEAD_BYTES)
    except zlib.error:
        return b""
