"""`medsam2 demo oneprompt`: one template drawn, the others found, beside the copied mask."""

import csv
import json
from functools import partial

import numpy as np
import pytest
from PIL import Image

from medsam2.cli import demo_sets as module
from medsam2.cli.app import run
from medsam2.cli.demo_sets import absence, score_table
from medsam2.evaluation.picture_sets import PictureScore, PictureSet, nuclei_tiles, synthetic_fundus, with_retouched
from medsam2.weights import WeightsCard, save_network


@pytest.fixture
def small(monkeypatch):
    sets = {"nuclei": partial(nuclei_tiles, 256), "fundus": partial(synthetic_fundus, 3, 64)}
    monkeypatch.setattr(module, "PICTURE_SETS", sets)
    return sets


def test_each_set_has_label_maps_a_sheet_and_a_table(tiny_network, tmp_path, capsys, small):
    weights = tmp_path / "tiny.safetensors"
    save_network(tiny_network, weights, WeightsCard("tiny", tiny_network.config))
    assert run(["demo", "oneprompt", "-o", str(tmp_path / "demo"), "--model", str(weights), "-d", "cpu"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert said.count("copied mask") == 2 * 2
    assert "nuclei taken away on 3 pictures; found all the same on" in said
    assert "optic disc taken away on 2 pictures; found all the same on" in said
    for name, make in small.items():
        pictures, folder = with_retouched(make()), tmp_path / "demo" / "oneprompt" / name
        maps = {f"{image.name}.png" for image in pictures.images}
        assert {file.name for file in folder.iterdir()} == maps | {"images.csv", "contact_sheet.png", "report.json"}
        with Image.open(folder / f"{pictures.template}.png") as drawn:
            assert np.array_equal(np.array(drawn) == 1, pictures.truths[pictures.template][0])
        with (folder / "images.csv").open(encoding="utf-8") as file:
            assert [row["prompted"] for row in csv.DictReader(file)].count("true") == 1
        told = json.loads((folder / "report.json").read_text())
        assert told["templates"][0]["image"] == pictures.template


def test_the_truth_of_other_pictures_never_reaches_the_run(monkeypatch, small):
    seen = []

    class Spy(Exception):  # noqa: N818 - it ends the run, it is no error
        pass

    def build(_network, images, templates, settings):
        seen.append((images, templates, settings))
        raise Spy

    monkeypatch.setattr(module, "SetRun", build)
    pictures = small["nuclei"]()
    with pytest.raises(Spy):
        module.segment_pictures(pictures, None, type("Nobody", (), {"network": None}), None)
    images, templates, _ = seen[0]
    assert images is pictures.images
    assert list(templates) == [pictures.template]


def test_the_table_has_a_row_a_picture():
    table = score_table([PictureScore("tile_00", 0.5, 0.25), PictureScore("tile_01", 1.0, 0.125)])
    assert [list(column.cells) for column in table.columns] == [
        ["tile_00", "tile_01"],
        ["0.50", "1.00"],
        ["0.25", "0.12"],
    ]


def test_what_is_found_where_nothing_is_counts():
    there, nothing = np.ones((1, 4, 4), bool), np.zeros((1, 4, 4), bool)
    pictures = PictureSet("cells", "cell", (), {"a": there, "b": nothing, "c": nothing})
    said = absence(pictures, {"a": there, "b": nothing, "c": there})
    assert said == "cell taken away on 2 pictures; found all the same on 1 (c)"
    assert absence(pictures, {"a": there, "b": nothing, "c": nothing}).endswith("found all the same on 0")
