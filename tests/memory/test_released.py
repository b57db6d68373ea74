import pytest

from medsam2.memory.released import Released


def kept_with(kept, new, capacity: int) -> list[int]:
    return [entry.frame for entry in Released().keep(kept, new, capacity)]


@pytest.fixture
def bank(entry_of):
    """East, northeast and north, full; cosines 0.6, 0.8 and 0."""
    return [entry_of(0, "east", iou=0.9), entry_of(1, "northeast", iou=0.7), entry_of(2, "north", iou=0.8)]


def test_it_takes_all_until_it_is_full(entry_of, bank):
    assert kept_with(bank, entry_of(3, "northeast", iou=0.0), capacity=4) == [0, 1, 2, 3]


def test_one_of_two_like_memories_makes_room_for_an_unlike_one(entry_of, bank):
    # To south the cosines are 0, -0.8, -1: m is north, its neighbour x northeast; -1 < 0.8.
    assert kept_with(bank, entry_of(3, "south", iou=0.75), capacity=3) == [0, 2, 3]


@pytest.mark.parametrize(("iou", "kept"), [(0.61, [0, 2, 3]), (0.59, [0, 1, 2])])
def test_a_newcomer_may_be_less_confident_by_the_margin(entry_of, bank, iou, kept):
    assert kept_with(bank, entry_of(3, "south", iou=iou), capacity=3) == kept


def test_what_is_more_alike_than_the_neighbours_stays_out(entry_of):
    # To northeast: east 0.6, north 0.8, southeast 0; m is southeast, x east; 0 < 0.8: east goes.
    bank = [entry_of(0, "east"), entry_of(1, "north"), entry_of(2, "southeast")]
    assert kept_with(bank, entry_of(3, "northeast"), capacity=3) == [1, 2, 3]

    # To northeast: m is east (0.6), x north, which is 0 to it: 0.6 < 0 fails.
    assert kept_with(bank[:2], entry_of(3, "northeast"), capacity=2) == [0, 1]


def test_a_bank_of_one_has_no_neighbours_and_stays(entry_of):
    assert kept_with([entry_of(0, "east", iou=0.1)], entry_of(1, "west", iou=1.0), capacity=1) == [0]


def test_the_bank_given_is_not_changed(entry_of, bank):
    before = list(bank)
    kept = Released().keep(bank, entry_of(3, "northeast", iou=0.0), capacity=3)

    assert bank == before
    assert kept is not bank
