"""The growth is measured, written and drawn; how long anything takes is never asserted."""

import csv
import sys
from pathlib import Path

import pytest
import typer
from PIL import Image
from typer.testing import CliRunner

sys.path.insert(0, str(Path(__file__).parents[2]))  # the benchmarks are no installed package

from benchmarks.cases import Case
from benchmarks.growth import Growth, growth, main, plot

from reference.sam2_transformers import SMALL

BASE = Case(SMALL, 64, 3, 1, "float32")
VARIED = {"slices": (2, 3), "objects": (1, 2), "size": (64, 128)}


@pytest.fixture(scope="module")
def measured():
    return list(growth(SMALL, BASE, VARIED))


def test_one_number_at_a_time_is_changed(measured):
    assert [(one.along, one.value) for one in measured] == [(name, n) for name, two in VARIED.items() for n in two]
    assert all(one.seconds > 0 for one in measured)


def test_a_column_for_each_of_what_varies(measured):
    figure = plot(measured, BASE)
    assert len(figure.axes) == 6
    assert [axes.get_title() for axes in figure.axes[:3]] == [
        "objects 1, size 64",
        "slices 3, size 64",
        "slices 3, objects 1",
    ]
    line = figure.axes[1].lines[0]
    assert list(line.get_xdata()) == [1, 2]
    assert list(line.get_ydata()) == [one.seconds for one in measured[2:4]]


def test_the_command_writes_a_table_and_a_plot(tmp_path, monkeypatch):
    found = [Growth("slices", 4, 1.5, 20.0), Growth("slices", 8, 3.0, None)]
    monkeypatch.setattr("benchmarks.growth.growth", lambda *_: iter(found))
    app = typer.Typer()
    app.command()(main)

    result = CliRunner().invoke(app, ["-o", str(tmp_path / "new")])

    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines() == ["slices 4: 1.50 s, 20 MB", "slices 8: 3.00 s, 0 MB"]
    with (tmp_path / "new" / "growth.csv").open() as file:
        rows = list(csv.reader(file))
    assert rows[1:] == [["slices", "4", "1.5", "20.0"], ["slices", "8", "3.0", ""]]
    with Image.open(tmp_path / "new" / "growth.png") as picture:
        assert picture.format == "PNG"
