import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from medsam2.errors import InputError, ShapeError
from medsam2.metrics import SliceOverlap, dice

STACKS = arrays(bool, (4, 2, 3))


def counted(masks, references, frames=None):
    overlap = SliceOverlap(references)
    for frame in range(len(masks)) if frames is None else frames:
        overlap.add(frame, masks[frame], references[frame])
    return overlap


@settings(deadline=None)
@given(STACKS, STACKS)
def test_dice_is_that_of_the_whole_volume(masks, references):
    assert counted(masks, references).dice == pytest.approx(dice(masks, references), nan_ok=True)


def test_shares_by_hand():
    references, masks = np.zeros((2, 6, 2, 2), bool)
    references[2:5, 0] = True
    masks[[0, 3, 4, 5], 1] = True
    overlap = counted(masks, references)
    assert overlap.false_share() == 2 / 3  # of 0, 1 and 5
    assert overlap.missed_share() == 1 / 3  # of 2, 3 and 4
    assert overlap.missed_share(leave_out=[3]) == 1 / 2
    assert overlap.missed_share(leave_out=(2, 3)) == 0
    assert overlap.dice == 0.0


def test_slices_not_told_of_have_no_mask():
    everywhere = np.ones((4, 2, 2), bool)
    overlap = counted(everywhere, everywhere, frames=[1])
    assert overlap.missed_share() == 3 / 4
    assert overlap.dice == 2 * 4 / (4 + 16)


def test_a_slice_told_of_twice_counts_once():
    everywhere = np.ones((2, 2, 2), bool)
    assert counted(everywhere, everywhere, frames=[0, 0, 1]).dice == 1.0


def test_nothing_to_judge_is_nan():
    everywhere = np.ones((2, 2, 2), bool)
    overlap = counted(everywhere, everywhere)
    assert math.isnan(overlap.false_share())
    assert math.isnan(SliceOverlap(~everywhere).missed_share())
    assert math.isnan(SliceOverlap(~everywhere).dice)
    assert math.isnan(counted(everywhere[:1], everywhere[:1]).missed_share(leave_out=[0]))
    assert math.isnan(overlap.dice_without(leave_out=[0, 1]))


@settings(deadline=None)
@given(STACKS, STACKS, st.sets(st.integers(0, 3)))
def test_dice_without_some_slices_is_that_of_the_others(masks, references, leave_out):
    others = [frame for frame in range(4) if frame not in leave_out]
    expected = dice(masks[others], references[others]) if references[others].any() else math.nan
    assert counted(masks, references).dice_without(leave_out) == pytest.approx(expected, nan_ok=True)


def test_what_does_not_fit_is_refused():
    with pytest.raises(ShapeError, match=r"uint8 \(2, 2, 2\).*bool \(T, R, C\)"):
        SliceOverlap(np.zeros((2, 2, 2), np.uint8))
    overlap = SliceOverlap(np.zeros((2, 2, 3), bool))
    with pytest.raises(ShapeError, match=r"\(3, 2\).*\(2, 3\).*same"):
        overlap.add(0, np.zeros((3, 2), bool), np.zeros((2, 3), bool))
    with pytest.raises(InputError, match=r"slice 2.*0\.\.1"):
        overlap.add(2, np.zeros((2, 3), bool), np.zeros((2, 3), bool))
