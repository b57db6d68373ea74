import numpy as np
import pytest
import torch

from medsam2.engine.volume_result import SegmentSettings
from medsam2.errors import PromptError
from medsam2.evaluation.simulated_prompts import PromptKind, slice_prompt, volume_prompts
from medsam2.evaluation.single_slice import OBJECTS_AT_ONCE, SliceSegmenter
from medsam2.network import choose_mask
from medsam2.prompts import FramePoint, SlicePrompt
from medsam2.segmenter import Segmenter
from medsam2.spatial import Geometry, Plane, PlaneView, Volume
from medsam2.weights import WeightsCard
from reference.intensity_network import IOU


def test_objects_of_one_slice_are_found_to_the_pixel(case, segmenter, how):
    slices = SliceSegmenter(segmenter.network, case.volume, case.view, how)
    prompts = [
        slice_prompt(kind, case.truth_on(6, label)) for kind in (PromptKind.BOX, PromptKind.CLICK) for label in (7, 4)
    ]
    answers = slices.answers(6, prompts)
    for answer, label in zip(answers, (7, 4, 7, 4), strict=True):
        assert np.array_equal(answer.mask, case.truth_on(6, label))
        assert answer.candidates.shape == (3, *answer.mask.shape)
        assert answer.estimates == pytest.approx([IOU] * 3)
    assert segmenter.network.encoded == 1  # the slice, and no other


@pytest.mark.parametrize("kind", [PromptKind.BOX, PromptKind.CLICK])
def test_the_answer_is_that_of_the_prompted_slice_of_a_volume_run(case, tiny_network, kind):
    slices = SliceSegmenter(tiny_network, case.volume, case.view, SegmentSettings())
    whole = Segmenter(tiny_network, WeightsCard("tiny", tiny_network.config))
    found = whole.stream(case.volume, volume_prompts(case, [4, 7], kind))
    prompted = {one.label: one for one in found if one.prompted}
    for label, frame in case.prompted_frames.items():
        (answer,) = slices.answers(frame, [slice_prompt(kind, case.truth_on(frame, label))])
        assert np.array_equal(answer.mask, prompted[label].mask)
        if kind is PromptKind.CLICK:
            assert answer.estimates.max() == pytest.approx(prompted[label].confidence, abs=1e-5)


def test_the_mask_of_a_click_is_the_candidate_with_the_best_estimate(tiny_network, monkeypatch):
    noise = np.random.default_rng(0).normal(size=(1, 40, 30))
    volume = Volume(noise, Geometry(noise.shape, np.eye(4)))
    seen = []
    monkeypatch.setattr(
        "medsam2.engine.step.choose_mask",
        lambda raw, *args, **more: seen.append(raw) or choose_mask(raw, *args, **more),
    )
    slices = SliceSegmenter(tiny_network, volume, PlaneView.of(volume.geometry, Plane.AXIAL), SegmentSettings())
    (answer,) = slices.answers(0, [SlicePrompt(points=(FramePoint(10, 20),))])
    assert np.array_equal(answer.mask, answer.candidates[answer.estimates.argmax()])
    assert answer.estimates == pytest.approx(seen[0].iou[0, 1:].numpy())
    assert len({one.tobytes() for one in answer.candidates}) > 1


def test_many_objects_are_answered_in_parts(case, segmenter, how):
    slices = SliceSegmenter(segmenter.network, case.volume, case.view, how)
    labels = [4, 7] * OBJECTS_AT_ONCE
    answers = slices.answers(6, [slice_prompt(PromptKind.CLICK, case.truth_on(6, label)) for label in labels])
    assert all(np.array_equal(one.mask, case.truth_on(6, label)) for one, label in zip(answers, labels, strict=True))


def test_the_network_stays_as_it_was(case, tiny_network):
    before = {name: tensor.clone() for name, tensor in tiny_network.state_dict().items()}
    prompt = slice_prompt(PromptKind.BOX, case.truth_on(6, 4))
    one, two = (
        SliceSegmenter(tiny_network, case.volume, case.view, SegmentSettings()).answers(6, [prompt])[0] for _ in "ab"
    )
    assert np.array_equal(one.candidates, two.candidates)
    assert all(torch.equal(before[name], tensor) for name, tensor in tiny_network.state_dict().items())


def test_what_is_shown(case, segmenter, how):
    slices = SliceSegmenter(segmenter.network, case.volume, case.view, how)
    assert slices.shown(6) == pytest.approx(case.volume.array[6] / 255)
    colours = np.random.default_rng(0).integers(0, 256, (2, 5, 6, 3), np.uint8)
    volume = Volume(colours, Geometry((2, 5, 6), np.eye(4)))
    slices = SliceSegmenter(segmenter.network, volume, PlaneView.of(volume.geometry, Plane.AXIAL), how)
    assert slices.shown(1) == pytest.approx(colours[1].mean(-1) / 255, abs=1e-6)


def test_a_drawn_mask_is_refused(case, segmenter, how):
    slices = SliceSegmenter(segmenter.network, case.volume, case.view, how)
    with pytest.raises(PromptError, match="slice 6: a drawn mask is its own answer"):
        slices.answers(6, [SlicePrompt(mask=case.truth_on(6, 4))])
