"""The paper's tables: what it published, and what a run scores beside it.

All published numbers stand in one file, `paper_tables.json`, with their source.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from pathlib import Path
from statistics import mean

from medsam2.errors import ConfigurationError, FormatError
from medsam2.evaluation.csv_tables import write_csv
from medsam2.evaluation.headings import ROWS
from medsam2.evaluation.protocols import Protocol
from medsam2.evaluation.run_log import ScoredCase
from medsam2.evaluation.scores import is_known

NUMBERS = "paper_tables.json"


@dataclass(frozen=True)
class TableRow:
    """What one model scores.

    Attributes:
        model: its name; of a run, how it was prompted.
        mean: Dice, over structures that each count once.
        structures: Dice of each, as far as it is known.
        ours: it was measured here, and not published.
    """

    model: str
    mean: float
    structures: Mapping[str, float] = field(default_factory=dict)
    ours: bool = False


@dataclass(frozen=True)
class PaperTable:
    """A table of the paper, and how to measure one's own row.

    Attributes:
        name: that the command's flag takes.
        title: what was measured.
        layout: of the data set.
        recipe: that trains for it.
        protocols: nearest to the paper's.
        note: what is to be known when comparing.
        rows: as published.
        source: of the numbers.
    """

    name: str
    title: str
    layout: str
    recipe: str
    protocols: tuple[Protocol, ...]
    note: str
    rows: tuple[TableRow, ...]
    source: str


@cache
def paper_tables() -> dict[str, PaperTable]:
    """All tables, by name."""
    told = json.loads(files("medsam2.evaluation").joinpath(NUMBERS).read_text(encoding="utf-8"))
    tables = [
        PaperTable(
            **{
                **table,
                "protocols": tuple(Protocol(name) for name in table["protocols"]),
                "rows": tuple(TableRow(**row) for row in table["rows"]),
            },
            source=told["source"],
        )
        for table in told["tables"]
    ]
    return {table.name: table for table in tables}


def paper_table(name: str) -> PaperTable:
    """The table of a name.

    Raises:
        ConfigurationError: there is none.
    """
    tables = paper_tables()
    if name not in tables:
        raise ConfigurationError(f"there is no paper table '{name}'; choose among {', '.join(tables)}")
    return tables[name]


def our_rows(scored: Sequence[ScoredCase]) -> list[TableRow]:
    """A row for each protocol that was run: the mean of each structure over its cases, and the mean of these."""
    rows = []
    for column, heading in ROWS.items():
        by_structure: dict[str, list[float]] = defaultdict(list)
        for case in scored:
            for row in case.scores:
                if is_known(row.values, column):
                    by_structure[row.structure].append(row.values[column])
        if by_structure:
            structures = {name: mean(values) for name, values in by_structure.items()}
            rows.append(TableRow(heading.strip(), mean(structures.values()), structures, ours=True))
    return rows


def beside(table: PaperTable, scored: Sequence[ScoredCase]) -> list[TableRow]:
    """Our rows, and then the published ones."""
    return [*our_rows(scored), *table.rows]


def write_paper_table(rows: Sequence[TableRow], path: Path) -> None:
    """Write rows as CSV, whole or not at all: model, whether it was measured here, the mean, and each structure.

    Raises:
        FormatError: the file cannot be written.
    """
    structures = list(dict.fromkeys(name for row in rows for name in row.structures))
    try:
        write_csv(path, ["model", "measured", "mean", *structures], (_csv_row(row, structures) for row in rows))
    except OSError as error:
        raise FormatError(f"{path}: cannot be written ({error.strerror})") from error


def _csv_row(row: TableRow, structures: Sequence[str]) -> list[str]:
    values = (f"{row.structures[name]:.3f}" if name in row.structures else "" for name in structures)
    return [row.model, "here" if row.ours else "published", f"{row.mean:.3f}", *values]
