import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.extra.numpy import arrays

from medsam2.errors import ShapeError
from medsam2.metrics import dice, iou

MASKS = arrays(bool, (3, 4))


def test_dice_by_hand():
    mask = np.zeros((4, 4), bool)
    reference = mask.copy()
    mask[0, :3] = True
    reference[0, 1:] = True
    reference[1, 0] = True
    assert dice(mask, reference) == 2 * 2 / (3 + 4)


def test_empty_masks():
    empty, full = np.zeros((2, 2), bool), np.ones((2, 2), bool)
    assert math.isnan(dice(empty, empty))
    assert dice(empty, full) == dice(full, empty) == 0.0
    assert dice(full, full) == 1.0


@settings(deadline=None)
@given(MASKS, MASKS)
def test_dice_is_symmetric_and_at_most_one(mask, reference):
    value = dice(mask, reference)
    assert math.isnan(value) or (0 <= value <= 1 and value == dice(reference, mask))
    assert (value == 1) == (mask.any() and np.array_equal(mask, reference))


def test_other_shapes_and_types_are_refused():
    mask = np.zeros((2, 3), bool)
    with pytest.raises(ShapeError, match=r"\(2, 3\).*\(3, 2\).*same"):
        dice(mask, mask.T)
    with pytest.raises(ShapeError, match=r"uint8.*expected bool"):
        dice(mask, mask.astype(np.uint8))


def test_iou_by_hand_and_of_empty_masks():
    mask, reference = np.array([True, True, False, False]), np.array([False, True, True, True])
    assert iou(mask, reference) == 1 / 4
    assert iou(~mask & mask, reference) == 0.0
    assert math.isnan(iou(~mask & mask, ~mask & mask))
    with pytest.raises(ShapeError, match="expected the same"):
        iou(mask, reference[:2])


@settings(deadline=None)
@given(MASKS, MASKS)
def test_iou_and_dice_tell_the_same(mask, reference):
    overlap = iou(mask, reference)
    assert (
        math.isnan(overlap)
        if not (mask | reference).any()
        else dice(mask, reference) == pytest.approx(2 * overlap / (1 + overlap))
    )
