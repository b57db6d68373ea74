import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from medsam2.memory.resampling import Resampling, expected_counts, probabilities


@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        ("clamp", [0.8 / 1.4, 0.6 / 1.4, 0.0]),
        ("shift", [0.9 / 1.95, 0.8 / 1.95, 0.25 / 1.95]),
        ("softmax", [2.225541 / 4.654191, 1.822119 / 4.654191, 0.606531 / 4.654191]),  # e^0.8, e^0.6, e^-0.5
    ],
)
def test_probabilities_by_hand(weights, expected):
    p = probabilities(torch.tensor([0.8, 0.6, -0.5]), weights)

    torch.testing.assert_close(p, torch.tensor(expected).double(), atol=2e-6, rtol=0)
    assert p.sum().item() == pytest.approx(1)


@pytest.mark.parametrize("weights", ["clamp", "shift", "softmax"])
def test_where_nothing_is_similar_all_are_alike(weights):
    torch.testing.assert_close(probabilities(torch.tensor([-1.0, -1.0]), weights), torch.tensor([0.5, 0.5]).double())


@pytest.mark.parametrize(
    ("p", "draws", "counts"),
    [
        ([0.5, 0.3, 0.2], 10, [5, 3, 2]),
        ([0.5, 0.3, 0.2], 3, [1, 1, 1]),  # 1.5, 0.9, 0.6
        ([0.6, 0.3, 0.1], 3, [2, 1, 0]),  # 1.8, 0.9, 0.3
        ([0.2, 0.3, 0.26, 0.24], 2, [0, 1, 1, 0]),  # the top two
        ([1.0], 4, [4]),
        ([0.25, 0.25, 0.25, 0.25], 2, [1, 1, 0, 0]),
    ],
)
def test_expected_counts_by_hand(p, draws, counts):
    assert expected_counts(torch.tensor(p, dtype=torch.float64), draws).tolist() == counts


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=16), st.integers(1, 32))
def test_expected_counts_are_within_one_of_the_expectation(cosines, draws):
    p = probabilities(torch.tensor(cosines), "clamp")
    counts = expected_counts(p, draws)

    assert counts.sum() == draws
    assert (counts - draws * p).abs().max() < 1 + 1e-9


def test_without_resampling_each_is_attended_to_once(generator):
    similarity = torch.tensor([0.9, -0.9, 0.0])

    assert Resampling(resample=False).counts(similarity, None) == [1, 1, 1]
    assert Resampling(resample=False).counts(similarity, generator) == [1, 1, 1]


def test_alike_memories_are_attended_to_once_each_where_nothing_is_drawn():
    assert Resampling().counts(torch.tensor([0.95, 0.8, 0.9, 0.85]), None) == [1, 1, 1, 1]


def test_unlike_memories_give_way_to_like_ones():
    # Clamped and scaled to three draws: 1.8, 1.2, 0.
    assert Resampling().counts(torch.tensor([0.9, 0.6, -0.2]), None) == [2, 1, 0]


def test_draws_can_be_fewer_or_more_than_memories(generator):
    similarity = torch.tensor([0.8, 0.2])

    assert Resampling(draws=1).counts(similarity, None) == [1, 0]
    assert Resampling(draws=10).counts(similarity, None) == [8, 2]
    assert sum(Resampling(draws=10).counts(similarity, generator)) == 10


@pytest.mark.parametrize("weights", ["clamp", "shift", "softmax"])
def test_draws_follow_the_probabilities(weights, generator):
    similarity = torch.tensor([0.28, 0.96, 0.936, -0.4])

    counts = Resampling(weights=weights, draws=6000).counts(similarity, generator)

    torch.testing.assert_close(
        torch.tensor(counts) / 6000, probabilities(similarity, weights).float(), atol=0.03, rtol=0
    )


def test_draws_repeat_with_the_seed():
    def drawn(seed: int) -> list[list[int]]:
        generator = torch.Generator().manual_seed(seed)
        return [Resampling().counts(torch.tensor([0.8, 0.7, 0.6, 0.5]), generator) for _ in range(5)]

    assert drawn(1) == drawn(1) != drawn(2)
