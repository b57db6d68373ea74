import math

import pytest
from rich.console import Console

from medsam2.reporting import result_table
from medsam2.reporting.palette import PALETTE

NAMES = {4: "spleen [left]", 2: "nothing"}


@pytest.fixture
def result(geometry, labels, make_result):
    return make_result(labels, geometry, NAMES)


def cells(table):
    """Give header, rows and footer as texts."""
    columns = [[str(column.header), *map(str, column.cells), str(column.footer)] for column in table.columns]
    return [list(row) for row in zip(*columns, strict=True)]


def test_rows(result):
    assert cells(result_table(result)) == [
        ["object", "label", "plane", "slices", "mL", "s", "confidence"],
        ["spleen [left]", "4", "axial", "8..9", "0.40", "1.2", "0.75"],
        ["nothing", "2", "axial", "not found", "0.00", "1.2", "-"],
        ["all", "", "", "", "", "3.5", ""],
    ]


def test_scores(result):
    rows = cells(result_table(result, dice={4: 0.9, 2: math.nan}, baseline={2: 0.5}))
    assert [row[7:] for row in rows] == [["Dice", "baseline Dice"], ["0.900", "-"], ["-", "0.500"], ["0.900", "0.500"]]


def test_a_baseline_alone_and_no_known_score(result):
    rows = cells(result_table(result, baseline={4: math.nan}))
    assert [row[7:] for row in rows] == [["baseline Dice"], ["-"], ["-"], ["-"]]


def test_one_object_needs_no_last_row(geometry, labels, make_result):
    assert not result_table(make_result(labels, geometry, {1: "liver"})).show_footer


def test_names_have_the_preview_s_colours_and_are_no_markup(result):
    console = Console(force_terminal=True, color_system="truecolor", width=80)
    with console.capture() as captured:
        console.print(result_table(result, dice={4: 0.9}, baseline={4: 0.9}))
    red, green, blue = PALETTE[0]
    assert f"\x1b[38;2;{red};{green};{blue}mspleen [left]" in captured.get()
