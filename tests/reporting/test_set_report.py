import csv
import json

import pytest
from rich.console import Console

from medsam2 import __version__
from medsam2.engine.set_result import ImageMask, ImageObject, SetResult, SetSettings
from medsam2.errors import FormatError
from medsam2.frames import IntensityWindow
from medsam2.reporting import build_set_report, set_table, write_image_table, write_report
from medsam2.reporting.set_report import COLUMNS, status

GREY = IntensityWindow("percentile", 1.0, 250.0)
LABEL_MAPS = {"t.png": "t.png", "a.nii": "a.nii.gz", "b.png": "b.png"}


def look(name="cell", label=1, area=0, confidence=0.0, **changes):
    given = {"instances": None, "in_memory": False, "prompted": False, **changes}
    return ImageObject(name, label, confidence, -2.34567 if not confidence else 4.5, area, **given)


@pytest.fixture
def result():
    images = (
        ImageMask(
            "t.png", 0, (look(area=90, confidence=1.0, prompted=True, in_memory=True), look("rim", 5)), None, GREY
        ),
        ImageMask("a.nii", 1, (look(area=70, confidence=0.61234), look("rim", 5, 0, 0.4)), None, GREY),
        ImageMask("b.png", 2, failure="b.png is empty."),
    )
    return SetResult(images, ("t.png",), {1: "cell", 5: "rim"}, SetSettings(), ("a warning",), 1.23456)


def test_the_report_says_what_was_done_and_found(result, tmp_path):
    report = build_set_report(result, {"name": "tiny"}, {"t.png": {"objects": []}}, LABEL_MAPS)
    write_report(report, tmp_path / "report.json")
    told = json.loads((tmp_path / "report.json").read_text())
    assert (told["report_version"], told["medsam2_version"], told["seconds"]) == (1, __version__, 1.235)
    assert told["model"] == {"name": "tiny"}
    assert told["settings"] == {
        "memory": "self-sorting",
        "memory_options": {},
        "memory_seed": None,
        "window": "auto",
        "size": None,
        "instances": False,
        "least_confidence": 0.25,
    }
    assert told["templates"] == [{"image": "t.png", "prompts": {"objects": []}}]
    assert told["warnings"] == ["a warning"]
    assert told["objects"] == [
        {"name": "cell", "label": 1, "images_found": 2, "images_not_found": 0, "median_confidence": 0.8062},
        {"name": "rim", "label": 5, "images_found": 0, "images_not_found": 2, "median_confidence": None},
    ]
    template, other, broken = told["images"]
    assert (other["image"], other["label_map"], other["failure"]) == ("a.nii", "a.nii.gz", None)
    assert other["window"] == {"name": "percentile", "lower": 1.0, "upper": 250.0}
    assert [one["status"] for one in other["objects"]] == ["found", "lost to others"]
    assert template["objects"][0] == {
        "label": 1,
        "status": "found",
        "confidence": 1.0,
        "object_score": 4.5,
        "area_px": 90,
        "instances": None,
        "in_memory": True,
        "prompted": True,
    }
    assert broken == {"image": "b.png", "label_map": None, "failure": "b.png is empty.", "window": None, "objects": []}


def test_windows_of_all_kinds_can_be_told(result):
    for window, told in (((0.0, 9.0), (0.0, 9.0)), (GREY, (1.0, 250.0)), ("400,40", "400,40")):
        settings = SetSettings(window=window)
        changed = SetResult(result.images, result.templates, result.names, settings, (), 0.0)
        assert build_set_report(changed, {})["settings"]["window"] == told


def test_the_table_of_images_has_a_row_for_each_image_and_object(result, tmp_path):
    write_image_table(result, tmp_path / "deep" / "images.csv", LABEL_MAPS)
    with (tmp_path / "deep" / "images.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == COLUMNS
    assert [(row["image"], row["object"], row["status"]) for row in rows] == [
        ("t.png", "cell", "found"),
        ("t.png", "rim", "not found"),
        ("a.nii", "cell", "found"),
        ("a.nii", "rim", "lost to others"),
        ("b.png", "", "could not be used: b.png is empty."),
    ]
    assert (rows[0]["prompted"], rows[0]["in_memory"], rows[2]["in_memory"]) == ("true", "true", "false")
    assert (rows[2]["confidence"], rows[2]["area_px"], rows[2]["label_map"]) == ("0.6123", "70", "a.nii.gz")
    assert rows[1]["object_score"] == "-2.3457"
    assert rows[0]["instances"] == ""


def test_odd_names_survive_the_table(tmp_path):
    images = (ImageMask('a,"b"\u5f71.png', 0, (look(),)), ImageMask("c\udc80.png", 1, (look(),)))
    write_image_table(SetResult(images, (), {1: "cell"}, SetSettings(), (), 0.0), tmp_path / "images.csv")
    with (tmp_path / "images.csv").open(encoding="utf-8", newline="") as file:
        assert [row["image"] for row in csv.DictReader(file)] == ['a,"b"\u5f71.png', "c\\udc80.png"]


def test_a_table_that_cannot_be_written_is_a_file_error(result, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(FormatError, match=r"images\.csv cannot be written"):
        write_image_table(result, tmp_path / "file" / "images.csv")


def test_the_terminal_gets_a_row_for_each_object(result):
    console = Console(width=100, record=True, quiet=False, file=None, force_terminal=False)
    with console.capture() as captured:
        console.print(set_table(result))
    lines = [line.split() for line in captured.get().splitlines()]
    assert ["cell", "1", "2", "of", "3", "0", "1", "0.81"] in lines
    assert ["rim", "5", "0", "of", "3", "2", "0", "-"] in lines


@pytest.mark.parametrize(
    ("area", "confidence", "word"), [(3, 0.5, "found"), (0, 0.0, "not found"), (0, 0.5, "lost to others")]
)
def test_the_status_is_a_word(area, confidence, word):
    assert status(look(area=area, confidence=confidence)) == word
