"""`medsam2 evaluate`: sets, flags, what it writes, and that it goes on after a kill."""

import csv
import json
from io import StringIO

import nibabel
import numpy as np
import pytest
from rich.console import Console

from medsam2.cli import evaluate as module
from medsam2.cli.app import run
from medsam2.cli.evaluate import mean_table, measure_table, parse_protocols, structure_table
from medsam2.errors import ConfigurationError
from medsam2.evaluation import (
    COLUMNS,
    Protocol,
    ScoredCase,
    StructureScores,
    SyntheticSettings,
    VolumeMetric,
    VolumeMetrics,
    unseen_synthetic_set,
)
from medsam2.evaluation.protocols import ONE_PROMPT
from medsam2.segmenter import Segmenter
from medsam2.weights import WeightsCard, save_network
from reference.dataset_trees import write_cvpr2025, write_manifest, write_nnunet, write_refuge2


@pytest.fixture
def weights(tiny_network, tmp_path):
    path = tmp_path / "tiny.safetensors"
    save_network(tiny_network, path, WeightsCard("tiny", tiny_network.config))
    return path


@pytest.fixture
def folder(tmp_path):
    """Two labelled scans of six slices."""
    generator = np.random.default_rng(0)
    for name in ("a", "b"):
        labels = np.zeros((20, 18, 6), np.uint8)
        labels[4:12, 5:14, 1:5] = 3
        values = (generator.normal(100, 10, labels.shape) + 60 * labels).astype(np.int16)
        for array, suffix in ((values, ""), (labels, "_label")):
            path = tmp_path / "scans" / f"{name}{suffix}.nii.gz"
            path.parent.mkdir(exist_ok=True)
            nibabel.save(nibabel.Nifti1Image(array, np.diag([1, 1, 4.0, 1])), path)
    return tmp_path / "scans"


@pytest.fixture
def call(weights, tmp_path, capsys):
    def evaluate(*flags):
        given = ["evaluate", "--model", weights, "-d", "cpu", "-o", tmp_path / "out", *flags]
        code = run([str(one) for one in given])
        said = capsys.readouterr()
        return code, said.out, said.err

    return evaluate


def test_a_folder_is_scored_by_all_that_prompt_once(call, folder, tmp_path):
    code, said, _ = call("--on", folder)
    assert code == 0
    assert "Dice on the prompted slice" in said
    assert "Dice of the volume" in said
    assert "Means over structures" in said
    told = json.loads((tmp_path / "out" / "scores.json").read_text())
    assert told["protocols"] == [one.value for one in ONE_PROMPT]
    assert told["model"]["name"] == "tiny"
    assert len(told["model"]["sha256"]) == 64
    assert [(one["case"], one["structure"], one["prompted_slice"]) for one in told["structures"]] == [
        ("a", "label 3", 1),
        ("b", "label 3", 1),
    ]
    assert told["means"]["frozen_mask"]["mean"] == 1.0  # a block
    assert (tmp_path / "out" / "scores.csv").read_text().count("\n") == 3
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["scores.csv", "scores.json"]


def test_file_names_need_not_be_unicode(call, folder, tmp_path):
    try:
        for path in list(folder.glob("b*")):
            path.rename(folder / path.name.replace("b", "M\udcfcller", 1))
    except OSError:
        pytest.skip("files cannot have such names here")
    code, _, warned = call("--on", folder, "--protocol", "mask-share-volume", "-q")
    assert (code, warned) == (0, "")
    told = json.loads((tmp_path / "out" / "scores.json").read_text(encoding="utf-8"))
    assert [one["name"] for one in told["set"]["cases"]] == ["M\udcfcller", "a"]
    with (tmp_path / "out" / "scores.csv").open(newline="", encoding="utf-8") as file:
        assert [row["case"] for row in csv.DictReader(file)] == ["M\\udcfcller", "a"]


def test_the_synthetic_set_is_the_default(call, monkeypatch, tmp_path):
    small = SyntheticSettings(volumes=1, sets=1, size=64, frames=8, pictures=3)
    monkeypatch.setattr(module, "unseen_synthetic_set", lambda: unseen_synthetic_set(small))
    code, said, _ = call("--protocol", "box,box-volume", "-v")
    assert code == 0
    assert "1 click" not in said
    told = json.loads((tmp_path / "out" / "scores.json").read_text())
    assert [one["name"] for one in told["set"]["cases"]] == ["volume-00-abdomen", "set-00-skin"]
    assert {"box", "box_volume", "frozen_mask"} <= set(told["means"])
    assert told["set"]["seed"] == 0xE7A1 << 32


def test_a_killed_run_goes_on(call, folder, monkeypatch, tmp_path):
    def killed(*given):
        for done, case in enumerate(evaluate(*given)):
            if done == 1:
                raise KeyboardInterrupt
            yield case

    evaluate = module.evaluate
    monkeypatch.setattr(module, "evaluate", killed)
    assert call("--on", folder, "--protocol", "box")[0] == 130
    assert not (tmp_path / "out" / "scores.json").exists()
    monkeypatch.setattr(module, "evaluate", evaluate)
    code, said, _ = call("--on", folder, "--protocol", "box")
    assert code == 0
    assert "going on after 2 cases of 2" in said
    assert len(json.loads((tmp_path / "out" / "scores.json").read_text())["structures"]) == 2


def test_quiet_says_nothing_and_fewer_cases_can_be_asked_for(call, folder, tmp_path):
    code, said, _ = call("--on", folder, "--protocol", "clicks3", "--cases", "1", "-q")
    assert (code, said) == (0, "")
    assert len(json.loads((tmp_path / "out" / "scores.json").read_text())["structures"]) == 1


def test_a_data_set_in_its_own_layout(call, tmp_path):
    write_nnunet(tmp_path / "toy")
    flags = ("--on", f"nnunet:{tmp_path / 'toy'}", "--split", "test", "--channel", "T1", "--protocol", "mask-volume")
    code, said, _ = call(*flags, "--metrics", "dice,hd95,nsd", "--tolerance-mm", "1.5")
    assert code == 0
    assert "HD95, mm" in said
    assert "NSD at 1.5 mm" in said
    told = json.loads((tmp_path / "out" / "scores.json").read_text())
    assert [(one["name"], one["patient"]) for one in told["set"]["cases"]] == [("toy_003-T1", "toy_003")]
    assert told["set"]["layout"] == "nnunet"
    assert told["set"]["licence"] == "CC0"
    assert told["set"]["split"] == "test"
    assert set(told["set"]["splits"]) == {"training", "test"}
    assert told["metrics"] == {"chosen": ["dice", "hd95", "nsd"], "tolerance_mm": 1.5}
    assert {"mask_volume", "mask_volume_hd95", "mask_volume_nsd"} <= set(told["means"])
    assert "mask_volume_iou" not in told["means"]
    assert [one["structure"] for one in told["structures"]] == ["core", "whole"]


def test_clicks_by_the_rules_of_the_challenge(call, tmp_path):
    write_cvpr2025(tmp_path / "npz")
    code, said, _ = call("--on", f"cvpr2025:{tmp_path / 'npz'}", "--protocol", "clicks5-volume")
    assert code == 0
    assert "CVPR 2025: means over" in said
    with (tmp_path / "out" / "cvpr2025.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows
    assert all(0 <= float(row["DSC_AUC"]) <= 4 and float(row["TotalRunningTime"]) > 0 for row in rows)
    told = json.loads((tmp_path / "out" / "scores.json").read_text())
    assert {"clicks5_volume", "clicks5_volume_dsc_1", "clicks5_volume_nsd_6"} <= set(told["means"])


def test_a_share_of_the_slices(call, folder, tmp_path):
    flags = ("--on", folder, "--protocol", "mask-share-volume", "--share", "0.5", "--seed", "3")
    code, said, _ = call(*flags)
    assert code == 0
    assert "several slices prompted" in " ".join(said.split())
    told = json.loads((tmp_path / "out" / "scores.json").read_text())
    assert told["prompting"] == {"share": 0.5, "templates": 1, "seed": 3}
    assert {"mask_share_volume", "nearest_mask"} <= set(told["means"])


def test_pictures_of_a_split_are_one_set(call, tmp_path):
    write_refuge2(tmp_path / "eyes")
    code, said, _ = call("--on", f"refuge2:{tmp_path / 'eyes'}", "--protocol", "mask-set,box", "--templates", "2")
    assert code == 0
    assert "Dice on the other pictures of a set" in " ".join(said.split())
    told = json.loads((tmp_path / "out" / "scores.json").read_text())
    *_, together = told["set"]["cases"]
    assert together["name"].startswith("eyes, all ")
    assert together["slices"] == len(told["set"]["cases"]) - 1
    rows = [one for one in told["structures"] if one["case"] == together["name"]]
    assert {one["structure"] for one in rows} == {"optic disc", "optic cup"}
    assert all({"mask_set", "copied_mask"} <= set(one["values"]) for one in rows)


@pytest.mark.parametrize(
    ("flags", "volumes", "sets"), [((), "fifo", "self-sorting"), (("--memory", "released"), "released", "released")]
)
def test_memory_reaches_volumes_and_sets_and_is_told(call, monkeypatch, tmp_path, flags, volumes, sets):
    asked = []
    stream_set = Segmenter.stream_set

    def noted(self, images, template, prompts, settings):
        asked.append(settings.memory)
        return stream_set(self, images, template, prompts, settings)

    monkeypatch.setattr(Segmenter, "stream_set", noted)
    write_refuge2(tmp_path / "eyes")
    assert call("--on", f"refuge2:{tmp_path / 'eyes'}", "--protocol", "mask-set", *flags)[0] == 0
    assert set(asked) == {sets}
    told = json.loads((tmp_path / "out" / "scores.json").read_text())
    assert (told["settings"]["memory"], told["set_settings"]["memory"]) == (volumes, sets)


def test_a_page_to_read(call, folder, tmp_path):
    code, said, _ = call("--on", folder, "--protocol", "mask-volume", "--html", tmp_path / "page.html")
    assert code == 0
    assert "page.html" in "".join(said.split())
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert page.startswith("<!doctype html>")
    assert "2 structures of 2 cases" in page
    assert page.count("<img") == page.count("data:image/png") >= 2
    assert "Model 'tiny'" in " ".join(page.replace("&#x27;", "'").split())


def test_a_table_of_files_and_splits_of_ones_own(call, tmp_path):
    write_manifest(tmp_path / "toy")
    (tmp_path / "splits.json").write_text('{"test": ["p1"], "training": ["p2"]}')
    table = tmp_path / "toy" / "cases.csv"
    code, _, warned = call("--on", table, "--protocol", "box")
    assert code == 0
    assert "cases of the splits test and training are scored together; --split takes one" in " ".join(warned.split())
    code, _, warned = call("--on", table, "--split", "test", "--splits", tmp_path / "splits.json", "--protocol", "box")
    assert code == 0
    told = json.loads((tmp_path / "out" / "scores.json").read_text())
    assert [one["name"] for one in told["set"]["cases"]] == ["first", "second"]
    assert not warned


@pytest.mark.parametrize(
    ("flags", "code", "message"),
    [
        (("--protocol", "bx"), 2, "'bx' is no protocol; choose among box, click, clicks3, box-volume"),
        (("--protocol", ","), 2, "no protocol was named"),
        (("--on", "nowhere"), 3, "nowhere does not exist; expected synthetic or examples, a folder, a table"),
        (("--cases", "0"), 2, "0 cases were asked for"),
        (("--patience", "-1"), 2, "patience is -1"),
        (("--on", "btvc:x"), 2, "'btvc' is no layout"),
        (("--split", "test"), 2, "the set 'synthetic' has no splits and no channels"),
        (("--metrics", "hd96"), 2, "'hd96' is no metric; choose among dice, iou, hd95, nsd, assd"),
        (("--tolerance-mm", "-1"), 2, "the tolerance is -1.0 mm"),
        (("--share", "2"), 2, "the share to be prompted is 2.0"),
        (("--templates", "0"), 2, "0 templates were asked for"),
        (("--memory", "lifo"), 2, "no memory policy is called 'lifo'; known: fifo, self-sorting, confidence, released"),
    ],
)
def test_wrong_flags(call, flags, code, message):
    assert (got := call(*flags))[0] == code
    assert message in got[2]


def test_missing_labels_are_named_before_the_weights_are_read(folder, capsys):
    (folder / "b_label.nii.gz").unlink()
    assert run(["evaluate", "--on", str(folder), "--model", "no such weights"]) == 3
    assert "b.nii.gz: has no labels" in capsys.readouterr().err


def test_protocols_come_in_their_own_order():
    assert parse_protocols("click-volume, box") == (Protocol.BOX, Protocol.CLICK_VOLUME)
    with pytest.raises(ConfigurationError, match="no protocol"):
        parse_protocols("")


def text_of(table):
    console = Console(width=80, record=True, file=StringIO())
    console.print(table)
    return console.export_text()


def test_tables_fit_a_terminal_of_eighty_columns():
    tables = (module.ON_SLICES, module.ON_VOLUMES, module.ON_MANY_SLICES, module.ON_SETS)
    shown = (*(column for columns in tables for column in columns), "mask_volume_false", "box_volume_seconds")
    measured = (name for name in COLUMNS if name.endswith(("_iou", "_hd95", "_nsd", "_assd")))
    values = dict.fromkeys((*shown, *measured), 0.625)
    rows = [StructureScores("volume-00-abdomen", f"object {n}", n, "axial", 3, 20, values) for n in (1, 2)]
    for columns in tables:
        said = text_of(structure_table("title", columns, rows))
        assert "…" not in said
        assert "volume-00-abdomen" in said
        assert "  object 1 " in said
        assert said.count("0.62") == 3 * len(columns)
    scored = [ScoredCase(name, "i", "l", 20, tuple(rows)) for name in ("a", "b")]
    said = text_of(measure_table(scored, VolumeMetrics(tuple(VolumeMetric), 12.5)))
    assert "…" not in said
    assert said.count("0.625 0.625 0.625  4") == 7 * 5  # volumes and measures
    assert "NSD at 12.5 mm" in said
    said = text_of(mean_table(rows))
    assert "…" not in said
    assert "flood in 3-D" in said
    assert "frozen ellipse" in said
