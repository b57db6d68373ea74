"""Clips of cases: what is on them, that a number always gives the same, that lanes share the work."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from medsam2.datasets import Case, CaseSource
from medsam2.errors import ShapeError
from medsam2.frames import IMAGE_MEAN, IMAGE_STD, FrameStack, Region, choose_window
from medsam2.spatial import Geometry, Segmentation, Volume
from medsam2.training import case_clips
from medsam2.training.augmentation import Augmentation
from medsam2.training.case_clips import CaseClips, CaseShelf, Shot, _places
from medsam2.training.draws import Lane
from medsam2.training.recipe import DataSettings
from medsam2.training.synthetic_clips import BatchShape
from training.tiny_runs import case_of, source_of

SHAPE = BatchShape(clips=2, frames=3, objects=2, size=32)


def clips_of(sources, shape=SHAPE, augmentation=None, lane=None, focused=False, **data):
    shelf = CaseShelf(sources, 2, data.get("window", "auto"))
    return CaseClips(shelf, shape, DataSettings(**data), augmentation, lane or Lane(0, (0, 0)), focused)


def same(first, second):
    return torch.equal(first.images, second.images) and torch.equal(first.truth, second.truth)


def volumes(count=3, **options):
    return [source_of(f"v{number}", seed=number, **options) for number in range(count)]


def test_a_batch_of_slices():
    batch = clips_of(volumes()).batch(0)
    assert batch.images.shape == (2, 3, 3, 32, 32)
    assert batch.truth.shape == (4, 3, 32, 32)
    assert batch.truth.dtype == torch.bool
    assert batch.clip_of.tolist() == [0, 0, 1, 1]
    assert batch.steps == (0, 1, 2)
    assert batch.ordered == (True, True)
    assert batch.regions is None
    assert batch.truth[:, 0].flatten(1).any(1).all()


def test_frames_and_masks_are_those_of_neighbouring_slices():
    case = case_of("v0")
    stack = FrameStack(case.volume, case.view, choose_window(case.volume), 32)
    frames = stack.frames(range(5))
    masks = torch.stack(
        [torch.stack([stack.mask_to_network(case.truth_on(t, label)) for t in range(5)]) for label in (1, 2)]
    )
    for number in range(4):
        batch = clips_of(volumes(1), BatchShape(1, 3, 2, 32)).batch(number)
        places = [int((frames - image).abs().flatten(1).sum(1).argmin()) for image in batch.images[0]]
        assert {abs(a - b) for a, b in itertools.pairwise(places)} == {1}
        for image, place in zip(batch.images[0], places, strict=True):
            torch.testing.assert_close(image, frames[place], atol=1e-5, rtol=0)
        for truth in batch.truth:
            assert any(torch.equal(truth, mask[places]) for mask in masks)


def test_a_number_always_gives_the_same_batch_and_another_number_another():
    how = Augmentation(chance=0.5)
    first = [clips_of(volumes(), augmentation=how).batch(number) for number in (4, 5)]
    again = clips_of(volumes(), augmentation=how)
    for _ in range(2):
        assert [same(a, again.batch(number)) for a, number in zip(first, (4, 5), strict=True)] == [True, True]
    assert not same(*first)
    assert not same(first[0], clips_of(volumes(), augmentation=how, lane=Lane(1, (0, 0))).batch(4))


def test_two_lanes_have_what_one_has_in_two_turns():
    one = clips_of(volumes())
    for number in range(2):
        for index in range(2):
            lane = clips_of(volumes(), lane=Lane(0, (0, 0), index, 2))
            assert same(lane.batch(number), one.batch(2 * number + index))


def test_every_case_begins_a_clip_once_an_epoch():
    clips = clips_of(volumes(5))
    epochs = [[clips._scheduled(5 * epoch + place) for place in range(5)] for epoch in range(4)]
    assert all(sorted(epoch) == list(range(5)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) > 1


def test_pictures_come_from_several_cases():
    pictures = [source_of(f"p{number}", shape=(1, 24, 20), seed=number, spacing=(1, 1, 1)) for number in range(4)]
    shelf = CaseShelf(pictures, 4)
    stacks = [shelf[index].case for index in range(4)]
    frames = torch.stack([FrameStack(one.volume, one.view, choose_window(one.volume), 32).frame(0) for one in stacks])
    clips = clips_of(pictures, BatchShape(1, 4, 1, 32), ordered=False)
    seen = set()
    for number in range(4):
        batch = clips.batch(number)
        assert batch.ordered == (False,)
        seen |= {int((frames - image).abs().flatten(1).sum(1).argmin()) for image in batch.images[0]}
    assert len(seen) > 1


def test_a_structure_that_a_picture_lacks_is_absent_there():
    both = [case_of(name, shape=(1, 24, 20)) for name in ("a", "b")]
    cases = [Case(one.name, one.volume, one.reference, {n: "x"}) for n, one in enumerate(both, start=1)]
    sources = [CaseSource(one.name, lambda one=one: one) for one in cases]
    found = [clips_of(sources, BatchShape(1, 2, 1, 32), ordered=False).batch(n).truth[0, 1].any() for n in range(8)]
    assert {bool(one) for one in found} == {True, False}


def test_gaps_are_drawn_up_to_the_longest():
    clips = clips_of(volumes(1, shape=(12, 24, 20)), longest_gap=3)
    assert {clips.batch(number).steps for number in range(12)} == {(0, 1, 2), (0, 2, 4), (0, 3, 6)}


@given(st.integers(1, 9), st.integers(0, 8), st.lists(st.integers(0, 30), min_size=1, max_size=5), st.booleans())
def test_a_short_volume_is_gone_through_to_and_fro(frames, first, steps, backward):
    first %= frames
    places = _places(first, (0, *sorted(steps)), frames, backward)
    assert places[0] == first
    assert all(0 <= place < frames for place in places)
    walked = _places(first, tuple(range(31)), frames, backward)
    assert all(abs(a - b) <= 1 for a, b in itertools.pairwise(walked))
    assert len(set(walked)) == frames


def speck(name, side=1, length=1, reads=None):
    """A case of 200 x 200 pixels with `side` times `length` of them labelled, on one slice."""
    labels = np.zeros((4, 200, 200), np.uint8)
    labels[2, 100 : 100 + side, 20 : 20 + length] = 1
    geometry = Geometry(labels.shape, np.diag([1.0, 1.0, 3.0, 1.0]))
    case = Case(name, Volume(labels.astype(np.float32), geometry), Segmentation(labels, geometry), {1: "a"})

    def load():
        if reads is not None:
            reads.append(name)
        return case

    return CaseSource(name, load)


def test_cases_without_anything_to_prompt_are_left_out():
    reads = []
    clips = clips_of([*(speck(f"speck{number}", reads=reads) for number in range(11)), *volumes(1)])
    assert clips.left_out() == [f"speck{number}" for number in range(11)]
    for number in range(6):
        assert clips.batch(number).truth[:, 0].flatten(1).any(1).all()
    assert sorted(reads) == sorted(f"speck{number}" for number in range(11))  # each once: it is remembered


def test_what_is_drawn_does_not_depend_on_what_is_remembered():
    known, new = (clips_of([speck("speck"), *volumes(2)], augmentation=Augmentation()) for _ in range(2))
    known.left_out()
    assert all(same(known.batch(number), new.batch(number)) for number in range(6))


def test_if_no_case_can_be_prompted_that_is_told():
    clips = clips_of([speck("a"), speck("b")])
    with pytest.raises(
        ShapeError, match=r"no structure of the 2 cases \(a, \.\.\.\) fills 0\.153% of a frame.*crop the images"
    ):
        clips.left_out()
    thread = clips_of([speck("thread", 1, 150)])  # large enough, but too thin for 32 pixels
    assert thread.left_out() == []
    with pytest.raises(ShapeError, match=r"thread: no structure can be prompted at 32 pixels.*raise 'batch\.size'"):
        thread.batch(0)


def test_from_near_the_least_share_is_that_of_what_is_looked_at():
    shape = BatchShape(1, 3, 1, 32, canvas=200)
    small = speck("lesion", 6, 6)  # 0.09 % of the frame
    assert clips_of([small], shape, focused=True).left_out() == []
    found = [clips_of([small], shape, focused=True).batch(number) for number in range(8)]
    assert all(batch.truth[0, 0].sum() >= 0.00153 * 32**2 for batch in found)
    pictures = [clips_of([small, small], shape, focused=focused, ordered=False) for focused in (False, True)]
    for clips in pictures:  # which are looked at whole
        with pytest.raises(ShapeError, match="where it is looked at whole"):
            clips.left_out()


def test_one_large_structure_among_many_small_ones_is_found():
    labels = np.zeros((4, 200, 200), np.uint8)
    for label in range(1, 60):
        labels[2, 3 * label, 5] = label
    labels[0, 50:100, 50:100] = 60
    geometry = Geometry(labels.shape, np.diag([1.0, 1.0, 3.0, 1.0]))
    names = dict.fromkeys(range(1, 61), "x")
    case = Case("many", Volume(labels.astype(np.float32), geometry), Segmentation(labels, geometry), names)
    clips = clips_of([CaseSource("many", lambda: case)], BatchShape(1, 1, 1, 32))
    assert all(clips.batch(number).truth[0, 0].sum() > 30 for number in range(12))


def test_a_focused_network_gets_regions_that_hold_what_is_prompted():
    batch = clips_of(volumes(), BatchShape(2, 3, 2, 32, canvas=64), focused=True).batch(0)
    assert batch.images.shape == (2, 3, 3, 32, 32)
    assert batch.regions.shape == (2, 3, 4)
    assert float(batch.regions.min()) >= 0
    assert float(batch.regions.max()) <= 1
    assert batch.truth[:, 0].flatten(1).any(1).all()


def test_from_near_frames_keep_their_own_pixels_up_to_a_limit(monkeypatch):
    clips = clips_of(volumes(1, shape=(5, 90, 60)), BatchShape(1, 3, 1, 32, canvas=64), focused=True)
    case = clips.shelf[0].case
    pixels = clips.shelf[0].window.apply(case.view.to_frames(case.volume.array)[2])
    assert torch.equal(clips._image(Shot(0, 2)), torch.from_numpy(pixels).expand(3, -1, -1))
    assert np.array_equal(clips._mask(Shot(0, 2), 1), case.truth_on(2, 1))
    monkeypatch.setattr(case_clips, "LONGEST_SIDE", 45)
    assert clips._image(Shot(0, 2)).shape == (3, 45, 30)
    assert clips._mask(Shot(0, 2), 1).shape == clips._mask(Shot(0, 2), 9).shape == (45, 30)
    several = clips_of(volumes(1), BatchShape(1, 3, 1, 32, canvas=64), focused=True, ordered=False)
    assert several._image(Shot(0, 2)).shape == (3, 64, 64)


def test_a_region_shows_in_training_what_it_shows_in_use():
    source = source_of("v0", shape=(5, 90, 60))
    clips = clips_of([source], BatchShape(1, 1, 1, 32), focused=True)
    loaded = clips.shelf[0]
    stack = FrameStack(loaded.case.volume, loaded.case.view, loaded.window, 32)
    alike = 0
    for number in range(12):
        batch = clips.batch(number)
        x0, y0, x1, y1 = (batch.regions[0, 0] * torch.tensor([60, 90, 60, 90])).round().int().tolist()
        seen = stack.through(Region(x0, y0, x1, y1)).frames(range(5))
        alike += bool((seen - batch.images[0, 0]).abs().amax((1, 2, 3)).min() < 1e-5)
    assert 3 < alike < 12  # the others were made coarser


def test_images_stay_in_the_range_of_the_network():
    batch = clips_of(volumes(), augmentation=Augmentation(chance=1)).batch(0)
    mean, deviation = (torch.tensor(one)[:, None, None] for one in (IMAGE_MEAN, IMAGE_STD))
    shown = batch.images * deviation + mean
    assert -1e-5 < float(shown.min()) < float(shown.max()) < 1 + 1e-5
    assert np.isfinite(batch.images.numpy()).all()
