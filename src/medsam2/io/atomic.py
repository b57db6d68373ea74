"""Writing files whole or not at all, with this package's errors, and trying beforehand whether that can be done."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from medsam2 import files
from medsam2.errors import FormatError
from medsam2.io.libraries import format_errors


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Give a draft to write in place of a file, see `medsam2.files.written_whole`.

    Args:
        path: The file to write.

    Yields:
        The draft's path.

    Raises:
        FormatError: The file or its folder cannot be written.
    """
    with format_errors(path, "written"), files.written_whole(path) as draft:
        yield draft


@contextmanager
def trial_of(path: Path) -> Iterator[Path]:
    """Give a file to write on trial, to learn whether another one could be written; nothing of it stays.

    It has that one's name, and lies in a temporary folder in its folder, or in the nearest one that is there.

    Args:
        path: The file that is to be written later.

    Yields:
        The path of the trial.

    Raises:
        FormatError: The path is that of a folder, or nothing can be written there.
    """
    with format_errors(path, "written"):
        if path.is_dir():
            raise FormatError(f"{path} is a folder; expected the name of a file to write.")
        folder = next(one for one in path.absolute().parents if one.exists())
        with TemporaryDirectory(prefix=".medsam2-", dir=folder) as trial:
            yield Path(trial) / path.name


def check_writable(path: Path) -> None:
    """Refuse a file that could not be written, before hours of work are spent on it.

    Raises:
        FormatError: The path is that of a folder, or nothing can be written there.
    """
    with trial_of(path) as trial:
        trial.touch()
