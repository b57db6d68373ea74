from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from medsam2.memory import FifoBank, MemoryQuery
from medsam2.network import MemoryEntry, MemorySelection


def entry_of(frame: int) -> MemoryEntry:
    """An entry whose features and pointer say which frame it is of."""
    value = torch.full((1, 1, 1, 1), float(frame))
    one = torch.ones(1)
    return MemoryEntry(value, value[:, :, 0, 0], one, one, frame)


def query_of(frame: int, direction: int = 1, frame_count: int = 100) -> MemoryQuery:
    return MemoryQuery(frame, direction, frame_count, torch.zeros(1, 1, 1, 1))


def frames_of(selection: MemorySelection) -> list[int]:
    return [entry.frame for entry in selection.entries]


def pointer_frames(selection: MemorySelection) -> list[int]:
    return [int(pointer) for pointer in selection.pointers]


def bank_after(prompted: list[int], tracked: list[int]) -> FifoBank:
    bank = FifoBank()
    for frame in prompted:
        bank.add_prompted(entry_of(frame))
    for frame in tracked:
        bank.add(entry_of(frame))
    return bank


def test_first_frame_after_the_prompt_sees_only_the_prompt():
    selection = bank_after([10], []).select(query_of(11))

    assert frames_of(selection) == [10]
    assert selection.recency == (6,)
    assert pointer_frames(selection) == [10]
    assert selection.times == (pytest.approx(1 / 15),)


def test_six_recent_frames_and_the_prompted_one():
    selection = bank_after([10], list(range(11, 20))).select(query_of(20))

    assert frames_of(selection) == [10, 14, 15, 16, 17, 18, 19]
    assert selection.recency == (6, 5, 4, 3, 2, 1, 0)
    assert pointer_frames(selection) == [10, 19, 18, 17, 16, 15, 14, 13, 12, 11]
    assert selection.times == tuple(pytest.approx(ago / 15) for ago in (10, 1, 2, 3, 4, 5, 6, 7, 8, 9))


def test_at_most_fifteen_recent_pointers():
    selection = bank_after([0], list(range(1, 40))).select(query_of(40))

    assert pointer_frames(selection) == [0, *range(39, 24, -1)]
    assert selection.times[0] == pytest.approx(40 / 15)


def test_backward_pass_sees_what_the_forward_pass_left():
    selection = bank_after([10], list(range(11, 20))).select(query_of(9, direction=-1))

    assert frames_of(selection) == [10, 15, 14, 13, 12, 11]
    assert selection.recency == (6, 5, 4, 3, 2, 1)
    assert pointer_frames(selection) == [10, *range(11, 20)]
    assert selection.times == tuple(pytest.approx(ago / 15) for ago in range(1, 11))


def test_prompted_frames_ahead_give_a_memory_but_no_pointer():
    selection = bank_after([5, 9], [6]).select(query_of(7))

    assert frames_of(selection) == [5, 9, 6]
    assert selection.recency == (6, 6, 0)
    assert pointer_frames(selection) == [5, 6]


def test_prompted_frame_asks_for_itself():
    selection = bank_after([5], [4]).select(query_of(5))

    assert frames_of(selection) == [5, 4]
    assert pointer_frames(selection) == [5, 4]
    assert selection.times[0] == 0


@pytest.mark.parametrize(("frame_count", "share"), [(1, 1.0), (2, 1.0), (5, 1 / 4), (16, 1 / 15), (500, 1 / 15)])
def test_times_are_shares_of_the_longest_look_back(frame_count, share):
    selection = bank_after([0], []).select(query_of(1, frame_count=frame_count))

    assert selection.times == (pytest.approx(share),)


def test_prompting_a_tracked_frame_replaces_its_memory():
    bank = bank_after([0], [1, 2])
    bank.add_prompted(entry_of(2))

    selection = bank.select(query_of(3))

    assert frames_of(selection) == [0, 2, 1]
    assert selection.recency == (6, 6, 1)


def test_a_frame_tracked_twice_is_remembered_once():
    bank = bank_after([0], [1, 1])
    newer = entry_of(1)
    bank.add(newer)

    assert bank.select(query_of(2)).entries[1].features is newer.features


def test_image_features_are_not_held():
    entry = replace(entry_of(0), image=torch.zeros(1, 8, 4, 4))
    bank = FifoBank()
    bank.add_prompted(entry)
    bank.add(replace(entry, frame=1))

    assert [one.image for one in bank.select(query_of(2)).entries] == [None, None]


def test_frames_far_from_here_and_from_every_prompt_are_forgotten():
    bank = bank_after([0], list(range(1, 41)))

    assert sorted(bank.recent) == [*range(1, 16), *range(25, 41)]


def test_memory_is_flat_over_a_thousand_frames():
    bank = bank_after([0], [])
    held = []
    for frame in range(1, 1001):
        bank.add(entry_of(frame))
        held.append(len(bank.recent))

    assert max(held) == 15 + 16
    assert held[-1] == max(held)


class UnforgettingBank(FifoBank):
    def add(self, entry: MemoryEntry) -> None:
        self.recent[entry.frame] = entry


@given(frame_count=st.integers(1, 60), share=st.floats(0, 1, exclude_max=True))
def test_forgetting_changes_no_selection_of_a_forward_and_a_backward_pass(frame_count, share):
    start = int(share * frame_count)
    banks = FifoBank(), UnforgettingBank()
    for bank in banks:
        bank.add_prompted(entry_of(start))
    passes = [(frame, 1) for frame in range(start + 1, frame_count)]
    passes += [(frame, -1) for frame in range(start - 1, -1, -1)]
    for frame, direction in passes:
        query = query_of(frame, direction, frame_count)
        ours, all_kept = (bank.select(query) for bank in banks)
        assert frames_of(ours) == frames_of(all_kept)
        assert pointer_frames(ours) == pointer_frames(all_kept)
        assert (ours.recency, ours.times) == (all_kept.recency, all_kept.times)
        for bank in banks:
            bank.add(entry_of(frame))


def test_of_many_prompted_frames_the_nearest_are_attended_to():
    selection = bank_after(list(range(0, 100, 4)), []).select(query_of(50))

    assert frames_of(selection)[:16] == list(range(20, 81, 4))
    assert selection.recency[:16] == (6,) * 16


def test_the_next_prompted_frame_on_either_side_is_always_among_them():
    selection = bank_after([0, *range(60, 100, 2)], []).select(query_of(58))

    assert 0 in frames_of(selection)
    assert 60 in frames_of(selection)
    assert len(frames_of(selection)) == 16


def test_a_prompted_frame_beyond_the_limit_counts_as_a_recent_one():
    selection = bank_after(list(range(36, 56)), []).select(query_of(46))

    assert frames_of(selection) == list(range(38, 54))  # 36 and 37 are more than six frames ago
    assert pointer_frames(selection) == [*range(38, 47), 37, 36]
    assert selection.times[-2:] == (pytest.approx(9 / 15), pytest.approx(10 / 15))


@pytest.mark.parametrize(("frame", "direction", "nearest"), [(45, 1, range(25, 41)), (0, -1, range(1, 17))])
def test_before_the_first_and_after_the_last_of_many_prompted_frames(frame, direction, nearest):
    selection = bank_after(list(range(1, 41)), []).select(query_of(frame, direction))

    assert frames_of(selection)[:16] == list(nearest)


def masked(frame: int) -> MemoryEntry:
    """An entry with a mask that says which frame it is of."""
    return replace(entry_of(frame), mask=torch.full((1, 1, 2, 2), float(frame)))


def test_the_mask_just_before_is_that_of_the_nearest_frame_passed():
    bank = FifoBank()
    bank.add_prompted(masked(10))
    assert bank.select(query_of(12)).before.unique().item() == 10
    bank.add(masked(11))
    bank.add(masked(12))
    assert bank.select(query_of(13)).before.unique().item() == 12
    assert bank.select(query_of(9, direction=-1)).before.unique().item() == 10


def test_a_mask_from_far_away_or_from_ahead_tells_nothing():
    bank = FifoBank()
    bank.add_prompted(masked(10))
    assert bank.select(query_of(14)).before is None
    assert bank.select(query_of(8)).before is None
    assert bank.select(query_of(10)).before is None


def test_frames_without_an_order_have_no_mask_before():
    bank = FifoBank(ordered=False)
    bank.add_prompted(masked(10))
    assert bank.select(query_of(11)).before is None


def test_nothing_is_carried_over_to_another_plane_which_is_in_order():
    bank = FifoBank(ordered=False)
    bank.add_prompted(entry_of(3))
    other = bank.carried_over()
    assert not other.prompted
    assert not other.recent
    assert other.ordered
