"""The comparison runs, agrees and writes what it found; how long anything takes is never asserted."""

import csv
import json
import sys
import tomllib
from pathlib import Path

import pytest
import torch
import typer
from typer.testing import CliRunner

sys.path.insert(0, str(Path(__file__).parents[2]))  # the benchmarks are no installed package

from benchmarks.cases import Case, Grid
from benchmarks.compare import compare, machine, main, mean_dice
from benchmarks.measures import Run, gigaflops, measure
from benchmarks.table import COLUMNS, markdown, write

from medsam2.network import NetworkConfig
from medsam2.weights.openvino_encoder import openvino_is_installed
from reference.sam2_transformers import SMALL

GRID = Grid(sizes=(64,), objects=(1, 2), slices=3, precisions=("bfloat16", "float32"))


@pytest.fixture(scope="module")
def rows():
    return list(compare(SMALL, GRID, without=("sam2", "medsam2-openvino")))


def test_every_implementation_in_every_case(rows):
    found = [(one.objects, one.precision, one.implementation) for one in rows]
    pairs = ("float32", "medsam2"), ("float32", "transformers"), ("bfloat16", "medsam2"), ("bfloat16", "transformers")
    assert found == [(objects, *pair) for objects in (1, 2) for pair in pairs]


@pytest.mark.skipif(not openvino_is_installed(), reason="the extra 'openvino' is not installed")
def test_the_compiled_encoder_takes_part_where_it_is_installed(tmp_path, monkeypatch):
    monkeypatch.setenv("MEDSAM2_CACHE", str(tmp_path))
    grid = Grid(sizes=(64,), objects=(1,), slices=2, precisions=("float32",))
    plain, compiled = compare(SMALL, grid, without=("sam2", "transformers"))
    assert (plain.implementation, compiled.implementation) == ("medsam2", "medsam2-openvino")
    assert compiled.differing_pixels <= 2  # sums are taken in another order


def test_masks_are_the_same_in_float32(rows):
    assert [one.differing_pixels for one in rows if one.precision == "float32"] == [0] * 4
    assert all(one.dice > 0.9 and one.differing_pixels is None for one in rows if one.precision == "bfloat16")


def test_ratios_are_to_ours(rows):
    for one in rows:
        ours = next(
            two
            for two in rows
            if (two.objects, two.precision, two.implementation) == (one.objects, one.precision, "medsam2")
        )
        assert one.ratio == one.seconds / ours.seconds
        assert one.gflop == ours.gflop > 0
        assert one.share_of_peak > 0


def test_the_fastest_round_counts(monkeypatch):
    seconds = iter([5.0, 4.0, 3.0, 9.0])  # ours and theirs, in turns
    monkeypatch.setattr("benchmarks.compare.measure", lambda work: (work(), Run(next(seconds), None)))
    grid = Grid(sizes=(64,), objects=(1,), slices=2, precisions=("float32",), rounds=2)
    ours, theirs = compare(SMALL, grid, without=("sam2", "medsam2-openvino"))
    assert (ours.seconds, theirs.seconds) == (3.0, 4.0)
    assert theirs.differing_pixels == 0


def test_two_objects_are_more_work_than_one_and_less_than_twice(rows):
    one, two = (next(row.gflop for row in rows if row.objects == objects) for objects in (1, 2))
    assert one < two < 2 * one


def test_what_is_written(rows, tmp_path):
    write(rows, {"processor": "some"}, tmp_path / "new")

    text = (tmp_path / "new" / "compare.md").read_text()
    assert text == f"- processor: some\n\n{markdown(rows)}\n"
    header, _, *lines = markdown(rows).splitlines()
    assert header == "| " + " | ".join(COLUMNS) + " |"
    assert len(lines) == len(rows)
    with (tmp_path / "new" / "compare.csv").open() as file:
        assert [float(line["seconds"]) for line in csv.DictReader(file)] == [row.seconds for row in rows]
    assert json.loads((tmp_path / "new" / "compare.json").read_text())["rows"][0]["implementation"] == "medsam2"


def test_the_command_measures_what_is_asked_for(rows, tmp_path, monkeypatch):
    asked = []

    def measured(config, grid, without):
        asked.append((config, grid, without))
        yield from rows

    monkeypatch.setattr("benchmarks.compare.compare", measured)
    app = typer.Typer()
    app.command()(main)
    flags = [
        "--size",
        "64",
        "--objects",
        "1",
        "--objects",
        "2",
        "--slices",
        "3",
        "--precision",
        "float32",
        "--rounds",
        "2",
    ]

    result = CliRunner().invoke(app, [*flags, "--rounds", "2", "--without", "sam2", "-o", str(tmp_path)])

    assert result.exit_code == 0
    assert asked == [
        (NetworkConfig.preset("sam2.1-hiera-tiny"), Grid((64,), (1, 2), 3, ("float32",), rounds=2), ("sam2",)),
    ]
    assert result.stdout == markdown(rows) + "\n"
    assert (tmp_path / "compare.md").read_text().endswith(markdown(rows) + "\n")


def test_machine_has_no_name_of_a_host():
    assert set(machine()) == {
        "processor",
        "threads",
        "system",
        "torch",
        "transformers",
        "matmul float32, GFLOP/s",
        "matmul bfloat16, GFLOP/s",
    }


def test_dice_of_masks():
    found, truth = torch.zeros(2, 2, 3, 1, 4, dtype=torch.bool)  # two slices, three objects, masks of four pixels
    found[0, 0], truth[0, 0, :, :2] = True, True  # half of it right
    found[1, 1], truth[1, 1] = True, True
    assert mean_dice(found, truth) == pytest.approx((2 * 2 / 6 + 1) / 2)


def test_cases_are_always_the_same():
    case = Case(SMALL, size=32, slices=2, objects=3, precision="float32")
    assert torch.equal(case.frames(), case.frames())
    assert case.frames().shape == (2, 3, 32, 32)
    for one, other in zip(case.prompts(), case.prompts(), strict=True):
        assert torch.equal(one.points, other.points)
        assert (one.points[1] > one.points[0]).all()


def test_arithmetic_is_counted():
    left, query = torch.ones(2, 3), torch.ones(1, 1, 4, 8)
    with torch.inference_mode():
        assert gigaflops(lambda: left @ left.T) == pytest.approx(2 * 2 * 3 * 2 / 1e9)
        attention = torch.nn.functional.scaled_dot_product_attention
        assert gigaflops(lambda: attention(query, query, query)) == pytest.approx(2 * 2 * 4 * 4 * 8 / 1e9)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux counts a peak anew")
def test_memory_is_that_of_the_work():
    size, run = measure(lambda: torch.ones(8 * 1024 * 1024).sum().item())
    assert size == 8 * 1024 * 1024
    assert 30 < run.peak_mb < 100


def test_the_source_distribution_has_the_benchmarks_beside_their_tests():
    root = Path(__file__).parents[2]
    build = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["hatch"]["build"]
    included = build["targets"]["sdist"]["include"]
    assert {"/src", "/tests", "/benchmarks"} <= set(included)
    assert [one for one in included if not (root / one.removeprefix("/")).exists()] == []
