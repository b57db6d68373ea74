import pytest
import torch

from medsam2.memory.nearby import mask_before, out_of_reach

MASKS = {frame: torch.full((1, 1, 2, 2), float(frame)) for frame in (10, 11, 20)}


@pytest.mark.parametrize(
    ("frame", "travel", "found"),
    [(12, 1, 11), (14, 1, 11), (15, 1, None), (11, 1, 10), (10, 1, None), (9, -1, 10), (19, -1, 20), (16, -1, None)],
)
def test_the_nearest_frame_just_passed(query_of, frame, travel, found):
    mask = mask_before(query_of(frame=frame, travel=travel), MASKS)

    assert mask is (None if found is None else MASKS[found])


def test_a_network_that_draws_nothing_has_no_masks(query_of):
    assert mask_before(query_of(frame=12), {11: None}) is None


def test_what_is_far_from_the_sweep_and_from_where_it_turns_is_out_of_reach():
    assert out_of_reach(range(20), 14, (5, 8, 19), reach=3) == [0, 1, 9, 10, 18, 19]
    assert out_of_reach(range(20), 14, (), reach=3) == [*range(11), 18, 19]
