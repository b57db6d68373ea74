import math
from dataclasses import replace

import numpy as np
import pytest

from medsam2.datasets.cases import Case, CaseSet, CaseSource
from medsam2.evaluation.harness import evaluate
from medsam2.evaluation.protocol_options import ProtocolOptions
from medsam2.evaluation.protocols import Protocol
from medsam2.evaluation.run_log import RunLog
from medsam2.evaluation.scores import COLUMNS
from medsam2.evaluation.volume_metrics import VolumeMetric, VolumeMetrics
from medsam2.spatial import Geometry, Segmentation, Volume
from reference.intensity_network import LEVELS

SOME = (Protocol.BOX, Protocol.CLICK, Protocol.BOX_VOLUME)


@pytest.fixture
def cases(new_case):
    made = {name: new_case(name=name, ordered=name != "set") for name in ("one", "set", "two")}
    return CaseSet("toys", tuple(CaseSource(name, lambda case=case: case) for name, case in made.items()), {})


def test_all_cases_are_scored_by_all_protocols(segmenter, cases, how):
    steps = []
    done = list(evaluate(segmenter, cases, SOME, how, progress=lambda *now: steps.append(now)))
    assert [case.name for case in done] == ["one", "set", "two"]
    assert steps[-1] == (9, 9)
    assert steps == sorted(steps)
    dark, bright = done[0].scores
    assert (dark.case, dark.structure, dark.label, dark.plane) == ("one", "dark", 4, "axial")
    assert (dark.prompted_slice, dark.pixels) == (2, 25)
    assert (bright.structure, bright.prompted_slice) == ("bright", 5)
    assert dark.values["box"] == dark.values["click"] == dark.values["box_volume"] == 1.0
    assert list(dark.values) == [column for column in COLUMNS if column in dark.values]
    assert "box_volume" not in done[1].scores[0].values
    assert done[0].slices == 14


def test_the_prompted_slice_is_told_as_the_file_counts(segmenter, new_case, how):
    upside_down = new_case(affine=np.diag([0.5, 0.5, -2.0, 1.0]))
    sets = CaseSet("toys", (CaseSource("blocks", lambda: upside_down),), {})
    (done,) = evaluate(segmenter, sets, (Protocol.BOX,), how)
    for row in done.scores:
        assert (upside_down.reference.labels[row.prompted_slice] == row.label).sum() == row.pixels > 0


def test_a_killed_run_goes_on(segmenter, cases, how, tmp_path):
    run = evaluate(segmenter, cases, SOME, how, RunLog(tmp_path / "log", {}))
    first = next(run)
    run.close()
    encoded = segmenter.network.encoded
    again = evaluate(segmenter, cases, SOME, how, RunLog(tmp_path / "log", {}))
    assert next(again).to_line() == first.to_line()
    assert segmenter.network.encoded == encoded  # nothing was run
    assert [case.name for case in again] == ["set", "two"]
    assert segmenter.network.encoded > encoded
    assert RunLog(tmp_path / "log", {}).count == 3


def test_a_case_that_changed_is_scored_again(segmenter, cases, how, tmp_path, new_case):
    list(evaluate(segmenter, cases, (Protocol.BOX,), how, RunLog(tmp_path / "log", {})))
    encoded = segmenter.network.encoded
    changed = new_case(name="one", ordered=False)
    sources = (CaseSource("one", lambda: changed), *cases.sources[1:])
    list(evaluate(segmenter, CaseSet("toys", sources, {}), (Protocol.BOX,), how, RunLog(tmp_path / "log", {})))
    assert segmenter.network.encoded == encoded + 2  # the two prompted slices of one case


def test_what_was_not_run_is_not_there(segmenter, cases, how):
    (row, *_) = next(evaluate(segmenter, cases, (Protocol.CLICKS3,), how)).scores
    assert set(row.values) == {"clicks3"}
    assert not math.isnan(row.values["clicks3"])


def test_patients_and_metrics_reach_the_scores(segmenter, new_case, how, tmp_path):
    one = new_case(name="one")
    sets = CaseSet("toys", (CaseSource("one", lambda: one, patient="p1"),), {})
    log = RunLog(tmp_path / "log", {})
    (done,) = evaluate(
        segmenter, sets, (Protocol.MASK_VOLUME,), how, log, options=ProtocolOptions(VolumeMetrics((VolumeMetric.IOU,)))
    )
    assert done.patient == "p1"
    assert done.scores[0].values["mask_volume_iou"] == 1.0
    assert RunLog(tmp_path / "log", {}).find("one", one.image_sha256, one.labels_sha256).patient == "p1"


def test_regions_are_scored_as_the_union_of_their_labels(segmenter, case, how):
    both = replace(case, names={4: "dark", 9: "both"}, regions={9: (4, 7)})
    (done,) = evaluate(segmenter, CaseSet("toys", (CaseSource("blocks", lambda: both),), {}), (Protocol.BOX,), how)
    frame = both.prompted_frames[9]
    assert [row.structure for row in done.scores] == ["dark", "both"]
    assert done.scores[1].pixels == np.isin(case.reference.labels[frame], (4, 7)).sum()


def picture(name, shape, block, level=LEVELS[1], label=1):
    """A single picture of its own size, as a data set holds them."""
    labels = np.zeros((1, *shape), np.uint8)
    labels[0][block] = label
    geometry = Geometry(labels.shape, np.eye(4))
    return Case(name, Volume((labels > 0) * np.uint8(level), geometry), Segmentation(labels, geometry), {label: "disc"})


@pytest.fixture
def photographs():
    made = [
        picture("a", (16, 16), np.s_[2:8, 2:8]),
        picture("b", (32, 32), np.s_[4:16, 8:24]),
        picture("c", (16, 16), np.s_[9:12, 2:8]),
    ]
    return CaseSet("eyes", tuple(CaseSource(one.name, lambda one=one: one, split="test") for one in made), {})


SETS = (Protocol.BOX, Protocol.MASK_SET, Protocol.BOX_SHARE_SET)


def test_single_pictures_are_scored_together_by_the_protocols_of_sets(segmenter, photographs, how):
    steps = []
    *alone, together = evaluate(segmenter, photographs, SETS, how, progress=lambda *now: steps.append(now))
    assert [case.name for case in alone] == ["a", "b", "c"]
    assert all(set(row.values) == {"box", "ellipse", "otsu"} for case in alone for row in case.scores)
    assert (together.name, together.slices) == ("eyes, all 3 pictures", 3)
    (row,) = together.scores
    assert (row.structure, row.pixels) == ("disc", 12 * 16)
    assert row.values["mask_set"] > 0.9
    assert {"mask_set", "mask_set_false", "copied_mask", "box_share_set"} <= set(row.values)
    assert steps[-1] == (9, 9)


def test_pictures_together_are_not_run_again(segmenter, photographs, how, tmp_path):
    list(evaluate(segmenter, photographs, SETS, how, RunLog(tmp_path / "log", {})))
    encoded = segmenter.network.encoded
    *_, together = evaluate(segmenter, photographs, SETS, how, RunLog(tmp_path / "log", {}))
    assert segmenter.network.encoded == encoded
    assert together.name == "eyes, all 3 pictures"


def test_one_picture_is_no_set(segmenter, photographs, how):
    one = CaseSet("eyes", photographs.sources[:1], {})
    assert [case.name for case in evaluate(segmenter, one, SETS, how)] == ["a"]
