"""`medsam2 evaluate --paper-table`: our row beside the published ones."""

from collections.abc import Sequence
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from medsam2.cli.output import Output
from medsam2.datasets import CaseSet
from medsam2.evaluation import ScoredCase
from medsam2.evaluation.paper_tables import PaperTable, TableRow, beside, write_paper_table


def check_data(table: PaperTable, cases: CaseSet, out: Output) -> None:
    """Warn where what is scored is not the paper's data set, or not only its test split."""
    if cases.facts.get("layout") != table.layout:
        out.warn(f"the paper's table '{table.name}' is of {table.layout}; what is scored here does not compare with it")
    elif cases.facts.get("split") is None:
        out.warn("no --split was chosen: cases that a model was trained on are no test")


def show_beside(table: PaperTable, scored: Sequence[ScoredCase], folder: Path, out: Output) -> Path:
    """Print our rows beside the published ones, and write them; gives the file."""
    rows = beside(table, scored)
    out.table(means_beside(table, rows))
    if any(row.structures for row in table.rows):
        out.table(structures_beside(rows))
    out.say(f"{table.note} Published: {table.source}.")
    path = folder / f"paper-{table.name}.csv"
    write_paper_table(rows, path)
    return path


def means_beside(table: PaperTable, rows: Sequence[TableRow]) -> Table:
    """One row a model; ours in bold."""
    shown = _table(table.title)
    for heading in ("model", "Dice", "measured"):
        shown.add_column(heading, justify="right" if heading == "Dice" else "left")
    for row in rows:
        style = "bold" if row.ours else ""
        shown.add_row(Text(row.model), f"{row.mean:.3f}", "here" if row.ours else "published", style=style)
    return shown


def structures_beside(rows: Sequence[TableRow]) -> Table:
    """One row a structure, one column a model that states it."""
    stated = [row for row in rows if row.structures]
    shown = _table("Each structure")
    shown.add_column("structure")
    for row in stated:
        shown.add_column(row.model.replace(" -> ", "\n-> "), justify="right", style="bold" if row.ours else "")
    for name in dict.fromkeys(name for row in stated for name in row.structures):
        values = (f"{row.structures[name]:.3f}" if name in row.structures else "" for row in stated)
        shown.add_row(Text(name), *values)
    return shown


def _table(title: str) -> Table:
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.pad_edge = False
    return table
