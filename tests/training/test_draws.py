"""Randomness by place: the same place, the same draw; another place, another."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from medsam2.training.draws import Lane, draw_between, draw_index, generator_at, happens


def first(generator):
    return float(torch.rand((), generator=generator))


@given(st.integers(0, 2**31), st.integers(0, 10**6))
def test_a_place_always_draws_the_same_and_places_differ(seed, step):
    assert first(generator_at(seed, "clip", step)) == first(generator_at(seed, "clip", step))
    others = [
        generator_at(seed, "clip", step + 1),
        generator_at(seed + 1, "clip", step),
        generator_at(seed, "gap", step),
    ]
    assert first(generator_at(seed, "clip", step)) not in [first(one) for one in others]


def test_a_place_is_no_mere_sum_of_its_parts():
    assert first(generator_at(0, "a", 1, 23)) != first(generator_at(0, "a", 12, 3))
    assert first(generator_at(0, "1")) != first(generator_at(0, 1))


def test_lanes_of_a_task_share_draws_and_tasks_do_not():
    assert first(Lane(0, (0, 1), 0, 2).generator("x")) == first(Lane(0, (0, 1), 1, 2).generator("x"))
    assert first(Lane(0, (0, 0)).generator("x")) != first(Lane(0, (0, 1)).generator("x"))


def test_draws_stay_in_their_ranges(generator):
    assert {draw_index(3, generator) for _ in range(60)} == {0, 1, 2}
    drawn = [draw_between(-2, 5, generator) for _ in range(200)]
    assert -2 <= min(drawn) < -1
    assert 4 < max(drawn) <= 5
    assert not happens(0, generator)
    assert happens(1, generator)
    assert 20 < sum(happens(0.2, generator) for _ in range(200)) < 60
