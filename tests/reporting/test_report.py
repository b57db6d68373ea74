import json
import math
import re
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import medsam2
from medsam2.engine.volume_result import SegmentSettings
from medsam2.errors import ConfigurationError, FormatError
from medsam2.reporting import build_report, object_statistics, write_report
from medsam2.reporting.report import orientation
from medsam2.spatial import Geometry, Plane, SourceFile, Volume

DOCUMENT = Path(__file__).parents[2] / "docs" / "report.md"
NAMES = {1: "liver", 4: "spleen", 2: "nothing"}
MODEL = {"name": "starter", "parameters": np.int64(5), "sizes": (64, 128), "score": math.nan}

# Texts that look like JSON are the hard ones.
TEXT = st.text(' []{}",:\\\na', max_size=5)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)


@pytest.fixture
def result(geometry, labels, make_result):
    return make_result(labels, geometry, NAMES, warnings=("nothing (label 2): nothing was found",))


def test_what_is_said_of_the_run(result, geometry, volume):
    source = SourceFile(Path("/home/jane-doe/scan.nii.gz"), "nifti", {"descrip": "Jane Doe"})
    scan = Volume(volume.array, geometry, source)
    report = build_report(result, scan, MODEL, inputs={"reference": Path("/home/jane-doe/truth.nii.gz")})
    assert {key: report[key] for key in list(report)[:-1]} == {
        "report_version": 1,
        "medsam2_version": medsam2.__version__,
        "model": {"name": "starter", "parameters": 5, "sizes": [64, 128], "score": None},
        "input": {
            "file": "scan.nii.gz",
            "shape": [30, 40, 20],
            "spacing_mm": [1.0, 1.0, 2.5],
            "orientation": "LPS",
            "rgb": False,
            "notes": [],
            "other_files": {"reference": "truth.nii.gz"},
        },
        "settings": {
            "memory": "fifo",
            "memory_options": {},
            "memory_seed": None,
            "plane": None,
            "window": {"name": "grey", "lower": 0.0, "upper": 100.0},
            "size": None,
            "patience": 3,
            "orientations": [],
            "fusion": "vote",
            "interpolate": True,
            "largest_component": False,
            "fill_holes": False,
        },
        "prompts": None,
        "seconds": 3.5,
        "warnings": ["nothing (label 2): nothing was found"],
    }
    assert "jane" not in json.dumps(report).lower()


def test_what_is_said_of_an_object(result, volume):
    spleen = build_report(result, volume, MODEL)["objects"][1]
    assert spleen == {
        "name": "spleen",
        "label": 4,
        "plane": "axial",
        "prompted_slices": [9],
        "first_slice": 8,
        "last_slice": 9,
        "voxels": 160,
        "volume_ml": pytest.approx(0.4),
        "median_confidence": 0.75,
        # A quarter in doubt; the prompt 2.5 mm beside it settles five sixths of that.
        "next_slices": [{"slice": 8, "doubt": 0.0417}],
        "seconds": 1.25,
        "statistics": None,
        "slices": [
            {"slice": 8, "confidence": 0.75, "object_score": 2.5, "prompted": False},
            {"slice": 9, "confidence": 0.75, "object_score": 2.5, "prompted": True},
        ],
    }


def test_an_object_that_was_not_found_has_no_slices(result, volume):
    nothing = build_report(result, volume, MODEL)["objects"][2]
    assert (nothing["voxels"], nothing["first_slice"], nothing["last_slice"]) == (0, None, None)
    assert nothing["median_confidence"] is None
    assert nothing["slices"] == [{"slice": 10, "confidence": 0.0, "object_score": 2.5, "prompted": True}]


def test_statistics_go_to_their_objects(result, volume):
    measured = object_statistics(volume, result.segmentation)
    objects = build_report(result, volume, MODEL, statistics=measured)["objects"]
    assert objects[1]["statistics"] == {
        "mean_intensity": 40.0,
        "intensity_std": 0.0,
        "first_voxel": [18, 25, 8],
        "last_voxel": [25, 34, 9],
        "size_mm": [8.0, 10.0, 5.0],
    }
    assert set(objects[2]["statistics"].values()) == {None}


def test_settings_have_the_names_of_the_dataclass(result, volume):
    report = build_report(result, volume, MODEL)
    assert list(report["settings"]) == [field.name for field in fields(SegmentSettings)]


def test_a_plane_and_a_date_are_noted(geometry, labels, volume, make_result):
    settings = SegmentSettings(plane=Plane.CORONAL, patience=0)
    result = make_result(labels, geometry, NAMES, Plane.CORONAL, settings=settings)
    report = build_report(result, volume, MODEL, prompts={"objects": []}, created="2025-01-02T03:04:05Z")
    assert report["created"] == "2025-01-02T03:04:05Z"
    assert report["prompts"] == {"objects": []}
    assert report["settings"]["plane"] == report["objects"][0]["plane"] == "coronal"
    assert (report["objects"][1]["first_slice"], report["objects"][1]["last_slice"]) == (25, 34)
    assert report["input"]["file"] is None


@pytest.mark.parametrize("value", [object(), {1, 2}, np.zeros(2), b"text"])
def test_what_json_cannot_hold_is_refused(result, volume, value):
    with pytest.raises(ConfigurationError, match=r"report\.model\.extra\[1\] is a \w+, which JSON cannot hold"):
        build_report(result, volume, {"extra": [0, value]})


def test_keys_must_be_texts(result, volume):
    with pytest.raises(ConfigurationError, match=r"report\.model has the key 1; expected texts"):
        build_report(result, volume, {1: "one"})


@pytest.mark.parametrize(
    ("diagonal", "letters"), [((1, 1, 1), "LPS"), ((-1, -1, 1), "RAS"), ((-2, 1, -3), "RPI"), ((1, -1, -1), "LAI")]
)
def test_orientation(diagonal, letters):
    assert orientation(Geometry((3, 4, 5), np.diag([*diagonal, 1.0]))) == letters


def test_orientation_of_permuted_and_oblique_axes():
    affine = np.eye(4)
    affine[:3, :3] = [[0, 0.1, 2.0], [1.0, 0.1, 0], [0, -1.0, 0.1]]
    assert orientation(Geometry((3, 4, 5), affine)) == "PIL"


def test_a_slice_stands_on_one_line(result, volume, tmp_path):
    path = tmp_path / "new" / "report.json"
    write_report(build_report(result, volume, MODEL), path)
    text = path.read_text(encoding="utf-8")
    assert '        {"slice": 8, "confidence": 0.75, "object_score": 2.5, "prompted": false},\n' in text
    assert '    "shape": [30, 40, 20],\n' in text
    assert max(map(len, text.splitlines())) <= 130
    assert [file.name for file in path.parent.iterdir()] == ["report.json"]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(TEXT, JSON, max_size=4))
def test_what_is_written_is_read_again(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("report") / "report.json"
    write_report(content, path)
    assert json.loads(path.read_text(encoding="utf-8")) == content


def test_file_names_that_are_no_utf8_are_written(tmp_path):
    path = tmp_path / "report.json"
    write_report({"file": "scan-\udcff.nii"}, path)
    assert json.loads(path.read_text(encoding="utf-8")) == {"file": "scan-\udcff.nii"}


def test_a_report_that_cannot_be_written_leaves_the_old_one(tmp_path):
    path = tmp_path / "report.json"
    write_report({"number": math.inf}, path)
    assert json.loads(path.read_text()) == {"number": None}
    with pytest.raises(ConfigurationError, match=r"report\.wrong"):
        write_report({"wrong": object()}, path)
    assert json.loads(path.read_text()) == {"number": None}
    (tmp_path / "file").write_text("")
    with pytest.raises(FormatError, match="cannot be written"):
        write_report({}, tmp_path / "file" / "report.json")


def test_the_document_names_every_field(result, volume):
    document = DOCUMENT.read_text(encoding="utf-8")
    measured = object_statistics(volume, result.segmentation)
    report = build_report(result, volume, MODEL, prompts={"objects": []}, statistics=measured)
    example = json.loads(re.search(r"```json\n(.*?)```", document, re.DOTALL)[1])
    assert _fields(report, "model", "prompts", "other_files") == _fields(example, "model", "prompts", "other_files")
    for field in _fields(report, "model", "prompts", "other_files"):
        assert f"`{field}`" in document


def _fields(value, *skipped):
    """Give all names of fields, without what lies inside those that callers fill."""
    if isinstance(value, list):
        return set().union(*(_fields(item, *skipped) for item in value))
    if not isinstance(value, dict):
        return set()
    inner = [_fields(item, *skipped) for key, item in value.items() if key not in skipped]
    return set(value).union(*inner)
