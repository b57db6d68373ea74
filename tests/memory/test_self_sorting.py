import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from medsam2.errors import ConfigurationError
from medsam2.memory import MemoryQuery, SelfSortingBank, SelfSortingOptions
from medsam2.memory.self_sorting import dissimilarity
from medsam2.network import MemoryEntry, MemorySelection

# Directions in a plane: their cosines are easy.
EAST, NORTH, NORTH_EAST, WEST = (1.0, 0.0), (0.0, 1.0), (0.6, 0.8), (-1.0, 0.0)


def entry_of(
    frame: int, direction: tuple[float, float] | None, iou: float = 0.9, object_score: float = 1.0
) -> MemoryEntry:
    """An entry whose image features are one cell that points in a direction."""
    image = None if direction is None else torch.tensor(direction)[None, :, None, None]
    return MemoryEntry(
        torch.zeros(1, 64, 1, 1),
        torch.full((1, 1), float(frame)),
        torch.tensor([iou]),
        torch.tensor([object_score]),
        frame,
        image,
    )


def query_of(direction: tuple[float, float]) -> MemoryQuery:
    return MemoryQuery(50, 1, 100, torch.tensor(direction)[None, :, None, None])


def bank_of(*directions: tuple[float, float], generator: torch.Generator | None = None, **options) -> SelfSortingBank:
    """A bank that was prompted on frame 0 (west) and offered frames 1, 2, ... in these directions."""
    bank = SelfSortingBank(SelfSortingOptions(**options), generator)
    bank.add_prompted(entry_of(0, WEST))
    for frame, direction in enumerate(directions, start=1):
        bank.add(entry_of(frame, direction))
    return bank


def frames_of(selection: MemorySelection) -> list[int]:
    return [entry.frame for entry in selection.entries]


def test_dissimilarities_by_hand():
    entries = [entry_of(n, direction) for n, direction in enumerate((EAST, NORTH, NORTH_EAST))]

    # Cosines: east-north 0, east-northeast 0.6, north-northeast 0.8.
    torch.testing.assert_close(dissimilarity(entries), torch.tensor([1 + 0.4, 1 + 0.2, 0.4 + 0.2]))


def test_opposite_features_are_more_than_dissimilar():
    entries = [entry_of(n, direction) for n, direction in enumerate((EAST, WEST, NORTH))]

    torch.testing.assert_close(dissimilarity(entries), torch.tensor([2.0 + 1, 2.0 + 1, 1.0 + 1]))


def test_scale_does_not_count():
    entries = [entry_of(0, (3.0, 0.0)), entry_of(1, (0.0, 0.1))]

    torch.testing.assert_close(dissimilarity(entries), torch.tensor([1.0, 1.0]))


def test_the_most_alike_leaves_when_the_bank_is_full():
    bank = bank_of(EAST, NORTH_EAST, NORTH, capacity=2)

    assert [entry.frame for entry in bank.kept] == [1, 3]


def test_the_newcomer_leaves_if_it_is_the_most_alike():
    bank = bank_of(EAST, NORTH, NORTH_EAST, capacity=2)

    assert [entry.frame for entry in bank.kept] == [1, 2]


def test_six_memories_are_kept_unless_told_otherwise(generator):
    directions = torch.randn(40, 2, generator=generator)
    bank = bank_of(*(tuple(one.tolist()) for one in directions))

    assert len(bank.kept) == 6
    assert len(bank.select(query_of(EAST)).entries) == 7


@given(seed=st.integers(0, 1000), capacity=st.integers(1, 5), count=st.integers(1, 12))
def test_the_bank_keeps_what_differs_most(seed, capacity, count):
    directions = torch.randn(count, 2, generator=torch.Generator().manual_seed(seed)).tolist()
    kept: list[int] = []
    for frame, _ in enumerate(directions, start=1):
        kept.append(frame)
        if len(kept) > capacity:
            unit = torch.nn.functional.normalize(torch.tensor([directions[n - 1] for n in kept]))
            spread = (1 - unit @ unit.T).sum(1)
            kept.pop(int(spread.argmin()))

    bank = bank_of(*(tuple(one) for one in directions), capacity=capacity)

    # Two memories of one bank are equally unlike each other; rounding decides between them.
    assert [entry.frame for entry in bank.kept] == kept or capacity == 1


@pytest.mark.parametrize(
    ("iou", "object_score", "kept"),
    [(0.5, 1.0, True), (0.49, 1.0, False), (0.9, 0.0, False), (0.9, -2.0, False), (1.0, 0.1, True)],
)
def test_only_confident_frames_with_the_object_are_remembered(iou, object_score, kept):
    bank = SelfSortingBank()

    bank.add(entry_of(1, EAST, iou, object_score))

    assert len(bank.kept) == kept


def test_the_threshold_can_be_set():
    bank = SelfSortingBank(SelfSortingOptions(confidence_threshold=0.0))

    bank.add(entry_of(1, EAST, iou=0.0))

    assert len(bank.kept) == 1


def test_a_frame_offered_twice_is_kept_once():
    bank = bank_of(EAST, NORTH)
    newer = entry_of(1, NORTH_EAST)
    bank.add(newer)

    assert [entry.frame for entry in bank.kept] == [2, 1]
    assert bank.kept[1] is newer


def test_prompted_frames_are_pinned():
    bank = bank_of(EAST, NORTH, EAST, NORTH, WEST, capacity=1)
    bank.add_prompted(entry_of(90, WEST))

    selection = bank.select(query_of(EAST))

    assert frames_of(selection)[:2] == [0, 90]
    assert selection.recency[:2] == (6, 6)
    assert selection.times[:2] == (0, 0)


def test_unpinned_prompts_are_sorted_like_any_other():
    bank = SelfSortingBank(SelfSortingOptions(capacity=2, pin_prompted=False))
    bank.add_prompted(entry_of(0, NORTH_EAST))
    bank.add(entry_of(1, EAST))
    bank.add(entry_of(2, NORTH))

    assert frames_of(bank.select(query_of(EAST))) == [1, 2]
    assert not bank.prompted


def test_prompting_a_kept_frame_replaces_it():
    bank = bank_of(EAST, NORTH)
    bank.add_prompted(entry_of(1, EAST))

    assert [entry.frame for entry in bank.kept] == [2]
    assert sorted(bank.prompted) == [0, 1]


def test_without_a_generator_each_memory_is_attended_once_most_similar_first():
    selection = bank_of(NORTH, EAST, NORTH_EAST).select(query_of(EAST))

    assert frames_of(selection) == [0, 2, 3, 1]
    assert selection.recency == (6, 0, 1, 2)
    assert selection.times == (0, 1 / 6, 2 / 6, 3 / 6)
    assert [int(pointer) for pointer in selection.pointers] == [0, 2, 3, 1]


def test_ranks_beyond_the_table_share_its_last_row(generator):
    bank = bank_of(*torch.randn(8, 2, generator=generator).tolist(), capacity=8)

    assert bank.select(query_of(EAST)).recency == (6, 0, 1, 2, 3, 4, 5, 5, 5)


def test_nothing_kept_yet():
    assert frames_of(bank_of().select(query_of(EAST))) == [0]


def draws(bank: SelfSortingBank, direction: tuple[float, float], times: int) -> torch.Tensor:
    """How often each frame was drawn, as a share."""
    frames = [frame for _ in range(times) for frame in frames_of(bank.select(query_of(direction)))[1:]]
    return torch.bincount(torch.tensor(frames), minlength=4)[1:] / len(frames)


def test_draws_follow_the_similarity_to_the_query(generator):
    bank = bank_of(EAST, NORTH, NORTH_EAST, capacity=3, generator=generator)

    # To north-by-northeast (0.28, 0.96) the cosines are 0.28, 0.96 and 0.936.
    expected = torch.tensor([0.28, 0.96, 0.936]) / 2.176
    torch.testing.assert_close(draws(bank, (0.28, 0.96), 1500), expected, atol=0.03, rtol=0)


def test_negative_similarities_are_drawn_as_hardly_ever(generator):
    bank = bank_of(EAST, NORTH, (-0.6, -0.8), capacity=3, generator=generator)

    shares = draws(bank, (0.6, 0.8), 500)

    torch.testing.assert_close(shares, torch.tensor([0.6, 0.8, 0.0]) / 1.4, atol=0.05, rtol=0)


def test_only_negative_similarities_are_drawn_alike(generator):
    bank = bank_of(EAST, NORTH, NORTH_EAST, capacity=3, generator=generator)

    shares = draws(bank, (-0.6, -0.8), 500)

    torch.testing.assert_close(shares, torch.full((3,), 1 / 3), atol=0.05, rtol=0)


def test_draws_repeat_with_the_seed():
    def drawn(seed: int) -> list[list[int]]:
        bank = bank_of(EAST, NORTH, NORTH_EAST, capacity=4, generator=torch.Generator().manual_seed(seed))
        return [frames_of(bank.select(query_of((0.8, 0.6)))) for _ in range(5)]

    assert drawn(1) == drawn(1) != drawn(2)
    assert all(len(frames) == 1 + 4 for frames in drawn(1))


def test_drawn_memories_come_most_similar_first(generator):
    bank = bank_of(NORTH, EAST, NORTH_EAST, capacity=5, generator=generator)

    for _ in range(20):
        drawn = frames_of(bank.select(query_of(EAST)))[1:]
        assert drawn == sorted(drawn, key=[2, 3, 1].index)


def test_entries_without_image_features_are_refused():
    bank = SelfSortingBank()
    bank.add(entry_of(1, None))

    with pytest.raises(ConfigurationError, match="needs entries that hold the frame's image features"):
        bank.select(query_of(EAST))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"capacity": 0}, "capacity is 0; it must be at least 1"),
        ({"confidence_threshold": -0.1}, r"threshold is -0\.1; it must lie in \[0, 1\]"),
        ({"confidence_threshold": 1.5}, r"threshold is 1\.5; it must lie in \[0, 1\]"),
    ],
)
def test_bad_options_are_refused(options, message):
    with pytest.raises(ConfigurationError, match=message):
        SelfSortingOptions(**options)


def test_memory_is_flat_over_a_thousand_frames(generator):
    bank = bank_of(*torch.randn(1000, 2, generator=generator).tolist())

    assert len(bank.kept) + len(bank.prompted) == 7
