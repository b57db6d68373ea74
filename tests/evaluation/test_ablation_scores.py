import csv
import json
import math
from statistics import stdev

import pytest

from medsam2.errors import FormatError
from medsam2.evaluation.ablation import Ablation, Variant, VariantRun
from medsam2.evaluation.ablation_scores import by_variant, standings, variant_header, write_ablation
from medsam2.evaluation.protocols import Protocol
from medsam2.evaluation.run_log import ScoredCase
from medsam2.evaluation.scores import StructureScores
from medsam2.memory import MemoryOptions
from medsam2.spatial import Plane

VARIANTS = (Variant("plain", {"memory": "fifo"}), Variant("drawn", {"memory": "confidence"}, drawn=True))
HEADER = {"model": {"name": "tiny"}, "set": {"name": "toys"}}


def run(variant, seed, *dice, seconds=0.5):
    """One case a value, of ten slices each."""
    cases = []
    for number, value in enumerate(dice):
        values = {"mask_volume": value, "mask_volume_seconds": seconds, "mask_set": math.nan}
        row = StructureScores(f"case {number}", "liver", 3, "axial", 4, 20, values)
        cases.append(ScoredCase(f"case {number}", "i", "l", 10, (row,)))
    return VariantRun(variant, seed, tuple(cases))


RUNS = [run("plain", None, 0.5, 0.7), run("drawn", 0, 0.6, 0.7), run("drawn", 1, 0.8, 0.9, seconds=1.5)]
BOTH = (Protocol.MASK_VOLUME, Protocol.MASK_SET)


def test_means_spread_and_gain_are_those_worked_by_hand():
    found = standings(Ablation(VARIANTS, BOTH), RUNS)
    assert list(found) == ["plain", "drawn"]
    plain, drawn = found["plain"]["mask_volume"], found["drawn"]["mask_volume"]
    assert (plain.mean, plain.spread, plain.gain, plain.structures) == (pytest.approx(0.6), None, None, 2)
    assert drawn.mean == pytest.approx((0.65 + 0.85) / 2)
    assert drawn.spread == pytest.approx(stdev([0.65, 0.85]))
    # Of the first case .7 - .5, of the second .8 - .7.
    assert drawn.gain.mean == pytest.approx(0.15)
    assert drawn.gain.interval == pytest.approx((0.1, 0.2))
    assert (plain.seconds, drawn.seconds) == (0.5, 1.0)


def test_other_metrics_stand_beside_the_dice_where_they_were_measured():
    runs = [run("plain", None, 0.5, 0.7), run("drawn", 0, 0.6, 0.7)]
    for number, one in enumerate(runs):
        for case in one.cases:
            case.scores[0].values["mask_volume_hd95"] = 8.0 - number
    found = standings(Ablation(VARIANTS, BOTH), runs)
    assert list(found["drawn"]) == ["mask_volume", "mask_volume_hd95"]
    assert (found["drawn"]["mask_volume_hd95"].mean, found["drawn"]["mask_volume_hd95"].gain.mean) == (7.0, -1.0)
    assert found["drawn"]["mask_volume_hd95"].seconds is None


def test_what_has_no_value_is_left_out():
    assert all("mask_set" not in columns for columns in standings(Ablation(VARIANTS, BOTH), RUNS).values())


def test_fused_runs_tell_the_seconds_of_a_case():
    found = standings(Ablation(VARIANTS, BOTH, fused=True), RUNS)
    assert found["plain"]["mask_volume"].seconds == 5.0  # half a second for each of ten slices


def test_with_one_patient_there_is_no_interval():
    found = standings(Ablation(VARIANTS, BOTH), [run("plain", None, 0.5), run("drawn", 0, 0.25)])
    assert (found["drawn"]["mask_volume"].gain.mean, found["drawn"]["mask_volume"].gain.interval) == (-0.25, None)
    assert found["drawn"]["mask_volume"].spread is None


def test_runs_are_grouped_by_variant():
    assert [[one.seed for one in runs] for runs in by_variant(RUNS).values()] == [[None], [0, 1]]


def test_the_header_of_a_run_tells_its_variant():
    changes = {"memory_options": MemoryOptions(capacity=3), "orientations": tuple(Plane), "memory_seed": 2}
    told = variant_header(HEADER, Variant("x", changes))
    assert told["model"] == {"name": "tiny"}
    assert json.loads(json.dumps(told))["variant"]["changes"] == {
        "memory_options": {"capacity": 3}, "orientations": ["axial", "coronal", "sagittal"], "memory_seed": 2,
    }  # fmt: skip


def test_the_files_hold_all_runs(tmp_path):
    paths = tmp_path / "out" / "a.csv", tmp_path / "out" / "a.json"
    write_ablation(Ablation(VARIANTS, BOTH), HEADER, RUNS, paths)
    with paths[0].open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["variant"], row["seed"], row["case"], row["mask_volume"]) for row in rows] == [
        ("plain", "", "case 0", "0.50000"), ("plain", "", "case 1", "0.70000"), ("drawn", "0", "case 0", "0.60000"),
        ("drawn", "0", "case 1", "0.70000"), ("drawn", "1", "case 0", "0.80000"), ("drawn", "1", "case 1", "0.90000"),
    ]  # fmt: skip
    assert rows[0]["mask_set"] == ""
    told = json.loads(paths[1].read_text(encoding="utf-8"))
    assert (told["first"], told["model"]["name"], told["set"]["name"]) == ("plain", "tiny", "toys")
    assert len(told["set"]["sha256"]) == 64
    plain, drawn = told["variants"]
    assert (plain["seeds"], drawn["seeds"]) == ([], [0, 1])
    assert drawn["columns"]["mask_volume"]["gain"]["mean"] == 0.15
    assert plain["columns"]["mask_volume"]["gain"] is None


def test_files_that_cannot_be_written_are_an_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(FormatError, match="scores cannot be written"):
        write_ablation(Ablation(VARIANTS, BOTH), HEADER, RUNS, (tmp_path / "file" / "a.csv", tmp_path / "a.json"))
