"""Augmentation keeps shapes and ranges, moves masks with their images, and treats slices alike."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from medsam2.training.augmentation import Augmentation, augmented

NOTHING = Augmentation(chance=0, flip=0, invert=0)


def clip(frames=3, side=32):
    masks = torch.zeros(2, frames, side, side, dtype=torch.bool)
    masks[0, :, 10:20, 8:16] = True
    masks[1, 0, 22:28, 20:30] = True
    images = 0.2 + 0.6 * masks[0].float()[:, None].expand(-1, 3, -1, -1)
    return images, masks


@settings(max_examples=25)
@given(st.integers(0, 10**6), st.booleans())
def test_shapes_and_ranges_are_kept(seed, together):
    images, masks = clip()
    found, moved = augmented(images, masks, Augmentation(chance=1), together, torch.Generator().manual_seed(seed))
    assert found.shape == images.shape
    assert moved.shape == masks.shape
    assert moved.dtype == torch.bool
    assert 0 <= float(found.min()) <= float(found.max()) <= 1


def test_no_change_is_no_change(generator):
    images, masks = clip()
    found, moved = augmented(images, masks, NOTHING, True, generator)
    assert torch.equal(found, images)
    assert torch.equal(moved, masks)


@pytest.mark.parametrize("seed", range(6))
def test_masks_move_with_their_images(seed):
    images, masks = clip()
    how = Augmentation(chance=1, noise=0, blur_px=0, brightness=(1, 1), gamma=(1, 1), invert=0, low_resolution=(1, 1))
    found, moved = augmented(images, masks, how, True, torch.Generator().manual_seed(seed))
    bright = found[:, 0] > 0.5
    shared = (bright & moved[0]).sum()
    assert 2 * shared / (bright.sum() + moved[0].sum()) > 0.9


def test_slices_move_alike_and_pictures_do_not(generator):
    images, masks = clip()
    how = Augmentation(chance=1, flip=0, noise=0, invert=0)
    _, together = augmented(images, masks, how, True, generator)
    assert torch.equal(together[0, 0], together[0, 1])
    _, alone = augmented(images, masks, how, False, generator)
    assert not torch.equal(alone[0, 0], alone[0, 1])


def test_things_grow_by_the_scale(generator):
    images, masks = clip()
    how = Augmentation(chance=1, turn_degrees=0, scale=(1.4, 1.4), flip=0)
    _, moved = augmented(images, masks, how, True, generator)
    assert int(moved[0, 0].sum()) == pytest.approx(1.4**2 * int(masks[0, 0].sum()), rel=0.1)


@pytest.mark.parametrize("shape", [(40, 80), (80, 40)])
def test_what_is_round_stays_round_on_frames_of_any_shape(shape):
    rows, columns = (torch.arange(side) - (side - 1) / 2 for side in shape)
    masks = (rows[:, None] ** 2 + columns**2 < 12**2)[None, None]
    how = Augmentation(chance=1, turn_degrees=90, scale=(1, 1), flip=0)
    for seed in range(4):
        images, moved = augmented(masks[0].float()[None], masks, how, True, torch.Generator().manual_seed(seed))
        assert images.shape[-2:] == moved.shape[-2:] == shape
        assert (moved ^ masks).sum() < 0.1 * masks.sum()


def test_black_and_white_are_swapped(generator):
    images, masks = clip()
    found, _ = augmented(images, masks, Augmentation(chance=0, flip=0, invert=1), True, generator)
    torch.testing.assert_close(found, 1 - images)


def test_a_blur_keeps_the_mean(generator):
    images = torch.rand(1, 3, 32, 32, generator=generator)
    how = Augmentation(chance=1, turn_degrees=0, scale=(1, 1), flip=0, noise=0, blur_px=2, invert=0)
    how = Augmentation(**{**vars(how), "brightness": (1, 1), "gamma": (1, 1), "low_resolution": (1, 1)})
    found, _ = augmented(images, torch.ones(1, 1, 32, 32, dtype=torch.bool), how, True, generator)
    assert float(found.mean()) == pytest.approx(float(images.mean()), abs=0.02)
    assert float(found.std()) < float(images.std())
