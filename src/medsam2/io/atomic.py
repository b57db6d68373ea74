"""Writing files whole or not at all, with this package's errors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from medsam2 import files
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
