import numpy as np
import pytest

from medsam2.evaluation.baselines import ellipse_in_box, flood, frozen, grown_from_mask, otsu_in_box
from medsam2.metrics import dice
from medsam2.prompts import FrameBox
from medsam2.prompts.simulation import box_around

DISC = np.hypot(*(np.indices((40, 50)) - np.array([18, 24])[:, None, None])) <= 9.2


def noisy(mask, inside=0.7, outside=0.3, deviation=0.02):
    noise = np.random.default_rng(0).normal(0, deviation, mask.shape)
    return (np.where(mask, inside, outside) + noise).astype(np.float32)


def test_the_ellipse_of_a_disc_is_the_disc():
    assert dice(ellipse_in_box(box_around(DISC), DISC.shape), DISC) > 0.93


@pytest.mark.parametrize("box", [FrameBox(3, 5, 12, 9), FrameBox(0, 0, 3, 0), FrameBox(7, 8, 7, 8)])
def test_the_ellipse_fills_its_box_and_stays_in_it(box):
    mask = ellipse_in_box(box, (12, 15))
    assert box_around(mask) == box
    filled = (box.x1 - box.x0 + 1) * (box.y1 - box.y0 + 1)
    assert 0.6 * filled < mask.sum() <= filled


@pytest.mark.parametrize(("inside", "outside"), [(0.8, 0.2), (0.2, 0.8)])
def test_otsu_finds_bright_and_dark_discs(inside, outside):
    assert np.array_equal(otsu_in_box(noisy(DISC, inside, outside), box_around(DISC)), DISC)


def test_otsu_of_a_flat_box_is_the_box_or_nothing_but_no_error():
    mask = otsu_in_box(np.full((9, 9), 0.5, np.float32), FrameBox(2, 3, 6, 4))
    assert mask.sum() in (0, 10)
    assert otsu_in_box(np.zeros((3, 3), np.float32), FrameBox(1, 1, 1, 1)).shape == (3, 3)


def test_flooding_stops_at_the_edge():
    mask = flood(noisy(DISC, deviation=0.01), (18, 24))
    assert dice(mask, DISC) > 0.9
    assert not (mask & ~DISC).any()


def test_flooding_in_three_dimensions_counts_frames_first():
    block = np.zeros((6, 20, 30), bool)
    block[1:4, 5:15, 18:28] = True
    mask = flood(noisy(block, deviation=0.01), (2, 9, 23))
    assert not (mask & ~block).any()
    assert mask.any((1, 2)).tolist() == [False, True, True, True, False, False]
    assert dice(mask, block) > 0.7


def test_a_flood_holds_its_seed():
    lone = np.zeros((9, 9), np.float32)
    lone[4, 4] = 1
    assert flood(lone, (4, 4))[4, 4]


def test_frozen_by_hand():
    mask, extent = np.array([[True, False]]), np.array([False, True, True])
    assert frozen(mask, extent).astype(int).tolist() == [[[0, 0]], [[1, 0]], [[1, 0]]]


def test_region_growing_follows_the_object_and_keeps_the_drawn_slice():
    truth = np.zeros((8, 40, 50), bool)
    for t in range(2, 7):
        truth[t] = np.roll(DISC, t - 4, axis=1)
    pictures = noisy(truth, deviation=0.01)
    grown = grown_from_mask(pictures, truth[4], 4)
    assert np.array_equal(grown[4], truth[4])
    assert dice(grown, truth) > 0.9
    assert not grown[[0, 1, 7]].any()


def test_region_growing_is_bounded():
    flat = np.full((4, 20, 20), 0.5, np.float32)
    mask = np.zeros((20, 20), bool)
    mask[8:12, 8:12] = True
    grown = grown_from_mask(flat, mask, 1)
    assert box_around(grown.any(0)) == FrameBox(7, 7, 12, 12)
    assert np.array_equal(grown[1], mask)
