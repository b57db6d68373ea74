"""The worst are asked for again, and what is drawn is what they were scored by."""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from medsam2.datasets.cases import Case, CaseSet, CaseSource
from medsam2.evaluation import worst_cases
from medsam2.evaluation.harness import evaluate
from medsam2.evaluation.protocols import Protocol
from medsam2.evaluation.run_log import ScoredCase
from medsam2.evaluation.scores import StructureScores
from medsam2.evaluation.worst_cases import draw_worst, shown_column, worst_of
from medsam2.spatial import Segmentation


def scored_case(name, **values):
    return ScoredCase(name, "i", "l", 3, (StructureScores(name, "liver", 1, "axial", 0, 9, values),))


def test_the_least_come_first():
    scored = [scored_case("a", box=0.7), scored_case("b", box=0.2), scored_case("c", click=0.1)]
    assert [row.case for row in worst_of(scored, "box")] == ["b", "a"]
    assert [row.case for row in worst_of(scored, "box", 1)] == ["b"]


def test_volumes_are_shown_rather_than_slices():
    assert shown_column([scored_case("a", box=0.7, click_volume=0.5, mask_volume=0.4)]) == "mask_volume"
    assert shown_column([scored_case("a", click=0.7)]) == "click"
    assert shown_column([scored_case("a", clicks3=0.7)]) is None


@pytest.fixture
def half_labelled(case):
    """The bright block has on its last slices a reference that the network cannot see."""
    labels = case.reference.labels.copy()
    labels[11, 9:14, 8:15] = 0
    labels[11, 0:3, 0:3] = 7
    return Case("shifted", case.volume, Segmentation(labels, case.volume.geometry), case.names)


@pytest.fixture
def drawn(monkeypatch):
    """What the pictures were made of."""
    given = []
    draw = worst_cases.contour_picture
    monkeypatch.setattr(worst_cases, "contour_picture", lambda **what: given.append(what) or draw(**what))
    return given


@pytest.mark.parametrize("protocol", [Protocol.BOX_VOLUME, Protocol.MASK_VOLUME, Protocol.CLICK_VOLUME])
def test_the_prompted_and_the_worst_slice_of_a_volume(segmenter, case, half_labelled, how, drawn, protocol):
    cases = CaseSet("toys", tuple(CaseSource(one.name, lambda one=one: one) for one in (case, half_labelled)), {})
    scored = list(evaluate(segmenter, cases, (protocol,), how))
    steps = []
    (worst,) = draw_worst(segmenter, cases, scored, how, progress=lambda *now: steps.append(now), count=1)
    assert (worst.scores.case, worst.scores.structure) == ("shifted", "bright")
    assert worst.scores.values[worst.column] < 1
    assert steps == [(1, 1)]
    captions = [caption for caption, _ in worst.pictures]
    assert captions == ["slice 5, prompted", "slice 11, the worst: 44 pixels wrong"]
    assert all(Image.open(BytesIO(png)).size[0] > 100 for _, png in worst.pictures)
    prompted, wrong = drawn
    assert np.array_equal(prompted["found"], case.truth_on(5, 7))
    assert prompted["prompt"] is not None
    assert wrong["prompt"] is None
    assert np.array_equal(wrong["found"], case.truth_on(11, 7))
    assert np.array_equal(wrong["reference"], half_labelled.truth_on(11, 7))


@pytest.mark.parametrize("ordered", [True, False])
def test_single_slices(segmenter, new_case, how, drawn, ordered):
    one = new_case(ordered=ordered)
    cases = CaseSet("toys", (CaseSource("blocks", lambda: one),), {})
    scored = list(evaluate(segmenter, cases, (Protocol.BOX,), how))
    first, _ = draw_worst(segmenter, cases, scored, how)
    ((caption, _),) = first.pictures
    assert caption == "slice 2, prompted"
    assert np.array_equal(drawn[0]["found"], one.truth_on(2, 4))
    assert drawn[0]["frame"].shape == one.view.frame_shape
    assert drawn[0]["prompt"].box is not None


def test_nothing_to_show(segmenter, how):
    assert list(draw_worst(segmenter, CaseSet("none", (), {}), [], how)) == []
