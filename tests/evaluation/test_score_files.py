import csv
import json
import math

import pytest

from medsam2.datasets.cases import CaseSet, joint_sha256
from medsam2.engine.volume_result import SegmentSettings
from medsam2.errors import ConfigurationError, FormatError
from medsam2.evaluation.protocol_options import ProtocolOptions
from medsam2.evaluation.protocols import Protocol
from medsam2.evaluation.run_log import ScoredCase
from medsam2.evaluation.score_files import FACTS, interval_of, run_header, scores_report, write_scores
from medsam2.evaluation.scores import COLUMNS, StructureScores
from medsam2.evaluation.volume_metrics import VolumeMetric, VolumeMetrics

MODEL = {"name": "tiny", "sha256": "12ab"}


@pytest.fixture
def header():
    cases = CaseSet("toys", (), {"seed": 5})
    return run_header(MODEL, cases, [Protocol.BOX], SegmentSettings(size=64))


@pytest.fixture
def scored():
    rows = [
        StructureScores("a", "liver, left", 1, "axial", 3, 20, {"box": 0.81234567, "ellipse": 0.7, "otsu": math.nan}),
        StructureScores("a", "spleen", 2, "axial", 4, 9, {"box": 0.6, "ellipse": 0.65}, 1.25),
    ]
    return [ScoredCase("a", "i", "l", 9, tuple(rows)), ScoredCase("b", "i2", "l2", 1, ())]


def test_the_header_is_all_that_a_run_depends_on(header):
    assert header["model"] == MODEL
    assert header["set"] == {"name": "toys", "seed": 5}
    assert header["protocols"] == ["box"]
    assert header["settings"]["size"] == 64
    assert header["settings"]["plane"] is None
    assert json.loads(json.dumps(header))["settings"]["patience"] == 3


def test_files_hold_scores_means_and_what_they_were_made_with(header, scored, tmp_path):
    table, report = write_scores(header, scored, tmp_path / "out")
    told = json.loads(report.read_text())
    assert told["model"] == MODEL
    assert told["declared"] == FACTS
    assert told["set"]["sha256"] == joint_sha256(["i l", "i2 l2"])
    assert told["set"]["labels_sha256"] == joint_sha256(["l", "l2"])
    assert told["set"]["seed"] == 5
    assert told["set"]["cases"][0] == {"name": "a", "slices": 9, "structures": 2}
    assert set(told["versions"]) == {"python", "torch", "numpy", "scipy", "SimpleITK"}
    assert told["means"]["box"] == {"mean": 0.70617, "structures": 2}
    assert told["comparisons"] == {"box": {"ellipse": {"baseline_mean": 0.675, "better_share": 0.5, "structures": 2}}}
    assert told["structures"][0]["values"] == {"box": 0.81235, "ellipse": 0.7}
    assert [one["volume_ml"] for one in told["structures"]] == [None, 1.25]
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0])[:6] == ["case", "structure", "label", "plane", "prompted_slice", "pixels"]
    assert list(rows[0])[6:] == ["volume_ml", *COLUMNS]
    assert (rows[0]["structure"], rows[0]["box"], rows[0]["otsu"], rows[1]["click"]) == (
        "liver, left",
        "0.81235",
        "",
        "",
    )


def test_intervals_are_over_patients(header):
    def scored(name, patient, value):
        row = StructureScores(name, "liver", 1, "axial", 3, 20, {"box": value})
        return ScoredCase(name, "i", "l", 9, (row,), patient)

    told = scores_report(header, [scored("a", "p", 0.2), scored("b", "p", 0.4), scored("c", "", 0.9)])
    assert told["means"]["box"]["interval"] == [0.3, 0.9]
    assert told["intervals"]["method"] == "percentile bootstrap over patients"
    assert [one.get("patient") for one in told["set"]["cases"]] == ["p", "p", None]
    one = scores_report(header, [scored("a", "p", 0.2), scored("b", "p", 0.4)])
    assert one["means"]["box"] == {"mean": 0.3, "structures": 2}
    assert interval_of([scored("a", "p", 0.2)], "box") is None


def test_the_header_states_the_metrics():
    cases = CaseSet("toys", (), {})
    chosen = ProtocolOptions(VolumeMetrics((VolumeMetric.DICE, VolumeMetric.IOU), 3.0), share=0.5)
    told = run_header(MODEL, cases, [Protocol.BOX], SegmentSettings(), chosen)
    assert told["metrics"] == {"chosen": ["dice", "iou"], "tolerance_mm": 3.0}
    assert told["prompting"] == {"share": 0.5, "templates": 1, "seed": 0}


def test_the_header_states_the_memory_of_volumes_and_of_sets():
    def told(*given):
        header = run_header(MODEL, CaseSet("toys", (), {}), [Protocol.BOX_SET], *given)
        return [json.loads(json.dumps(header))[part]["memory"] for part in ("settings", "set_settings")]

    assert told(SegmentSettings()) == ["fifo", "self-sorting"]
    assert told(SegmentSettings(memory="released"), ProtocolOptions(memory_of_sets="confidence")) == [
        "released",
        "confidence",
    ]
    with pytest.raises(ConfigurationError, match="no memory policy is called 'lifo'"):
        told(SegmentSettings(), ProtocolOptions(memory_of_sets="lifo"))


def test_a_report_of_nothing_is_still_a_report(header):
    told = scores_report(header, [])
    assert told["structure_count"] == 0
    assert told["means"] == told["comparisons"] == {}


def test_a_folder_that_cannot_be_written_is_named(header, scored, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(FormatError, match=r"file: scores cannot be written"):
        write_scores(header, scored, tmp_path / "file")
