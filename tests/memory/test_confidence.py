import pytest
from hypothesis import given
from hypothesis import strategies as st

from medsam2.memory.confidence import Confidence


def kept_after(entry_of, ious: list[float], capacity: int) -> list[int]:
    """Frames that stay of frames 0, 1, ... with these confidences."""
    kept = []
    for frame, iou in enumerate(ious):
        kept = Confidence().keep(kept, entry_of(frame, iou=iou), capacity)
    return [entry.frame for entry in kept]


@pytest.mark.parametrize(
    ("ious", "kept"),
    [
        ([0.5, 0.4], [0, 1]),
        ([0.5, 0.4, 0.9], [0, 2]),
        ([0.5, 0.4, 0.3], [0, 1]),
        ([0.5, 0.5, 0.5], [0, 1]),
        ([0.3, 0.5, 0.5], [1, 2]),
    ],
)
def test_the_least_confident_leaves(entry_of, ious, kept):
    assert kept_after(entry_of, ious, capacity=2) == kept


@given(ious=st.lists(st.integers(0, 100), min_size=1, max_size=20), capacity=st.integers(1, 5))
def test_the_k_most_confident_stay_in_the_order_in_which_they_came(entry_of, ious, capacity):
    best = sorted(range(len(ious)), key=lambda frame: -ious[frame])[:capacity]

    assert kept_after(entry_of, [iou / 100 for iou in ious], capacity) == sorted(best)


def test_features_are_not_looked_at(entry_of):
    kept = Confidence().keep([entry_of(0, None, iou=0.2)], entry_of(1, None, iou=0.4), 1)

    assert [entry.frame for entry in kept] == [1]
