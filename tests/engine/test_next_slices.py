"""Where the next prompt would help most."""

import pytest

from medsam2.engine.next_slices import REACH_MM, next_slices
from medsam2.engine.volume_result import ObjectResult, SliceConfidence
from medsam2.spatial import Plane


def looked_at(confidences, prompted=(), first=0, absent_score=-20.0):
    """An object of which slice `first + n` was found with a confidence; None: not found."""
    slices = tuple(
        SliceConfidence(first + n, one or 0.0, absent_score if one is None else 5.0, n in prompted)
        for n, one in enumerate(confidences)
    )
    return ObjectResult("organ", 1, Plane.AXIAL, 10, 0.1, slices, 0.0)


def places(*arguments, **settings):
    return [one.slice_index for one in next_slices(*arguments, **settings)]


def test_the_slice_in_doubt_comes_first():
    found = looked_at([0.9, 0.9, 0.2, 0.9, 0.9], prompted={0}, first=40)
    (best,) = next_slices(found, REACH_MM, count=1)
    assert best.slice_index == 42
    assert best.doubt == pytest.approx(0.8)


def test_neighbours_in_doubt_speak_for_the_one_between_them():
    assert places(looked_at([1.0, 0.5, 0.5, 0.5, 1.0]), REACH_MM / 2, count=1) == [2]


def test_what_one_prompt_settles_no_longer_speaks_for_the_next():
    found = looked_at([1.0, 0.1, 0.1, 1.0, 1.0, 1.0, 0.4, 1.0])
    first, second = next_slices(found, REACH_MM / 2, count=2)
    assert {first.slice_index, second.slice_index} in ({1, 6}, {2, 6})
    assert first.doubt > second.doubt


def test_prompted_slices_are_not_asked_for_again_and_settle_what_is_near():
    assert places(looked_at([0.5, 0.5, 0.5, 0.5], prompted={0}), REACH_MM * 0.5, count=1) == [2]
    assert places(looked_at([0.5], prompted={0}), 1.0) == []


def test_slices_without_a_mask_count_as_likely_as_the_object_is_there():
    assert places(looked_at([0.9, None, None], absent_score=3.0), REACH_MM, count=1) == [1]
    assert places(looked_at([0.9, None, None], absent_score=-30.0), REACH_MM, count=1) == [0]


def test_slices_that_settle_nothing_are_left_out():
    assert places(looked_at([1.0, 1.0]), 1.0) == []
    assert places(looked_at([]), 1.0) == []
    assert len(places(looked_at([0.9, 0.8]), REACH_MM)) == 2


def test_very_thick_slices_stand_alone():
    first, second = next_slices(looked_at([0.5, 0.4]), 10 * REACH_MM)
    assert (first.slice_index, second.slice_index) == (1, 0)
    assert (first.doubt, second.doubt) == pytest.approx((0.6, 0.5))


@pytest.mark.parametrize("score", [-1e9, 1e9])
def test_extreme_scores_are_probabilities_too(score):
    assert all(0 <= one.doubt <= 2 for one in next_slices(looked_at([None, None], absent_score=score), REACH_MM))
