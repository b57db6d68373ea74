"""Files that a command reads and files that it writes: none may be two of them."""

import os
from collections.abc import Iterable
from pathlib import Path

from medsam2.errors import ConfigurationError
from medsam2.io import DicomSeries
from medsam2.spatial import Volume

NamedFile = tuple[str, Path]
"""A file, and what it is to the command: "input", "mask 1", "report"."""


def refuse_clashes(read: Iterable[NamedFile], written: Iterable[NamedFile]) -> None:
    """Refuse to write over a file that is read, and to write two files into one.

    Args:
        read: what is read; a file may be read as several things.
        written: what will be written, whether it is there already or not.

    Raises:
        ConfigurationError: a file that will be written is another one, too.
    """
    taken: dict[object, str] = {}
    for role, path in read:
        taken.setdefault(_identity(path), role)
    for role, path in written:
        other = taken.setdefault(_identity(path), role)
        if other != role:
            raise ConfigurationError(
                f"{path} is given twice, as {other} and as {role}, and one would be lost; "
                "choose another name for one of them"
            )


def files_of(role: str, volume: Volume) -> list[NamedFile]:
    """The files that a scan was read from: of a DICOM series, each of its images."""
    if volume.source is None:
        return []
    header = volume.source.header
    images = header.files if isinstance(header, DicomSeries) else ()
    return [(role, path) for path in (volume.source.path, *images)]


def _identity(path: Path) -> object:
    """What tells a file from all others, whatever name it goes by; of one that is not there, its place."""
    try:
        found = path.stat()
    except OSError:
        return os.path.realpath(path)
    return found.st_dev, found.st_ino
