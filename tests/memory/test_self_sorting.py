import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from medsam2.memory.self_sorting import SelfSorting


def kept_after(entry_of, directions, capacity: int, dissimilar: bool = True) -> list[int]:
    """Frames that stay of frames 1, 2, ... that look in these directions."""
    kept = []
    for frame, direction in enumerate(directions, start=1):
        kept = SelfSorting(dissimilar).keep(kept, entry_of(frame, direction), capacity)
    return [entry.frame for entry in kept]


@pytest.mark.parametrize(
    ("directions", "kept"),
    [
        (["east", "northeast"], [1, 2]),
        (["east", "northeast", "north"], [1, 3]),  # D: 1.4, 0.6, 1.2
        (["east", "north", "northeast"], [1, 2]),  # the newcomer itself
        (["east", "northeast", "north", "west"], [1, 4]),  # of east, north, west D: 3, 2, 3
    ],
)
def test_the_most_alike_leaves_when_the_bank_is_full(entry_of, directions, kept):
    assert kept_after(entry_of, directions, capacity=2) == kept


def test_without_dissimilarity_the_most_recent_stay(entry_of):
    directions = ["east", "northeast", "north", "northeast"]

    assert kept_after(entry_of, directions, 2, dissimilar=False) == [3, 4]
    assert SelfSorting(dissimilar=False).is_queue
    assert not SelfSorting().is_queue


@given(seed=st.integers(0, 1000), capacity=st.integers(2, 5), count=st.integers(1, 12))
def test_the_bank_keeps_what_differs_most(entry_of, seed, capacity, count):
    directions = torch.randn(count, 2, generator=torch.Generator().manual_seed(seed)).tolist()
    kept: list[int] = []
    for frame, _ in enumerate(directions, start=1):
        kept.append(frame)
        if len(kept) > capacity:
            unit = torch.nn.functional.normalize(torch.tensor([directions[n - 1] for n in kept]))
            kept.pop(int((1 - unit @ unit.T).sum(1).argmin()))

    assert kept_after(entry_of, [tuple(one) for one in directions], capacity) == kept
