import dataclasses
import re

import numpy as np
import pytest

from medsam2.errors import PromptError
from medsam2.prompts import BoxPrompt, MaskPrompt, ObjectPrompts, PointPrompt
from medsam2.prompts.prompt_types import format_index, format_ranges, nearest_voxel

POINT = PointPrompt(1, 2, 3)


def test_prompts_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        POINT.i = 5


def test_box_corners_are_put_in_order():
    assert BoxPrompt(9, 2, 5, 1, 8, 5) == BoxPrompt(1, 2, 5, 9, 8, 5)
    assert BoxPrompt(9, 2, 5, 1, 8, 5).corners == ((1, 2, 5), (9, 8, 5))


@pytest.mark.parametrize(("value", "voxel"), [(0.49, 0), (0.5, 1), (-0.5, 0), (2.5, 3), (-0.51, -1)])
def test_nearest_voxel_rounds_halves_up(value, voxel):
    assert nearest_voxel((value, 0, 0)) == (voxel, 0, 0)


def test_texts():
    assert str(PointPrompt(1, 2.5, 3)) == "point (1, 2.5, 3)"
    assert str(BoxPrompt(1, 2, 3, 4, 5, 3)) == "box (1, 2, 3) to (4, 5, 3)"
    assert str(MaskPrompt(np.ones((1, 1, 1), bool))) == "mask"
    assert format_index((1.0, -2.25)) == "(1, -2.25)"
    assert format_ranges((122, 101, 1)) == "i 0..121, j 0..100, k 0..0"


def test_sequences_become_tuples():
    prompts = ObjectPrompts("liver", np.int64(3), points=[POINT], boxes=[BoxPrompt(0, 0, 0, 1, 1, 0)])
    assert prompts.points == (POINT,)
    assert prompts.boxes == (BoxPrompt(0, 0, 0, 1, 1, 0),)
    assert prompts.title == "object 'liver' (label 3)"


def test_mask_of_another_type_is_refused():
    with pytest.raises(PromptError, match=re.escape("the mask holds uint8; expected bool, e.g. `labels == 3`")):
        MaskPrompt(np.zeros((1, 2, 3), np.uint8))


@pytest.mark.parametrize("label", [0, -1, 65536, True, 1.0, "1", None])
def test_label_that_cannot_be_used(label):
    with pytest.raises(PromptError, match=re.escape(f"'liver' has the label {label!r}; expected an integer 1..65535")):
        ObjectPrompts("liver", label, points=(POINT,))


@pytest.mark.parametrize("name", ["", "  ", None, 3])
def test_name_that_cannot_be_used(name):
    with pytest.raises(PromptError, match=re.escape(f"the object of label 4 is named {name!r}; expected a text")):
        ObjectPrompts(name, 4, points=(POINT,))


def test_object_without_prompt():
    with pytest.raises(PromptError, match=r"object 'liver' \(label 1\) has no prompt; give it at least one"):
        ObjectPrompts("liver", 1)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_coordinates_that_are_not_finite(value):
    with pytest.raises(PromptError, match=r"object 'liver' \(label 1\): point \(.*\) is not finite"):
        ObjectPrompts("liver", 1, points=(POINT, PointPrompt(0, value, 0)))
    with pytest.raises(PromptError, match=r"object 'liver' \(label 1\): box \(.*\) is not finite"):
        ObjectPrompts("liver", 1, boxes=(BoxPrompt(0, 0, 0, 5, value, 0),))


def test_empty_mask():
    with pytest.raises(PromptError, match=r"object 'liver' \(label 1\): the mask is empty; mark at least one"):
        ObjectPrompts("liver", 1, masks=(MaskPrompt(np.zeros((2, 2, 2), bool)),))


def test_one_voxel_clicked_both_ways():
    clicks = (PointPrompt(1, 2, 3), PointPrompt(1.2, 1.8, 3, positive=False))
    with pytest.raises(PromptError, match=r"'liver' \(label 1\): voxel \(1, 2, 3\) is clicked as positive and"):
        ObjectPrompts("liver", 1, points=clicks)
