"""The table of a result, for the terminal."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from statistics import mean, median

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from medsam2.engine.volume_result import ObjectResult, SegmentationResult
from medsam2.reporting.palette import object_colour
from medsam2.reporting.statistics import format_ml, found_slices

NOTHING = "-"
"""Stands where there is no number."""

Scores = Mapping[int, float]


def result_table(result: SegmentationResult, dice: Scores | None = None, baseline: Scores | None = None) -> Table:
    """Tabulate what was found, one row an object; below stand the seconds of all, and mean scores.

    The slices are those in which the object was found, as indices in the file, and the confidence is the median over
    them. Names have the colours of the preview.

    Args:
        result: What was found.
        dice: Dice of each object with a reference, by label; NaN and missing ones show as "-". None: no such column.
        baseline: The same of what it is compared with.
    """
    scores = [column for column in (dice, baseline) if column is not None]
    objects = result.objects
    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), show_footer=len(objects) > 1)
    table.add_column("object", footer="all", min_width=10)
    table.add_column("label", justify="right")
    table.add_column("plane", no_wrap=True)
    table.add_column("slices", justify="right", no_wrap=True)
    table.add_column("mL", justify="right", no_wrap=True)
    table.add_column("s", justify="right", footer=f"{result.seconds:.1f}")
    table.add_column("confidence", justify="right", no_wrap=True)
    if dice is not None:
        table.add_column("Dice", justify="right", footer=_mean_score(objects, dice))
    if baseline is not None:
        table.add_column("baseline Dice", justify="right", max_width=8, footer=_mean_score(objects, baseline))
    for number, one in enumerate(objects):
        table.add_row(*_cells(number, one), *(_score(column.get(one.label)) for column in scores))
    return table


def _cells(number: int, one: ObjectResult) -> tuple[Text | str, ...]:
    red, green, blue = object_colour(number)
    found = set(found_slices(one))
    confidences = [slice_.confidence for slice_ in one.slices if slice_.slice_index in found]
    return (
        Text(one.name, style=f"rgb({red},{green},{blue})"),
        str(one.label),
        one.plane.value,
        f"{min(found)}..{max(found)}" if found else "not found",
        format_ml(one.volume_ml),
        f"{one.seconds:.1f}",
        f"{median(confidences):.2f}" if confidences else NOTHING,
    )


def _score(value: float | None) -> str:
    return NOTHING if value is None or math.isnan(value) else f"{value:.3f}"


def _mean_score(objects: Iterable[ObjectResult], scores: Scores) -> str:
    values = [scores[one.label] for one in objects if one.label in scores]
    known = [value for value in values if not math.isnan(value)]
    return f"{mean(known):.3f}" if known else NOTHING
