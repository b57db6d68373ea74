"""A table of one's own: a CSV file with the columns image and label, and, if wished, patient, split and name.

Paths are relative to the table's folder. `labels.json` beside it names the structures to score. A manifest is also how
cases of another layout are left out, or given other splits.
"""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

from medsam2.datasets.cases import CaseSource
from medsam2.datasets.layout import OWN_TERMS, Layout, Tree, file_case, nothing_found, stem
from medsam2.datasets.structures import Structures, read_structures
from medsam2.errors import FormatError

NEEDED = ("image", "label")
OPTIONAL = ("patient", "split", "name")

LOOKS_LIKE = "a CSV file with the columns image,label and, if wished, patient,split,name"

Row = dict[str, str]


def find(table: Path) -> Tree:
    """One case a row, named by the column `name` or by the image's file.

    Raises:
        FormatError: the table is missing, empty, or has other columns.
    """
    if not table.is_file():
        raise nothing_found(table, LOOKS_LIKE)
    rows = _rows(table)
    structures = read_structures(table.parent)
    problems = []
    for number, row in enumerate(rows, start=2):  # as a spreadsheet counts lines; the first holds the columns
        missing = [column for column in NEEDED if not (row[column] and (table.parent / row[column]).is_file())]
        problems += [f"{table}, line {number}: {column} '{row[column]}' is no file" for column in missing]
    twice = [name for name, count in Counter(map(_name, rows)).items() if count > 1]
    problems += [
        f"{table}: {name} names several cases; expected one row a case, or names of their own" for name in twice
    ]
    return Tree(tuple(_source(row, table.parent, structures) for row in rows), tuple(problems))


def _rows(table: Path) -> list[Row]:
    try:
        with table.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            columns = list(reader.fieldnames or ())
            rows = [{key: (value or "").strip() for key, value in row.items() if key in columns} for row in reader]
    except (OSError, ValueError, csv.Error) as error:
        raise FormatError(f"{table} cannot be read as a table: {error}") from error
    if not set(NEEDED) <= set(columns) <= {*NEEDED, *OPTIONAL} or not rows:
        raise FormatError(f"{table}: has the columns {', '.join(columns)} and {len(rows)} rows; expected {LOOKS_LIKE}")
    return rows


def _name(row: Row) -> str:
    return row.get("name") or stem(Path(row["image"]))


def _source(row: Row, folder: Path, structures: Structures) -> CaseSource:
    name = _name(row)
    load = file_case(name, folder / row["image"], folder / row["label"], structures)
    return CaseSource(name, load, row.get("patient") or None, row.get("split") or None)


MANIFEST = Layout("manifest", "a table of images and labels", "the user's own", OWN_TERMS, LOOKS_LIKE, find)
