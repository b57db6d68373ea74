"""The DICOM files of a path: one file, all of a folder and its subfolders, or all of a zip."""

from __future__ import annotations

import os
import shutil
import tempfile
import weakref
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from medsam2.errors import FormatError
from medsam2.io.kinds import HEAD_BYTES, looks_like_dicom
from medsam2.io.libraries import format_errors

LARGEST_UNPACKED_BYTES = 16 * 2**30
"""A zip that unpacks to more is refused before anything is written."""

MOST_MEMBERS = 100_000
"""A zip of more files is refused."""

ENCRYPTED = 0x1
"""Bit of a zip member's flags."""

_ZIP_ERRORS = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError)


class DicomFiles:
    """Files to read, and the folder that holds them if they came from a zip.

    That folder is removed when this object is gone.

    Attributes:
        paths: The files, in the order of their names.
    """

    def __init__(self, paths: tuple[Path, ...], unpacked: Path | None = None) -> None:
        self.paths = paths
        self._removal = weakref.finalize(self, _remove, unpacked)

    def remove(self) -> None:
        """Remove that folder now."""
        self._removal()


def _remove(folder: Path | None) -> None:
    if folder is not None:
        shutil.rmtree(folder, ignore_errors=True)


def find_files(path: Path) -> DicomFiles:
    """Find the files of a path that look like DICOM by their first bytes; names and suffixes do not matter.

    Hidden files and links to folders are passed over in a folder. A single file is taken as it is.

    Raises:
        FormatError: The path cannot be read, or there is no such file.
    """
    if path.is_dir():
        return DicomFiles(_found(_folder_files(path), "the folder"))
    if path.suffix.lower() == ".zip":
        return _unpacked(path)
    return DicomFiles((path,))


def _folder_files(folder: Path) -> Iterator[Path]:
    for place, folders, names in os.walk(folder, onerror=_refuse):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            file = Path(place) / name
            if not name.startswith(".") and file.is_file() and _is_dicom(file):
                yield file


def _is_dicom(file: Path) -> bool:
    with format_errors(Path(file.name), "read"), file.open("rb") as stream:
        return looks_like_dicom(stream.read(HEAD_BYTES))


def _refuse(error: OSError) -> None:
    raise FormatError(f"the folder cannot be read: {error.strerror}.") from error


def _found(files: Iterator[Path], where: str) -> tuple[Path, ...]:
    paths = tuple(files)
    if not paths:
        raise FormatError(f"{where} holds no DICOM file; expected those of a series.")
    return paths


def _unpacked(path: Path) -> DicomFiles:
    folder = Path(tempfile.mkdtemp(prefix="medsam2-dicom-"))
    # Made first, so that the folder goes whatever happens below.
    files = DicomFiles((), folder)
    name = Path(path.name)
    with format_errors(name, "read", *_ZIP_ERRORS), zipfile.ZipFile(path) as archive:
        members = _members(name, archive)
        files.paths = _found(_written(archive, members, folder), path.name)
    return files


def _members(name: Path, archive: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    """Give the files of a zip, if it is safe to unpack them."""
    members = [member for member in archive.infolist() if not member.is_dir()]
    total = sum(member.file_size for member in members)
    if total > LARGEST_UNPACKED_BYTES or len(members) > MOST_MEMBERS:
        raise FormatError(
            f"{name} unpacks to {len(members)} files of {total / 2**30:.1f} GiB; expected at most {MOST_MEMBERS} files "
            f"and {LARGEST_UNPACKED_BYTES / 2**30:g} GiB. Unpack it yourself and give the folder."
        )
    if any(member.flag_bits & ENCRYPTED for member in members):
        raise FormatError(f"{name} is encrypted; unpack it and give the folder.")
    return sorted(members, key=lambda member: member.filename)


def _written(archive: zipfile.ZipFile, members: list[zipfile.ZipInfo], folder: Path) -> Iterator[Path]:
    """Write what is DICOM into a folder of its own each: a member's path may lead anywhere, its name alone cannot."""
    for number, member in enumerate(members):
        name = PurePosixPath(member.filename.replace("\\", "/")).name
        with archive.open(member) as content:
            head = content.read(HEAD_BYTES)
            if name.startswith(".") or not looks_like_dicom(head):
                continue
            file = folder / str(number) / name
            file.parent.mkdir()
            with file.open("wb") as out:
                # zipfile gives no more bytes than the size that was summed above.
                out.write(head)
                shutil.copyfileobj(content, out)
        yield file
