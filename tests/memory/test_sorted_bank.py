from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from medsam2.errors import ConfigurationError
from medsam2.memory import POLICIES, MemoryOptions, SortedBank, new_bank
from medsam2.network import MemorySelection

SORTING = [name for name in POLICIES if name != "fifo"]


@pytest.fixture
def bank_of(entry_of):
    """Makes a bank that was prompted on frame 0 (west) and offered frames 1, 2, ... in these directions."""

    def make(*directions, policy="self-sorting", generator=None, **options) -> SortedBank:
        bank = new_bank(policy, MemoryOptions(**options), generator)
        bank.add_prompted(entry_of(0, "west"))
        for frame, direction in enumerate(directions, start=1):
            bank.add(entry_of(frame, direction))
        return bank

    return make


def frames_of(selection: MemorySelection) -> list[int]:
    return [entry.frame for entry in selection.entries]


def kept_frames(bank: SortedBank) -> list[int]:
    return [entry.frame for entry in bank.kept]


@pytest.mark.parametrize(
    ("iou", "object_score", "kept"),
    [(0.5, 1.0, True), (0.49, 1.0, False), (0.9, 0.0, False), (0.9, -2.0, False), (1.0, 0.1, True)],
)
def test_only_confident_frames_with_the_object_enter(entry_of, iou, object_score, kept):
    bank = new_bank("self-sorting")

    bank.add(entry_of(1, "east", iou, object_score))

    assert len(bank.kept) == kept


@pytest.mark.parametrize("policy", SORTING)
def test_an_open_gate_lets_all_in_but_absence(entry_of, policy):
    bank = new_bank(policy, MemoryOptions(confidence_threshold=0.0))

    bank.add(entry_of(1, iou=0.0))
    bank.add(entry_of(2, iou=1.0, object_score=-1.0))

    assert kept_frames(bank) == [1]


@pytest.mark.parametrize("policy", SORTING)
def test_a_frame_offered_again_replaces_what_was_kept_of_it(bank_of, entry_of, policy):
    bank = bank_of("east", "north", policy=policy, capacity=2)
    newer = entry_of(1, "northeast", iou=0.6)

    bank.add(newer)

    assert kept_frames(bank) == [2, 1]
    assert bank.kept[1] is newer


def test_what_may_not_enter_changes_nothing(bank_of, entry_of):
    bank = bank_of("east", "north")
    older = bank.kept[0]

    bank.add(entry_of(1, "northeast", iou=0.1))

    assert bank.kept[0] is older


def test_what_was_prompted_is_not_replaced_by_what_was_found(bank_of, entry_of, query_of):
    bank = bank_of("east")

    bank.add(entry_of(0, "north", iou=1.0))

    assert kept_frames(bank) == [1]
    assert frames_of(bank.select(query_of("east"))) == [0, 1]


def test_a_frame_prompted_again_replaces_its_prompt(bank_of, entry_of):
    bank = bank_of()
    newer = replace(entry_of(0, "west"), pointer=torch.full((1, 1), 7.0))

    bank.add_prompted(newer)

    assert [float(entry.pointer) for entry in bank.prompted.values()] == [7.0]


def test_prompting_a_kept_frame_takes_it_out_of_the_sorting(bank_of, entry_of):
    bank = bank_of("east", "north")

    bank.add_prompted(entry_of(1, "east"))

    assert kept_frames(bank) == [2]
    assert sorted(bank.prompted) == [0, 1]


def test_prompted_frames_are_pinned(bank_of, entry_of, query_of):
    bank = bank_of("east", "north", "east", "north", "west", capacity=1)
    bank.add_prompted(entry_of(90, "west", iou=0.0, object_score=-1.0))

    selection = bank.select(query_of("east"))

    assert frames_of(selection)[:2] == [0, 90]
    assert selection.recency[:2] == (6, 6)
    assert selection.times[:2] == (0, 0)


def test_pinned_frames_are_not_compared(bank_of):
    assert bank_of().prompted[0].image is None


def test_unpinned_prompts_are_sorted_like_any_other_but_need_no_confidence(entry_of, query_of):
    bank = new_bank("self-sorting", MemoryOptions(capacity=2, pin_prompted=False))
    bank.add_prompted(entry_of(0, "northeast", iou=0.0, object_score=-1.0))
    assert frames_of(bank.select(query_of("east"))) == [0]
    bank.add(entry_of(1, "east"))
    bank.add(entry_of(2, "north"))

    assert kept_frames(bank) == [1, 2]
    assert not bank.prompted


def test_most_similar_first_and_rank_for_time(bank_of, query_of):
    selection = bank_of("northeast", "east", (0.8, 0.6)).select(query_of("east"))

    assert frames_of(selection) == [0, 2, 3, 1]
    assert selection.recency == (6, 0, 1, 2)
    assert selection.times == (0, 1 / 6, 2 / 6, 3 / 6)
    assert [int(pointer) for pointer in selection.pointers] == [0, 2, 3, 1]


def test_copies_share_their_rank(bank_of, query_of):
    # Clamped and scaled to three draws: east 1.88, northeast 1.13, north 0.
    selection = bank_of("north", "east", "northeast").select(query_of("east"))

    assert frames_of(selection) == [0, 2, 2, 3]
    assert selection.recency == (6, 0, 0, 1)
    assert selection.times == (0, 1 / 6, 1 / 6, 2 / 6)


def test_without_resampling_each_is_attended_to_once_whatever_the_query(bank_of, query_of):
    selection = bank_of("north", "east", "northeast", "west", resample=False).select(query_of("east"))

    assert frames_of(selection) == [0, 2, 3, 1, 4]


def test_a_queue_has_the_order_in_which_frames_came(bank_of, query_of):
    bank = bank_of("north", "east", "northeast", "west", capacity=3, dissimilar=False, resample=False)

    selection = bank.select(query_of("east"))

    assert frames_of(selection) == [0, 4, 3, 2]
    assert selection.recency == (6, 0, 1, 2)


def test_the_queue_of_gated_frames_is_what_fifo_attends_to_if_all_are_confident(entry_of, query_of):
    """The first row of the ablation: on the way from the prompt, with the gate open, nothing differs."""
    options = MemoryOptions(confidence_threshold=0.0, dissimilar=False, resample=False)
    banks = new_bank("fifo"), new_bank("self-sorting", options)
    for bank in banks:
        bank.add_prompted(entry_of(40))
        for frame in range(41, 50):
            bank.add(entry_of(frame))

    fifo, queue = (bank.select(query_of()) for bank in banks)

    assert frames_of(fifo) == [40, 44, 45, 46, 47, 48, 49]
    assert fifo.recency == (6, 5, 4, 3, 2, 1, 0)
    assert frames_of(queue) == [40, 49, 48, 47, 46, 45, 44]
    assert queue.recency == (6, 0, 1, 2, 3, 4, 5)


def test_ranks_beyond_the_table_share_its_last_row(bank_of, query_of):
    directions = [(1.0, n / 20) for n in range(8)]

    selection = bank_of(*directions, capacity=8).select(query_of("east"))

    assert selection.recency == (6, 0, 1, 2, 3, 4, 5, 5, 5)


@pytest.mark.parametrize("policy", SORTING)
def test_few_memories_are_enough(bank_of, query_of, policy, generator):
    assert frames_of(bank_of(policy=policy).select(query_of())) == [0]
    assert set(frames_of(bank_of("north", policy=policy, generator=generator).select(query_of()))) == {0, 1}


def test_drawn_memories_come_most_similar_first(bank_of, query_of, generator):
    bank = bank_of("north", "east", "northeast", draws=5, generator=generator)

    for _ in range(20):
        drawn = frames_of(bank.select(query_of("east")))[1:]
        assert len(drawn) == 5
        assert drawn == sorted(drawn, key=[2, 3, 1].index)


def test_as_many_are_drawn_as_are_kept(bank_of, query_of, generator):
    bank = bank_of("east", "north", "west", "south", capacity=3, generator=generator)

    assert len(bank.select(query_of()).entries) == 1 + 3


def test_draws_follow_the_similarity_to_the_query(bank_of, query_of, generator):
    bank = bank_of("east", "north", "northeast", generator=generator, draws=3000)

    frames = torch.tensor(frames_of(bank.select(query_of((0.28, 0.96))))[1:])

    shares = frames.bincount(minlength=4)[1:] / len(frames)
    torch.testing.assert_close(shares, torch.tensor([0.28, 0.96, 0.936]) / 2.176, atol=0.03, rtol=0)


def test_entries_without_image_features_are_refused(entry_of):
    with pytest.raises(ConfigurationError, match="memory of frame 1 holds no image features"):
        new_bank("self-sorting").add(entry_of(1, None))


def masked(entry_of, frame: int, **more):
    return entry_of(frame, mask=torch.full((1, 1, 2, 2), float(frame)), **more)


def test_where_frames_have_an_order_the_mask_just_before_is_told(entry_of, query_of):
    bank = new_bank("self-sorting")
    bank.add_prompted(masked(entry_of, 10))
    assert bank.select(query_of(frame=11)).before.unique().item() == 10
    for frame in range(11, 30):
        bank.add(masked(entry_of, frame, object_score=-1.0))

    assert bank.select(query_of(frame=30)).before.unique().item() == 29
    assert bank.select(query_of(frame=9, travel=-1)).before.unique().item() == 10
    assert bank.select(query_of(frame=40)).before is None


def test_unordered_frames_have_no_mask_before(entry_of, query_of):
    bank = new_bank("self-sorting", ordered=False)
    bank.add_prompted(masked(entry_of, 10))

    assert bank.select(query_of(frame=11)).before is None


def test_memory_is_flat_over_a_thousand_frames(entry_of, generator):
    bank = new_bank("self-sorting")
    bank.add_prompted(masked(entry_of, 0))
    for frame, direction in enumerate(torch.randn(1000, 2, generator=generator).tolist(), start=1):
        bank.add(masked(entry_of, frame, direction=tuple(direction)))

    assert len(bank.kept) + len(bank.prompted) == 7
    assert len(bank._masks) <= 8


OFFERS = st.lists(
    st.tuples(
        st.booleans(),  # prompted
        st.integers(0, 12),  # frame
        st.sampled_from(["east", "north", "west", "northeast", "southeast"]),
        st.sampled_from([0.2, 0.5, 0.8, 1.0]),  # estimated IoU
        st.sampled_from([-1.0, 1.0]),  # object score
    ),
    max_size=40,
)


@given(
    policy=st.sampled_from(SORTING),
    capacity=st.integers(1, 4),
    pin=st.booleans(),
    drawn=st.booleans(),
    offers=OFFERS,
)
def test_any_sequence_of_frames(entry_of, query_of, policy, capacity, pin, drawn, offers):
    options = MemoryOptions(capacity=capacity, pin_prompted=pin)
    bank = new_bank(policy, options, torch.Generator().manual_seed(0) if drawn else None)
    prompted = {0}
    bank.add_prompted(entry_of(0))
    for is_prompted, frame, direction, iou, object_score in offers:
        prompted |= {frame} if is_prompted else set()
        remember = bank.add_prompted if is_prompted else bank.add
        remember(entry_of(frame, direction, iou, object_score))

        selection = bank.select(query_of())
        pinned = prompted if pin else set()
        assert set(bank.prompted) == pinned
        assert 0 < len(bank.kept) + len(pinned) <= capacity + len(pinned)
        assert len({*kept_frames(bank), *pinned}) == len(bank.kept) + len(pinned)
        assert set(frames_of(selection)[: len(pinned)]) == pinned
        draws = 4 * bool(bank.kept) if policy == "released" else len(bank.kept)
        assert len(selection.entries) == len(pinned) + draws
        assert set(selection.recency) <= set(range(7))
        assert all(0 <= time <= 1 for time in selection.times)


def test_another_plane_begins_with_what_is_kept_and_takes_no_frame_of_it_for_its_own(bank_of, entry_of, query_of):
    bank = bank_of("east", "north", "northeast")
    other = bank.carried_over()
    assert [float(one.pointer) for one in other.kept] == [1, 2, 3]
    assert [float(one.pointer) for one in other.prompted.values()] == [0]
    query = query_of("east", frame=2)
    assert len(other.select(query).entries) == len(bank.select(query).entries)
    for frame in range(4):  # frames of its own come beside them, none in their place
        other.add(entry_of(frame, "east"))
    assert len(other.kept) == other.policy.capacity
    assert len(other.prompted) == 1
    assert kept_frames(bank) == [1, 2, 3]
