"""One-prompt over a set, with a network that finds what is as bright as what was prompted."""

import math
from dataclasses import replace

import numpy as np
import pytest

from medsam2.datasets.cases import Case
from medsam2.engine.set_result import SetSettings
from medsam2.evaluation.labelled_pictures import LabelledPictures
from medsam2.evaluation.one_prompt import plan_runs, prompt_to_set
from medsam2.evaluation.protocol_options import ProtocolOptions
from medsam2.evaluation.scores import COLUMNS
from medsam2.evaluation.simulated_prompts import PromptKind
from medsam2.spatial import Geometry, Segmentation, Volume
from reference.intensity_network import LEVELS, SIDE

DARK = LEVELS[1]


def pictures(*blocks, brightness=DARK):
    """A set of pictures, each with one dark block, or none."""
    truth = np.zeros((len(blocks), SIDE, SIDE), np.uint8)
    for picture, block in zip(truth, blocks, strict=True):
        if block is not None:
            picture[block] = 1
    geometry = Geometry(truth.shape, np.eye(4))
    return Case("set", Volume(truth * np.uint8(brightness), geometry), Segmentation(truth, geometry), {1: "b"}, False)


HERE, THERE, SMALL = np.s_[2:8, 2:8], np.s_[9:14, 2:8], np.s_[3:5, 3:5]


@pytest.mark.parametrize("kind", [PromptKind.MASK, PromptKind.BOX])
def test_the_other_pictures_are_judged(segmenter, how, kind):
    case = pictures(SMALL, HERE, THERE, None)
    (values,) = prompt_to_set(kind, segmenter, case, how).values()
    assert values[f"{kind}_set"] == 1
    assert values[f"{kind}_set_false"] == 0
    # The template is the largest, 36 pixels: it shares 4 with the first and none with the third.
    assert values["copied_mask"] == pytest.approx((2 * 4 / 40 + 0) / 2)


def test_masks_on_pictures_without_the_structure_are_counted(segmenter, how):
    case = pictures(HERE, None, None)
    case.volume.array[2][SMALL] = DARK  # looks like it, and is not
    (values,) = prompt_to_set(PromptKind.MASK, segmenter, case, how).values()
    assert math.isnan(values["mask_set"])
    assert values["mask_set_false"] == 0.5


def test_only_the_template_s_prompt_is_handed_over(how):
    case, told = pictures(HERE, THERE, SMALL), []

    class Recorder:
        def stream_set(self, images, template, prompts, settings=None):
            told.append((images, template, prompts))
            return iter(())

    prompt_to_set(PromptKind.MASK, Recorder(), case, how)
    ((images, template, prompts),) = told
    assert template == "0"
    assert np.array_equal(prompts.objects[0].masks[0].voxels[0], case.truth_on(0, 1))
    assert [np.array_equal(one.read().array[0], case.volume.array[t]) for t, one in enumerate(images)] == [True] * 3


@pytest.mark.parametrize(("asked", "used"), [(None, "self-sorting"), ("released", "released"), ("fifo", "fifo")])
def test_sets_have_the_memory_that_is_asked_for_else_their_own(how, asked, used):
    told = []

    class Recorder:
        def stream_set(self, images, template, prompts, settings=None):
            told.append(settings)
            return iter(())

    options = ProtocolOptions(memory_of_sets=asked)
    prompt_to_set(PromptKind.MASK, Recorder(), pictures(HERE, THERE), replace(how, memory="confidence"), options)
    assert told == [SetSettings(memory=used, window=how.window)]


def test_volumes_and_single_pictures_have_no_others(segmenter, how, case):
    assert prompt_to_set(PromptKind.MASK, segmenter, case, how) == {}
    assert prompt_to_set(PromptKind.MASK, segmenter, pictures(HERE), how) == {}


def test_runs_begin_from_other_templates_and_in_other_orders():
    case = pictures(SMALL, HERE, THERE, None, HERE)
    plans = plan_runs(LabelledPictures.of_case(case), 1, ProtocolOptions(templates=4), share=False)
    assert sorted(plan.templates for plan in plans) == [(0,), (1,), (2,), (4,)]
    assert all(sorted(plan.order) == [0, 1, 2, 3, 4] for plan in plans)
    assert len({plan.order for plan in plans}) > 1
    again = plan_runs(LabelledPictures.of_case(case), 1, ProtocolOptions(templates=4), share=False)
    assert plans == again
    other = plan_runs(LabelledPictures.of_case(case), 1, ProtocolOptions(templates=4, seed=1), share=False)
    assert plans != other
    more = plan_runs(LabelledPictures.of_case(case), 1, ProtocolOptions(templates=6), share=False)
    assert len({plan.templates for plan in more}) == 4


def test_the_spread_over_templates_is_measured(segmenter, how):
    """Half of the pictures are bright and half are dark: from either template only its like are found."""
    case = pictures(HERE, THERE, HERE, THERE)
    case.volume.array[2:][case.volume.array[2:] > 0] = LEVELS[2]
    options = ProtocolOptions(templates=4)
    (values,) = prompt_to_set(PromptKind.MASK, segmenter, case, how, options).values()
    assert values["mask_set"] == pytest.approx(1 / 3)
    assert values["mask_set_std"] == pytest.approx(0)
    lone = pictures(HERE, THERE, HERE)
    lone.volume.array[2][HERE] = LEVELS[2]
    (values,) = prompt_to_set(PromptKind.MASK, segmenter, lone, how, ProtocolOptions(templates=3)).values()
    assert values["mask_set"] == pytest.approx((0.5 + 0.5 + 0) / 3)
    assert values["mask_set_std"] == pytest.approx(np.std([0.5, 0.5, 0], ddof=1))
    assert set(values) <= set(COLUMNS)
    (once,) = prompt_to_set(PromptKind.MASK, segmenter, lone, how).values()
    assert math.isnan(once["mask_set_std"])


def test_a_share_of_pictures_is_prompted_and_not_judged(how):
    case, told = pictures(HERE, None, THERE, SMALL, HERE), []

    class Recorder:
        def stream_set(self, images, template, prompts, settings=None):
            told.append((template, prompts))
            return iter(())

    options = ProtocolOptions(share=1.0)
    (values,) = prompt_to_set(PromptKind.BOX, Recorder(), case, how, options, share=True).values()
    ((template, prompts),) = told
    assert sorted(template) == ["0", "2", "3", "4"]
    assert all(len(one.objects[0].boxes) == 1 for one in prompts)
    assert math.isnan(values["box_share_set"])


def test_a_share_finds_the_rest(segmenter, how):
    case = pictures(HERE, THERE, SMALL, HERE, THERE, None)
    (values,) = prompt_to_set(PromptKind.MASK, segmenter, case, how, ProtocolOptions(share=0.5), share=True).values()
    assert values["mask_share_set"] == 1
    assert 0 <= values["copied_share_mask"] < 1
    assert set(values) <= set(COLUMNS)
