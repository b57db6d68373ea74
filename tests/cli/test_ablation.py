"""`medsam2 evaluate --ablate`: its tables, its files, that it goes on after a kill, and what it refuses."""

import json
from csv import DictReader
from io import StringIO

import nibabel
import numpy as np
import pytest
from rich.console import Console

from medsam2.cli import ablation as module
from medsam2.cli import evaluate as command
from medsam2.cli.ablation import dice_table, gain_table
from medsam2.cli.app import run
from medsam2.evaluation import ABLATIONS, Standing, SyntheticSettings, unseen_synthetic_set
from medsam2.evaluation.ablation_scores import Gain
from medsam2.weights import WeightsCard, save_network


@pytest.fixture
def weights(tiny_network, tmp_path):
    path = tmp_path / "tiny.safetensors"
    save_network(tiny_network, path, WeightsCard("tiny", tiny_network.config))
    return path


@pytest.fixture
def folder(tmp_path):
    """Two labelled scans of six slices."""
    (tmp_path / "scans").mkdir()
    labels = np.zeros((20, 18, 6), np.uint8)
    labels[4:12, 5:14, 1:5] = 3
    for seed, name in enumerate(("a", "b")):
        values = np.random.default_rng(seed).normal(100, 10, labels.shape) + 60 * labels
        for array, suffix in ((values.astype(np.int16), ""), (labels, "_label")):
            image = nibabel.Nifti1Image(array, np.diag([1, 1, 4.0, 1]))
            nibabel.save(image, tmp_path / "scans" / f"{name}{suffix}.nii.gz")
    return tmp_path / "scans"


@pytest.fixture
def call(weights, tmp_path, capsys):
    def evaluate(*flags):
        given = ["evaluate", "--model", weights, "-d", "cpu", "-o", tmp_path / "out", *flags]
        code = run([str(one) for one in given])
        said = capsys.readouterr()
        return code, said.out, said.err

    return evaluate


def test_memory_is_compared_on_volumes_and_sets(call, monkeypatch, tmp_path):
    small = SyntheticSettings(volumes=1, sets=1, size=64, frames=8, pictures=3, structures=1)
    monkeypatch.setattr(command, "unseen_synthetic_set", lambda: unseen_synthetic_set(small))
    code, said, _ = call("--ablate", "memory", "--seeds", "2")
    assert code == 0
    for words in ("Dice, ± over seeds", "Gain over FIFO", "+ gate", "+ dissimilarity", "released"):
        assert words in said
    told = json.loads((tmp_path / "out" / "ablation-memory.json").read_text())
    assert [one["name"] for one in told["variants"]] == [one.name for one in ABLATIONS["memory"].variants]
    assert told["variants"][3]["seeds"] == [0, 1]
    for one in told["variants"]:
        assert set(one["columns"]) == {"mask_volume", "box_volume", "mask_set"}
        assert all(0 <= column["mean"] <= 1 for column in one["columns"].values())
    assert told["protocols"] == ["mask-volume", "box-volume", "mask-set"]
    assert (tmp_path / "out" / "ablation-memory.csv").read_text().count("\n") == 1 + 8 * 2
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == ["ablation-memory.csv", "ablation-memory.json"]


def test_orientations_have_a_gain_and_a_cost(call, folder, tmp_path):
    code, said, _ = call("--ablate", "orientations", "--on", folder, "--protocol", "mask-volume", "--cases", "1")
    assert code == 0
    assert "Gain over one plane" in said
    assert "case" in said  # seconds
    told = json.loads((tmp_path / "out" / "ablation-orientations.json").read_text())
    assert [one["name"] for one in told["variants"]] == ["one plane", "three, average", "three, vote"]
    assert told["variants"][1]["changes"] == {"orientations": ["axial", "coronal", "sagittal"], "fusion": "average"}
    assert all(one["columns"]["mask_volume"]["seconds"] > 0 for one in told["variants"])


def test_the_flags_of_evaluate_hold(call, folder, tmp_path):
    flags = ("--on", folder, "--cases", "1", "--metrics", "iou", "--share", "0.5", "--seed", "3", "--templates", "2")
    code, said, _ = call("--ablate", "orientations", "--protocol", "box-share-volume", *flags)
    assert code == 0
    assert "boxes ->" in said
    told = json.loads((tmp_path / "out" / "ablation-orientations.json").read_text())
    assert told["prompting"] == {"share": 0.5, "templates": 2, "seed": 3}
    assert told["metrics"]["chosen"] == ["iou"]
    for variant in told["variants"]:
        assert list(variant["columns"]) == ["box_share_volume", "box_share_volume_iou"]
    with (tmp_path / "out" / "ablation-orientations.csv").open(newline="") as file:
        assert all(
            float(row["box_share_volume_prompts"]) >= 1 and row["box_share_volume_iou"] for row in DictReader(file)
        )


def test_a_killed_ablation_goes_on(call, folder, monkeypatch, tmp_path):
    def killed(*given):
        for done, one in enumerate(run_ablation(*given)):
            if done == 2:
                raise KeyboardInterrupt
            yield one

    run_ablation = module.run_ablation
    flags = ("--ablate", "memory", "--on", folder, "--protocol", "mask-volume", "--seeds", "1")
    monkeypatch.setattr(module, "run_ablation", killed)
    assert call(*flags)[0] == 130
    assert not list((tmp_path / "out").glob("*.json"))
    monkeypatch.setattr(module, "run_ablation", run_ablation)
    code, said, _ = call(*flags)
    assert code == 0
    assert "FIFO: going on after 2 cases of 2" in said
    assert sorted(file.suffix for file in (tmp_path / "out").iterdir()) == [".csv", ".json"]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--ablate", "memoyr"), "'memoyr' cannot be ablated; choose among memory, orientations"),
        (("--ablate", "memory", "--seeds", "0"), "0 seeds were asked for"),
        (("--ablate", "memory", "--protocol", "box"), "memory has no column for the protocol 'box'; choose among mask"),
        (
            ("--ablate", "memory", "--html", "page.html"),
            "--ablate has tables of its own; leave --html and --paper-table",
        ),
        (("--ablate", "memory", "--paper-table", "btcv"), "leave --html and --paper-table out"),
        (("--ablate", "orientations", "--protocol", "mask-set"), "has no column for the protocol 'mask-set'"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_anything_is_read(call, flags, message):
    code, _, said = call("--on", "synthetic", *flags)
    assert (code, message in " ".join(said.split())) == (2, True), said


def test_tables_fit_a_terminal_of_eighty_columns():
    full = Standing(0.625, 0.012, 123, Gain(0.034, (-0.012, 0.056)), 12.25)
    for ablation in ABLATIONS.values():
        row = {protocol.column: full for protocol in ablation.protocols}
        found = {variant.name: row for variant in ablation.variants}
        for table in (dice_table, gain_table):
            console = Console(width=80, record=True, file=StringIO())
            console.print(table(ablation, found))
            said = console.export_text()
            assert "…" not in said
            assert ablation.variants[-1].name in said
        assert said.count("-0.012..+0.056") == len(row) * (len(ablation.variants) - 1)
