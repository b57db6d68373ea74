"""Which slices are visited, in which order, and what is kept on the way."""

import gc
from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from medsam2.engine.propagate import FEATURES_KEPT, SliceResult, propagate, sweeps
from medsam2.engine.track import NetworkPrompt, Track
from medsam2.errors import PromptError
from medsam2.frames import Region
from medsam2.memory import FifoBank, new_bank
from medsam2.memory.bank import POINTERS
from medsam2.network import MaskPrediction
from medsam2.network.outputs import NO_OBJECT_LOGIT, PointKind
from reference.intensity_network import IOU, LEVELS, SIDE, ArrayFrames, IntensityNetwork

PLACES = [(slice(2, 6), slice(3, 8)), (slice(9, 14), slice(2, 7)), (slice(6, 12), slice(9, 15))]
"""Where objects lie in a frame (rows, columns)."""


BANKS = [FifoBank, partial(new_bank, "self-sorting")]


def scene(frame_count, *objects):
    """Frames with square objects; each is given by the frames that it is on, and the first is the darkest."""
    array = np.zeros((frame_count, SIDE, SIDE), np.uint8)
    for level, place, on in zip(LEVELS[1:], PLACES, objects, strict=False):
        for frame in on:
            array[frame][place] = level
    return array


def click(which=0):
    rows, columns = PLACES[which]
    return NetworkPrompt(torch.tensor([[4.0 * columns.start + 6, 4.0 * rows.start + 6]]), torch.tensor([1]))


def box(which=0):
    rows, columns = PLACES[which]
    corners = [[4.0 * columns.start, 4.0 * rows.start], [4.0 * columns.stop - 1, 4.0 * rows.stop - 1]]
    return NetworkPrompt(torch.tensor(corners), torch.tensor([PointKind.BOX_FIRST, PointKind.BOX_LAST]))


def drawn(which=0):
    rows, columns = PLACES[which]
    mask = torch.zeros(1, 4 * SIDE, 4 * SIDE)
    mask[0, 4 * rows.start : 4 * rows.stop, 4 * columns.start : 4 * columns.stop] = 1
    return NetworkPrompt.from_mask(mask)


def track(*frames, which=0, prompt=click, bank=FifoBank):
    return Track(bank(), {frame: prompt(which) for frame in frames})


def visits(results):
    return [one.frame for slice_results in results for one in slice_results]


def run(array, tracks, **options):
    return list(propagate(IntensityNetwork(), ArrayFrames(array), tracks, **options))


def test_prompted_slice_first_then_forward_then_backward():
    found = run(scene(7, range(7)), [track(3)])
    assert visits(found) == [3, 4, 5, 6, 2, 1, 0]
    assert [one.prompted for results in found for one in results] == [True] + [False] * 6


def test_several_prompts_of_one_object_come_first_in_rising_order():
    prompted = Track(FifoBank(), {5: click(), 2: box()})
    assert visits(run(scene(8, range(8)), [prompted])) == [2, 5, 3, 4, 6, 7, 1, 0]


def test_objects_on_the_same_slice_are_found_together():
    found = run(scene(4, range(4), range(4)), [track(1), track(1, which=1)])
    assert [[(one.track, one.frame) for one in results] for results in found] == [
        [(0, 1), (1, 1)],
        [(0, 2), (1, 2)],
        [(0, 3), (1, 3)],
        [(0, 0), (1, 0)],
    ]


def test_objects_prompted_on_different_slices_share_a_sweep():
    found = run(scene(5, range(5), range(5)), [track(3), track(1, which=1)])
    assert [[(one.track, one.frame) for one in results] for results in found] == [
        [(1, 1)],
        [(0, 3)],
        [(1, 2)],
        [(1, 3)],
        [(0, 4), (1, 4)],
        [(0, 2)],
        [(0, 1)],
        [(0, 0), (1, 0)],
    ]


@pytest.mark.parametrize("bank", BANKS, ids=["fifo", "self-sorting"])
def test_the_masks_are_those_of_each_object(bank):
    array = scene(9, range(2, 8), range(5))
    found = run(array, [track(4, bank=bank), track(2, which=1, bank=bank)])
    for results in found:
        for one in results:
            truth = array[one.frame] == LEVELS[1 + one.track]
            assert np.array_equal(one.logits.numpy() > 0, truth)
            assert one.is_empty == (not truth.any())
            assert one.confidence == pytest.approx(IOU if truth.any() else 0)


def test_prompts_of_different_kinds_on_one_slice():
    array = scene(3, range(3), range(3))
    tracks = [track(1, prompt=kind, which=which) for kind in (box, drawn, click) for which in (1, 0)]
    for results in run(array, tracks):
        assert [one.track for one in results] == list(range(6))
        for one in results:
            assert np.array_equal(one.logits.numpy() > 0, array[one.frame] == LEVELS[2 - one.track % 2])


@settings(deadline=None)
@given(
    st.integers(1, 9).flatmap(
        lambda count: st.tuples(
            st.just(count), st.lists(st.sets(st.integers(0, count - 1), min_size=1), min_size=1, max_size=3)
        )
    )
)
def test_every_slice_once_for_every_object(drawn_case):
    count, prompted = drawn_case
    found = run(scene(count, range(count)), [track(*frames) for frames in prompted])

    visited = [(one.track, one.frame) for results in found for one in results]
    assert sorted(visited) == [(row, frame) for row in range(len(prompted)) for frame in range(count)]
    assert all(len({one.frame for one in results}) == 1 for results in found)
    for row, frames in enumerate(prompted):
        first = min(frames)
        order = [frame for one, frame in visited if one == row]
        forward = [frame for frame in range(first, count) if frame not in frames]
        assert order == [*sorted(frames), *forward, *reversed(range(first))]


def test_sweeps_reach_every_slice_that_was_not_prompted():
    forward, backward = sweeps([5, 2], 9)
    assert (list(forward.frames), forward.direction) == ([3, 4, 5, 6, 7, 8], 1)
    assert (list(backward.frames), backward.direction) == ([4, 3, 2, 1, 0], -1)


def test_patience_ends_both_directions():
    found = run(scene(12, range(4, 7)), [track(5)], patience=2)
    assert visits(found) == [5, 6, 7, 8, 4, 3, 2]


def test_patience_counts_slices_in_a_row():
    found = run(scene(12, [1, 3, 5, 6]), [track(1)], patience=2)
    assert visits(found) == [1, 2, 3, 4, 5, 6, 7, 8, 0]


def test_a_prompt_ahead_keeps_a_direction_going():
    found = run(scene(16, [2, 3, 8, 9]), [track(2, 8)], patience=2)
    assert visits(found) == [2, 8, 3, 4, 5, 6, 7, 9, 10, 11, 1, 0]


def test_patience_is_of_each_object():
    found = run(scene(8, range(3), range(8)), [track(0), track(0, which=1)], patience=1)
    assert [[one.track for one in results] for results in found] == [[0, 1]] * 4 + [[1]] * 4


def test_an_object_that_starts_later_is_waited_for():
    found = run(scene(12, [0], range(8, 10)), [track(0), track(8, which=1)], patience=1)
    assert visits([results for results in found if results[0].track == 0]) == [0, 1]
    assert visits([results for results in found if results[0].track == 1]) == [8, 9, 10, 7]


def test_without_patience_nothing_is_given_up():
    assert len(visits(run(scene(40, [0]), [track(0)]))) == 40


def test_closing_cancels():
    network, frames = IntensityNetwork(), ArrayFrames(scene(50, range(50)))
    results = propagate(network, frames, [track(10)])
    assert network.encoded == 0  # nothing happens before it is asked for
    next(results)
    next(results)
    results.close()
    assert list(results) == []
    assert frames.asked == [10, 11]


def test_an_object_without_a_prompt_is_refused():
    with pytest.raises(PromptError, match="object 2 has no prompt"):
        run(scene(3, range(3)), [track(0), Track(FifoBank())])


@pytest.mark.parametrize("frame", [-1, 3])
def test_a_prompt_outside_the_slices_is_refused(frame):
    with pytest.raises(PromptError, match=rf"object 1 is prompted on slice {frame}; there are 0\.\.2"):
        run(scene(3, range(3)), [track(frame)])


def test_objects_prompted_on_the_same_slices_share_all_features():
    frames = ArrayFrames(scene(40, range(40), range(40)))
    list(propagate(IntensityNetwork(), frames, [track(5, 30), track(5, 30, which=1)]))
    assert sorted(frames.asked) == list(range(40))


def test_objects_prompted_near_each_other_share_all_features():
    frames = ArrayFrames(scene(40, range(40), range(40)))
    list(propagate(IntensityNetwork(), frames, [track(19), track(20, which=1)]))
    # Slice 20 is visited thrice, one after the other; 19 is prompted, then passed on the way back, long after.
    assert sorted(frames.asked) == sorted([*range(40), 19])


def test_objects_prompted_far_apart_share_the_features_of_a_sweep():
    frames = ArrayFrames(scene(60, range(60), range(60)))
    list(propagate(IntensityNetwork(), frames, [track(20), track(40, which=1)]))
    # Between the prompts one object goes forward and the other backward; the prompted slices are met again.
    assert sorted(frames.asked) == sorted([*range(60), *range(20, 41)])


@pytest.mark.parametrize("bank", BANKS, ids=["fifo", "self-sorting"])
def test_memory_is_bounded_over_a_long_scan(bank):
    network, frames = IntensityNetwork(), ArrayFrames(scene(300, range(300), range(300)))
    tracks = [track(150, bank=bank), track(150, which=1, bank=bank)]
    entries, features = 0, 0
    for _ in propagate(network, frames, tracks):
        entries = max(entries, *(held(one.bank) for one in tracks))
        features = max(features, network.features_alive)
    # Those behind the slice that is visited, and those on both sides of the prompted one.
    assert entries <= 3 * POINTERS
    assert features <= FEATURES_KEPT + entries
    if bank is FifoBank:  # it keeps no images
        assert features <= FEATURES_KEPT + 1


def held(bank):
    return len(bank.prompted) + len(bank.recent if isinstance(bank, FifoBank) else bank.kept)


class SteadyNetwork(IntensityNetwork):
    """Sees every object on every slice at the same place, for many objects quickly."""

    def __init__(self, focus):
        super().__init__()
        self.config = SimpleNamespace(**vars(IntensityNetwork.config) | {"focus": focus})

    def condition(self, features, memory):
        return features

    def decode(self, features, prompt):
        objects = len(prompt.kinds)
        logits = torch.full((objects, 4, SIDE, SIDE), -10.0)
        logits[..., 4:12, 4:12] = 10
        ones = torch.ones(objects)
        return MaskPrediction(logits, ones[:, None].expand(-1, 4), logits[:, :, 0, :1], ones)


class DarkFrames:
    """Slices that take no memory themselves."""

    frame_shape = (SIDE, SIDE)

    def __init__(self, count):
        self.count = count

    def __len__(self):
        return self.count

    def frame(self, t):
        return torch.zeros(3, 4 * SIDE, 4 * SIDE)

    def through(self, region):
        return self


@pytest.mark.parametrize(("slices", "focus"), [(1000, 0), (120, 2.5)])
def test_memory_is_flat_in_the_number_of_slices_with_twenty_objects(slices, focus):
    region = Region.whole((SIDE, SIDE)) if focus else None
    tracks = [Track(FifoBank(), {0: replace(click(), region=region)}) for _ in range(20)]
    held_after = {}
    for results in propagate(SteadyNetwork(focus), DarkFrames(slices), tracks):
        if results[0].frame in (40, slices // 2, slices - 1):
            held_after[results[0].frame] = bytes_held()
    assert len(results) == 20
    assert len(held_after) == 3
    assert len(set(held_after.values())) == 1, held_after


def bytes_held():
    """Of all tensors that anything refers to."""
    gc.collect()
    # Other tests may have left tensors that have no storage.
    found = [one for one in gc.get_objects() if issubclass(type(one), torch.Tensor)]
    tensors = [one for one in found if one.layout == torch.strided and not one.is_meta]
    storages = {one.untyped_storage().data_ptr(): one.untyped_storage().nbytes() for one in tensors}
    return sum(storages.values())


def test_the_object_score_is_believed():
    found = list(propagate(IntensityNetwork(score=-3), ArrayFrames(scene(3, range(3))), [track(1)]))
    assert all(results[0].is_empty and results[0].confidence == 0 for results in found)
    assert (found[0][0].logits == NO_OBJECT_LOGIT).all()


def test_prompts_are_trusted_where_the_user_says_so():
    array = scene(3, range(3))
    found = list(propagate(IntensityNetwork(score=-3), ArrayFrames(array), [track(1)], trust_prompts=True))
    prompted, *others = (results[0] for results in found)
    assert np.array_equal(prompted.logits.numpy() > 0, array[1] > 0)
    assert prompted.confidence == pytest.approx(IOU)
    assert prompted.object_score == -3
    assert all(one.is_empty for one in others)


def test_trust_is_for_the_prompted_objects_alone():
    tracks = [track(0), track(2, which=1), track(2, prompt=drawn)]
    network = IntensityNetwork(score=-3)
    found = list(propagate(network, ArrayFrames(scene(4, range(4), range(4))), tracks, trust_prompts=True))
    for results in found:
        assert all(one.is_empty is not one.prompted for one in results)


def test_results_need_no_gradient_and_lie_on_the_cpu():
    (results, *_) = run(scene(2, range(2)), [track(0)])
    assert isinstance(results[0], SliceResult)
    assert results[0].logits.device.type == "cpu"
    assert not results[0].logits.requires_grad
    assert not torch.is_inference_mode_enabled()


def test_inference_mode_does_not_leak_between_slices():
    for _ in propagate(IntensityNetwork(), ArrayFrames(scene(3, range(3))), [track(1)]):
        assert not torch.is_inference_mode_enabled()


class Noise:
    """Frames of noise for a real network."""

    def __init__(self, count):
        self.images = torch.randn(count, 3, 64, 64, generator=torch.Generator().manual_seed(1))

    def __len__(self):
        return len(self.images)

    def frame(self, t):
        return self.images[t]


@pytest.mark.parametrize("bank", BANKS, ids=["fifo", "self-sorting"])
def test_objects_in_lock_step_are_found_as_if_alone(tiny_network, bank):
    def tracks():
        return [
            track(2, bank=bank),
            track(2, which=1, prompt=box, bank=bank),
            track(3, which=2, prompt=drawn, bank=bank),
            track(1, 4, which=1, bank=bank),
        ]

    together = list(propagate(tiny_network, Noise(6), tracks(), trust_prompts=True))
    for row in range(4):
        alone = propagate(tiny_network, Noise(6), [tracks()[row]], trust_prompts=True)
        expected = {results[0].frame: results[0] for results in alone}
        for one in (one for results in together for one in results if one.track == row):
            torch.testing.assert_close(one.logits, expected[one.frame].logits, rtol=1e-3, atol=1e-2)
            assert one.confidence == pytest.approx(expected[one.frame].confidence, abs=1e-3)
