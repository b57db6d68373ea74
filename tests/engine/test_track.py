import copy
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from medsam2.engine import track as module
from medsam2.engine.track import Advance, Moment, NetworkPrompt, Track, advance, pad_points
from medsam2.memory import FifoBank, MemoryOptions, MemoryQuery, new_bank
from medsam2.network import ImageFeatures, PointKind, Sam2Network
from medsam2.network.outputs import NO_OBJECT_LOGIT
from reference.random_weights import randomise

SIZE, FRAMES = 64, 4


def points_of(points: list[tuple[float, float]], *kinds: PointKind) -> NetworkPrompt:
    return NetworkPrompt(torch.tensor(points), torch.tensor(kinds))


CLICK = points_of([(20.0, 30.0)], PointKind.POSITIVE)
OTHER_CLICK = points_of([(50.0, 10.0)], PointKind.POSITIVE)
BOX = points_of([(5.0, 9.0), (30.0, 40.0)], PointKind.BOX_FIRST, PointKind.BOX_LAST)
CLICKS = points_of([(20.0, 30.0), (50.0, 50.0)], PointKind.POSITIVE, PointKind.NEGATIVE)
DRAWN = NetworkPrompt.from_mask((torch.arange(SIZE) < 24).float().expand(1, SIZE, SIZE))
ALL_KINDS = (CLICK, BOX, DRAWN, OTHER_CLICK, CLICKS)


@pytest.fixture
def network(tiny_network: Sam2Network) -> Sam2Network:
    """The tiny network, sure that objects are there."""
    sure = copy.deepcopy(tiny_network)
    torch.nn.init.constant_(sure.mask_decoder.object_score_head.layers[-1].bias, 5.0)
    return sure


@pytest.fixture
def frames(network, generator) -> list[ImageFeatures]:
    images = torch.randn(FRAMES, 3, SIZE, SIZE, generator=generator)
    return [network.encode_image(image[None]) for image in images]


def tracks_of(*prompts: NetworkPrompt) -> list[Track]:
    return [Track(FifoBank(), {0: prompt}) for prompt in prompts]


def logits_of(groups: list[Advance]) -> Tensor:
    """(tracks, S / 4, S / 4) in the order of the tracks."""
    rows = torch.tensor([row for group in groups for row in group.rows])
    return torch.cat([group.prediction.logits for group in groups])[rows.argsort()]


def test_different_prompts_together_equal_each_alone(network, frames):
    together = tracks_of(*ALL_KINDS)
    alone = [tracks_of(prompt) for prompt in ALL_KINDS]

    for frame, features in enumerate(frames):
        moment = Moment(frame, 1, FRAMES)
        found = logits_of(advance(network, features, together, moment))
        for row, one in enumerate(alone):
            # Memories are rounded to bfloat16, now and then the other way.
            torch.testing.assert_close(
                found[row], logits_of(advance(network, features, one, moment))[0], atol=0.05, rtol=0.01
            )


def test_tracks_of_one_layout_share_a_batch(network, frames):
    tracks = tracks_of(*ALL_KINDS)

    prompted = advance(network, frames[0], tracks, Moment(0, 1, FRAMES))
    tracked = advance(network, frames[1], tracks, Moment(1, 1, FRAMES))

    assert [group.rows for group in prompted] == [[0, 3], [1, 4], [2]]
    assert [group.rows for group in tracked] == [[0, 1, 2, 3, 4]]


@pytest.mark.parametrize("cells", [1, 32, 40, 1000])
def test_a_batch_on_a_cpu_has_no_more_cells_than_pay(network, frames, monkeypatch, cells):
    """A frame has 16 cells: 1, 2, 2 and all objects at a time."""
    together, in_parts = tracks_of(*ALL_KINDS), tracks_of(*ALL_KINDS)
    expected = [logits_of(advance(network, frames[n], together, Moment(n, 1, FRAMES))) for n in range(2)]
    monkeypatch.setattr(module, "CELLS_AT_ONCE", cells)
    found = [advance(network, frames[n], in_parts, Moment(n, 1, FRAMES)) for n in range(2)]
    rows = {1: [[0], [1], [2], [3], [4]], 1000: [[0, 1, 2, 3, 4]]}.get(cells, [[0, 1], [2, 3], [4]])
    assert [group.rows for group in found[1]] == rows
    for groups, other in zip(found, expected, strict=True):
        torch.testing.assert_close(logits_of(groups), other, atol=0.05, rtol=0.01)


def test_tracks_with_unlike_memories_are_batched_apart(network, frames):
    tracks = tracks_of(CLICK, BOX, OTHER_CLICK)
    advance(network, frames[0], tracks, Moment(0, 1, FRAMES))
    tracks[1].prompts[1] = CLICKS
    advance(network, frames[1], tracks, Moment(1, 1, FRAMES))

    # All three remember two frames, the second track both as prompted.
    groups = advance(network, frames[2], tracks, Moment(2, 1, FRAMES))
    assert [group.rows for group in groups] == [[0, 1, 2]]
    tracks[0].bank.recent.clear()
    groups = advance(network, frames[3], tracks, Moment(3, 1, FRAMES))
    assert [group.rows for group in groups] == [[0], [1, 2]]


def test_prompted_and_tracked_objects_on_one_frame(network, frames):
    tracks = tracks_of(CLICK, BOX)
    advance(network, frames[0], tracks, Moment(0, 1, FRAMES))
    tracks[0].prompts[1] = CLICKS

    groups = advance(network, frames[1], tracks, Moment(1, 1, FRAMES))

    assert [group.rows for group in groups] == [[0], [1]]
    assert (sorted(tracks[0].bank.prompted), sorted(tracks[0].bank.recent)) == ([0, 1], [])
    assert (sorted(tracks[1].bank.prompted), sorted(tracks[1].bank.recent)) == ([0], [1])


def test_a_second_prompt_forgets_the_past_unless_it_remembers(network, frames):
    def found_with(prompt: NetworkPrompt) -> tuple[Tensor, Tensor]:
        (track,) = tracks_of(BOX)
        advance(network, frames[0], [track], Moment(0, 1, FRAMES))
        track.prompts[1] = prompt
        found = logits_of(advance(network, frames[1], [track], Moment(1, 1, FRAMES)))
        return found, track.bank.prompted[1].features

    fresh = logits_of(advance(network, frames[1], tracks_of(CLICK), Moment(0, 1, FRAMES)))

    assert torch.equal(found_with(CLICK)[0], fresh)
    assert not torch.allclose(found_with(replace(CLICK, remembers=True))[0], fresh, atol=1e-2)


def test_previous_logits_are_corrected(network, frames):
    plain = tracks_of(CLICK, OTHER_CLICK)
    before = logits_of(advance(network, frames[0], plain, Moment(0, 1, FRAMES)))
    corrections = [replace(prompt, previous=before[row : row + 1]) for row, prompt in enumerate((CLICKS, BOX))]

    groups = advance(network, frames[0], tracks_of(*corrections), Moment(0, 1, FRAMES))
    bare = advance(network, frames[0], tracks_of(CLICKS, BOX), Moment(0, 1, FRAMES))

    assert [group.rows for group in groups] == [[0, 1]]
    assert not torch.allclose(logits_of(groups), logits_of(bare), atol=1e-2)


def test_prompts_with_and_without_previous_logits_are_batched_apart(network, frames):
    previous = torch.zeros(1, SIZE // 4, SIZE // 4)
    tracks = tracks_of(BOX, replace(CLICKS, previous=previous))

    groups = advance(network, frames[0], tracks, Moment(0, 1, FRAMES))

    assert [group.rows for group in groups] == [[0], [1]]


def test_each_track_may_have_a_frame_of_its_own(network, frames):
    own = [frames[2], frames[0], frames[1]]
    maps = ("stride4", "stride8", "stride16")
    stacked = ImageFeatures(*(torch.cat([getattr(one, name) for one in own]) for name in maps))
    tracks, alone = tracks_of(CLICK, BOX, OTHER_CLICK), [tracks_of(one) for one in (CLICK, BOX, OTHER_CLICK)]

    for frame in range(2):
        moment = Moment(frame, 1, FRAMES)
        found = logits_of(advance(network, stacked, tracks, moment))
        for row, features in enumerate(own):
            expected = logits_of(advance(network, features, alone[row], moment))[0]
            torch.testing.assert_close(found[row], expected, atol=0.05, rtol=0.01)


def test_known_presence_goes_to_its_track(network, frames):
    tracks = tracks_of(CLICK, BOX, OTHER_CLICK)

    found = logits_of(
        advance(network, frames[0], tracks, Moment(0, 1, FRAMES), present=torch.tensor([True, False, False]))
    )

    assert [(logits == NO_OBJECT_LOGIT).all().item() for logits in found] == [False, True, True]
    assert torch.equal(tracks[2].bank.prompted[0].pointer, network.no_object_pointer)


def test_banks_are_asked_with_the_frame_they_stand_on(network, frames, monkeypatch):
    track = Track(FifoBank(), {1: BOX})
    advance(network, frames[1], [track], Moment(1, 1, FRAMES))
    queries = []
    select = track.bank.select
    monkeypatch.setattr(track.bank, "select", lambda query: queries.append(query) or select(query))

    advance(network, frames[0], [track], Moment(0, -1, FRAMES))

    (query,) = queries
    assert (query.frame, query.direction, query.frame_count) == (0, -1, FRAMES)
    assert query.image is frames[0].stride16


def test_a_self_sorting_bank_goes_the_same_way(network, frames):
    options = MemoryOptions(confidence_threshold=0.0)
    tracks = [Track(new_bank("self-sorting", options), {0: prompt}) for prompt in (BOX, CLICK)]

    for frame, features in enumerate(frames):
        groups = advance(network, features, tracks, Moment(frame, 1, FRAMES))
        assert logits_of(groups).isfinite().all()

    assert [len(track.bank.kept) for track in tracks] == [FRAMES - 1] * 2


def test_padding_keeps_the_points():
    padded = pad_points(replace(CLICK, remembers=True), 3)

    assert padded.points.tolist() == [[20, 30], [0, 0], [0, 0]]
    assert padded.kinds.tolist() == [PointKind.POSITIVE, PointKind.PADDING, PointKind.PADDING]
    assert padded.remembers
    assert torch.equal(pad_points(BOX, 2).points, BOX.points)


def test_padded_prompts_make_one_batch(network, frames):
    tracks = tracks_of(pad_points(CLICK, 2), BOX)

    groups = advance(network, frames[0], tracks, Moment(0, 1, FRAMES))

    assert [group.rows for group in groups] == [[0, 1]]


def test_a_drawn_mask_has_no_points():
    assert DRAWN.kinds.tolist() == [PointKind.PADDING]
    assert DRAWN.drawn.shape == (1, SIZE, SIZE)
    assert DRAWN.previous is None


def test_a_network_that_draws_starts_from_the_mask_just_before(tiny_network):
    torch.manual_seed(0)
    network = Sam2Network(replace(tiny_network.config, drawn_prompts=True)).eval().requires_grad_(False)
    randomise(network, seed=0)
    features = network.encode_image(torch.randn(1, 3, 64, 64))
    answers = []
    for ordered in (True, False):
        track = Track(FifoBank(ordered), {0: NetworkPrompt(torch.tensor([[20.0, 30.0]]), torch.tensor([1]))})
        advance(network, features, [track], Moment(0, 1, 9))
        selection = track.bank.select(MemoryQuery(1, 1, 9, features.stride16))
        assert (selection.before is not None) == ordered
        answers.append(advance(network, features, [track], Moment(1, 1, 9))[0].prediction.candidates.logits)
    assert not torch.allclose(*answers)


def drawing_network(tiny_network, **settings) -> Sam2Network:
    network = Sam2Network(replace(tiny_network.config, drawn_prompts=True, **settings)).eval().requires_grad_(False)
    randomise(network, seed=0)
    return network


def masks_given(network, track, features, monkeypatch) -> Tensor | None:
    """The dense prompt with which a second frame is decoded."""
    advance(network, features, [track], Moment(0, 1, 9))
    given, decode = [], network.decode
    monkeypatch.setattr(
        network, "decode", lambda features, prompt: given.append(prompt.mask) or decode(features, prompt)
    )
    advance(network, features, [track], Moment(1, 1, 9))
    return given[-1]


def test_on_an_unordered_frame_what_looks_like_the_object_is_drawn(tiny_network, generator, monkeypatch):
    network = drawing_network(tiny_network, likeness=True)
    features = network.encode_image(torch.randn(1, 3, SIZE, SIZE, generator=generator))
    mask = masks_given(network, Track(FifoBank(ordered=False), {0: DRAWN}), features, monkeypatch)
    assert mask.shape == (1, 1, SIZE // 4, SIZE // 4)
    drawn = DRAWN.drawn[0, ::4, ::4] > 0
    assert mask[0, 0][drawn].mean() > mask[0, 0][~drawn].mean()  # the very same frame


def test_what_looks_like_the_object_is_told_by_prompted_frames_alone(tiny_network, generator, monkeypatch):
    network = drawing_network(tiny_network, likeness=True)
    features = network.encode_image(torch.randn(1, 3, SIZE, SIZE, generator=generator))
    told, real = [], module.likeness
    monkeypatch.setattr(module, "likeness", lambda frame, memories: told.append(memories) or real(frame, memories))
    track = Track(FifoBank(ordered=False), {0: DRAWN})
    for frame in range(4):
        advance(network, features, [track], Moment(frame, 1, 9))
    assert [[entry.frame for entry in memories] for memories in told] == [[0]] * 3
    unpinned = Track(new_bank("self-sorting", MemoryOptions(pin_prompted=False), ordered=False), {0: DRAWN})
    advance(network, features, [unpinned], Moment(0, 1, 9))
    advance(network, features, [unpinned], Moment(1, 1, 9))
    assert [entry.frame for entry in told[-1]] == [0]  # sorted like any other; then all are believed


def test_without_the_setting_nothing_is_drawn(tiny_network, generator, monkeypatch):
    network = drawing_network(tiny_network)
    features = network.encode_image(torch.randn(1, 3, SIZE, SIZE, generator=generator))
    assert masks_given(network, Track(FifoBank(ordered=False), {0: DRAWN}), features, monkeypatch) is None


def test_the_mask_before_is_drawn_where_it_lies_in_the_region_looked_at_now(tiny_network, generator, monkeypatch):
    network = drawing_network(tiny_network)
    features = network.encode_image(torch.randn(1, 3, SIZE, SIZE, generator=generator))
    left, right = torch.tensor([[0.0, 0.0, 0.5, 1.0]]), torch.tensor([[0.5, 0.0, 1.0, 1.0]])
    track = Track(FifoBank(), {0: DRAWN})
    advance(network, replace(features, regions=left), [track], Moment(0, 1, 9))
    given, decode = [], network.decode
    monkeypatch.setattr(
        network, "decode", lambda features, prompt: given.append(prompt.mask) or decode(features, prompt)
    )
    advance(network, replace(features, regions=right), [track], Moment(1, 1, 9))
    assert (given[-1] < 0).all()  # nothing of the left half is seen in the right one
