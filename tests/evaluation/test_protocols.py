"""Exact scores with a network that needs no training; and that the truth stays where it belongs."""

from dataclasses import fields, is_dataclass, replace

import numpy as np
import pytest
import torch

from medsam2.datasets.cases import Case
from medsam2.engine.volume_result import SegmentSettings
from medsam2.evaluation.protocols import PROTOCOLS, Protocol
from medsam2.evaluation.scores import COLUMNS
from medsam2.network import MaskPrediction
from medsam2.segmenter import Segmenter
from medsam2.spatial import Geometry, Segmentation, Volume
from medsam2.weights import WeightsCard
from reference.intensity_network import IntensityNetwork

VOLUMES = (Protocol.BOX_VOLUME, Protocol.MASK_VOLUME, Protocol.CLICK_VOLUME)


def test_every_name_has_a_protocol():
    assert tuple(PROTOCOLS) == tuple(Protocol)


@pytest.mark.parametrize("protocol", [Protocol.BOX, Protocol.CLICK, Protocol.CLICKS3])
def test_slices_of_a_perfect_segmenter(segmenter, case, how, protocol):
    scores = PROTOCOLS[protocol](segmenter, case, how)
    assert set(scores) == {4, 7}
    for values in scores.values():
        assert values[protocol.value] == 1.0
        assert set(values) <= set(COLUMNS)
    if protocol is Protocol.CLICK:
        assert all(values["click_best"] == 1.0 and values["click_regret"] == 0.0 for values in scores.values())
    if protocol is Protocol.BOX:
        assert all(0.5 < values["ellipse"] < 1.0 and values["otsu"] > 0.9 for values in scores.values())


@pytest.mark.parametrize("protocol", VOLUMES)
def test_volumes_of_a_perfect_segmenter(segmenter, case, how, protocol):
    scores = PROTOCOLS[protocol](segmenter, case, how)
    column = protocol.column
    for values in scores.values():
        assert (values[column], values[f"{column}_false"], values[f"{column}_missed"]) == (1.0, 0.0, 0.0)
        assert values[f"{column}_seconds"] > 0
        if "frozen_mask" in values:
            assert values["frozen_mask"] == 1.0  # the blocks are the same on each of their slices
        if "frozen_ellipse" in values:
            assert 0.5 < values["frozen_ellipse"] < 1.0
        assert set(values) <= set(COLUMNS)


class Candidates(IntensityNetwork):
    """Its masks: 0 right, 1 right, 2 half of the picture, 3 nothing; it likes the second best."""

    def decode(self, features, prompt):
        raw = super().decode(features, prompt)
        logits = raw.logits.clone()
        logits[:, 2], logits[:, 3] = torch.full_like(logits[:, 2], 10.0), -10.0
        iou = torch.tensor([0.1, 0.5, 0.9, 0.2]).expand(len(logits), -1)
        return MaskPrediction(logits, iou, raw.tokens, raw.object_score)


def test_regret_is_what_choosing_by_estimate_loses(case, how, segmenter):
    wrong = Segmenter(Candidates(), segmenter.card)
    scores = PROTOCOLS[Protocol.CLICK](wrong, case, how)
    for label, values in scores.items():
        truth = case.truth_on(case.prompted_frames[label], label)
        share = truth.mean()
        assert values["click_best"] == 1.0
        assert values["click"] == pytest.approx(2 * share / (1 + share))
        assert values["click_regret"] == pytest.approx(1 - share)
    three = PROTOCOLS[Protocol.CLICKS3](wrong, case, how)
    assert all(values == {"clicks3": 1.0} for values in three.values())  # a clear prompt takes candidate 0


class Everywhere(IntensityNetwork):
    """Sees the object on all of every slice."""

    def decode(self, features, prompt):
        raw = super().decode(features, prompt)
        score = torch.full_like(raw.object_score, 5.0)
        return MaskPrediction(torch.full_like(raw.logits, 10.0), raw.iou, raw.tokens, score)


def test_slices_without_the_object_and_without_a_mask_are_counted(case, how, segmenter):
    everywhere = PROTOCOLS[Protocol.BOX_VOLUME](Segmenter(Everywhere(), segmenter.card), case, how)
    assert all(
        values["box_volume_false"] == 1.0 and values["box_volume_missed"] == 0.0 for values in everywhere.values()
    )
    nowhere = PROTOCOLS[Protocol.BOX_VOLUME](Segmenter(IntensityNetwork(score=-5), segmenter.card), case, how)
    for values in nowhere.values():
        assert (values["box_volume_false"], values["box_volume_missed"]) == (0.0, 1.0)
        assert values["box_volume"] == pytest.approx(2 / 8)  # the prompted slice of seven is believed


def test_pictures_have_no_volume(segmenter, new_case, how):
    unordered = new_case(ordered=False)
    assert all(PROTOCOLS[protocol](segmenter, unordered, how) == {} for protocol in VOLUMES)
    scores = PROTOCOLS[Protocol.BOX](segmenter, unordered, how)
    assert {label: values["box"] for label, values in scores.items()} == {4: 1.0, 7: 1.0}


def test_a_picture_of_an_unordered_set_is_windowed_by_itself(tiny_network, new_case):
    """What the other pictures hold changes nothing."""
    one = Segmenter(tiny_network, WeightsCard("tiny", tiny_network.config))
    case = new_case(ordered=False)
    brighter = case.volume.array.copy()
    untouched = sorted(set(case.prompted_frames.values()))
    brighter[[k for k in range(len(brighter)) if k not in untouched]] = 255
    other = replace(case, volume=Volume(brighter, case.volume.geometry))
    settings = SegmentSettings(window="full")
    first, second = (PROTOCOLS[Protocol.CLICK](one, each, settings) for each in (case, other))
    assert first == second


class Recorder:
    """A segmenter that writes down all that it is given."""

    def __init__(self, segmenter):
        self.segmenter, self.network, self.given = segmenter, segmenter.network, []

    def stream(self, volume, prompts, settings=None):
        self.given.append((volume, prompts, settings))
        return self.segmenter.stream(volume, prompts, settings)


def arrays_in(value):
    """All arrays that can be reached from a value."""
    if isinstance(value, np.ndarray):
        return [value]
    if is_dataclass(value):
        return [array for one in fields(value) for array in arrays_in(getattr(value, one.name))]
    if isinstance(value, tuple | list):
        return [array for one in value for array in arrays_in(one)]
    return []


@pytest.mark.parametrize("protocol", VOLUMES)
def test_the_segmenter_is_given_the_volume_and_the_declared_prompts_only(segmenter, case, how, protocol):
    recorder = Recorder(segmenter)
    PROTOCOLS[protocol](recorder, case, how)
    ((volume, prompts, settings),) = recorder.given
    assert volume is case.volume
    assert settings == replace(how, plane=case.view.plane)
    for one in prompts.objects:
        frame, count = case.prompted_frames[one.label], (len(one.points), len(one.boxes), len(one.masks))
        kind = protocol.value.removesuffix("-volume")
        assert count == {"click": (1, 0, 0), "box": (0, 1, 0), "mask": (0, 0, 1)}[kind]
        for array in arrays_in(one):
            drawn = np.flatnonzero(array.any((1, 2)))
            assert drawn.tolist() == [frame]


def test_structures_are_scored_by_their_own_mask_though_they_overlap(segmenter, how):
    """Two boxes around one bright block: a label map would give it to one of them."""
    array = np.zeros((5, 16, 16), np.uint8)
    array[1:4, 4:10, 4:10] = 204
    labels = np.zeros_like(array)
    labels[1:4, 4:10, 4:7], labels[1:4, 4:10, 7:10] = 1, 2
    geometry = Geometry(array.shape, np.diag([1, 1, 3.0, 1]))
    case = Case("halves", Volume(array, geometry), Segmentation(labels, geometry), {1: "left", 2: "right"})
    scores = PROTOCOLS[Protocol.BOX_VOLUME](segmenter, case, how)
    assert [values["box_volume"] for values in scores.values()] == pytest.approx([2 / 3, 2 / 3])


def test_many_structures_go_through_in_parts(segmenter, how, monkeypatch, case):
    monkeypatch.setattr("medsam2.evaluation.protocols.STRUCTURES_AT_ONCE", 1)
    recorder = Recorder(segmenter)
    scores = PROTOCOLS[Protocol.MASK_VOLUME](recorder, case, how)
    assert [one[1].names for one in recorder.given] == [{4: "dark (4)"}, {7: "bright (7)"}]
    assert {label: values["mask_volume"] for label, values in scores.items()} == {4: 1.0, 7: 1.0}
