"""Writing a table as CSV."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

from medsam2.files import written_whole


def write_csv(path: Path, columns: Sequence[str], rows: Iterable[Sequence[str | int]]) -> None:
    """Write a table as UTF-8, whole or not at all.

    What is no Unicode, as in file names of other encodings, is written with a backslash.

    Args:
        path: of the file.
        columns: the heading.
        rows: below it.

    Raises:
        OSError: the file cannot be written.
    """
    with (
        written_whole(path) as draft,
        draft.open("w", newline="", encoding="utf-8", errors="backslashreplace") as file,
    ):
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(rows)
