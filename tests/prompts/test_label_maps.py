import re

import numpy as np
import pytest

from medsam2.errors import PromptError
from medsam2.prompts import objects_from_label_map


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.float32])
def test_every_value_is_an_object(dtype):
    labels = np.zeros((2, 3, 4), dtype)
    labels[0, 1, 1:3], labels[1, 2, 3] = 9, 2
    first, second = objects_from_label_map(labels, {9: "liver", 5: "not there"})
    assert (first.name, first.label) == ("object 2", 2)
    assert (second.name, second.label) == ("liver", 9)
    np.testing.assert_array_equal(first.masks[0].voxels, labels == 2)
    np.testing.assert_array_equal(second.masks[0].voxels, labels == 9)


def test_a_binary_mask_is_one_object():
    (only,) = objects_from_label_map(np.ones((1, 2, 2), bool))
    assert (only.name, only.label) == ("object 1", 1)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (0, "the label map is empty (all 0); mark each object"),
        (0.5, "the label map holds values that are not whole numbers; expected labels 1..65535"),
        (np.nan, "the label map holds values that are not whole numbers"),
        (np.inf, "the label map holds values that are not whole numbers"),
        (-3, "object 'object -3' has the label -3; expected an integer 1..65535"),
        (70000, "object 'object 70000' has the label 70000; expected an integer 1..65535"),
    ],
)
def test_values_that_are_no_labels(value, message):
    with pytest.raises(PromptError, match=re.escape(message)):
        objects_from_label_map(np.full((1, 2, 2), value))
