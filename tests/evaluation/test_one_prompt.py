"""One-prompt over a set, with a network that finds what is as bright as what was prompted."""

import math

import numpy as np
import pytest

from medsam2.datasets.cases import Case
from medsam2.evaluation.one_prompt import prompt_to_set
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


def test_volumes_and_single_pictures_have_no_others(segmenter, how, case):
    assert prompt_to_set(PromptKind.MASK, segmenter, case, how) == {}
    assert prompt_to_set(PromptKind.MASK, segmenter, pictures(HERE), how) == {}
