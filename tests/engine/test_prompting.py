"""Prompts in network pixels, to the fraction of one."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from medsam2.engine.prompting import network_prompt
from medsam2.frames import FrameStack, choose_window
from medsam2.network.outputs import PointKind
from medsam2.prompts import FrameBox, FramePoint, SlicePrompt
from medsam2.spatial import Geometry, Plane, PlaneView, Volume

CPU = torch.device("cpu")


def frames(rows, columns, size=64):
    geometry = Geometry((2, rows, columns), np.eye(4))
    volume = Volume(np.zeros(geometry.shape, np.uint8), geometry)
    return FrameStack(volume, PlaneView.of(geometry, Plane.AXIAL), choose_window(volume), size)


def points_of(prompt, stack):
    return network_prompt(prompt, stack, CPU).points


def corners(box, stack):
    return points_of(SlicePrompt(box=box), stack).flatten().tolist()


@pytest.mark.parametrize("shape", [(64, 64), (32, 64), (100, 37), (512, 300), (1, 5)])
def test_a_box_around_the_whole_frame_is_the_whole_square(shape):
    rows, columns = shape
    assert corners(FrameBox(0, 0, columns - 1, rows - 1), frames(rows, columns)) == pytest.approx([0, 0, 63, 63])


def test_nothing_moves_where_a_frame_is_as_large_as_the_square():
    prompt = SlicePrompt(points=(FramePoint(3, 5), FramePoint(10.25, 11.5, positive=False)), box=FrameBox(1, 2, 20, 30))
    assert points_of(prompt, frames(64, 64)).tolist() == [[1, 2], [20, 30], [3, 5], [10.25, 11.5]]


def test_a_click_stays_at_the_centre_of_its_pixel():
    # A frame of 32 x 16: each pixel becomes 2 rows and 4 columns.
    assert points_of(SlicePrompt(points=(FramePoint(0, 0),)), frames(32, 16)).tolist() == [[1.5, 0.5]]
    assert points_of(SlicePrompt(points=(FramePoint(15, 31),)), frames(32, 16)).tolist() == [[61.5, 62.5]]


def test_a_box_takes_in_all_of_its_outermost_pixels():
    assert corners(FrameBox(1, 2, 1, 3), frames(32, 16)) == pytest.approx([4, 4, 7, 7])


def test_corners_come_before_clicks():
    points = (FramePoint(3, 4, positive=False), FramePoint(5, 6))
    kinds = network_prompt(SlicePrompt(points=points, box=FrameBox(1, 2, 8, 9)), frames(64, 64), CPU).kinds
    assert kinds.tolist() == [PointKind.BOX_FIRST, PointKind.BOX_LAST, PointKind.NEGATIVE, PointKind.POSITIVE]
    assert kinds.dtype == torch.int64


def test_points_alone_keep_their_order():
    points = (FramePoint(3, 4), FramePoint(5, 6, positive=False), FramePoint(7, 8))
    prompt = network_prompt(SlicePrompt(points=points), frames(64, 64), CPU)
    assert prompt.points.tolist() == [[3, 4], [5, 6], [7, 8]]
    assert prompt.kinds.tolist() == [1, 0, 1]
    assert prompt.points.dtype == torch.float32
    assert prompt.drawn is None


@settings(deadline=None)
@given(st.integers(1, 600), st.integers(0, 599), st.integers(0, 599))
def test_a_box_never_turns_inside_out_and_stays_in_the_square(columns, first, last):
    x0, x1 = sorted((first % columns, last % columns))
    left, _, right, _ = corners(FrameBox(x0, 0, x1, 9), frames(10, columns))
    assert -0.5 <= left <= right + 1e-4
    assert right <= 63.5
    # Its middle is the middle of the pixels.
    assert (left + right) / 2 == pytest.approx(((x0 + x1) / 2 + 0.5) * 64 / columns - 0.5, abs=1e-3)


def test_a_drawn_mask_is_stretched_to_the_square():
    mask = np.zeros((32, 16), bool)
    mask[4:9, 2:5] = True
    prompt = network_prompt(SlicePrompt(mask=mask), frames(32, 16), CPU)
    # Exact at the straight edges; a corner is rounded by less than a pixel of the frame.
    expected = np.kron(mask, np.ones((2, 4)))
    difference = np.abs(prompt.drawn[0].numpy() - expected)
    assert prompt.drawn.shape == (1, 64, 64)
    assert prompt.drawn.dtype == torch.bool
    assert difference.sum() <= 4
    assert prompt.kinds.tolist() == [PointKind.PADDING]


def test_a_drawn_mask_is_unchanged_where_a_frame_is_as_large_as_the_square():
    mask = np.random.default_rng(0).random((64, 64)) < 0.5
    prompt = network_prompt(SlicePrompt(mask=mask), frames(64, 64), CPU)
    assert np.array_equal(prompt.drawn[0].numpy(), mask)


@settings(deadline=None)
@given(st.integers(0, 95), st.integers(0, 95), st.integers(1, 5))
def test_a_drawn_mask_never_vanishes(x, y, side):
    mask = np.zeros((100, 100), bool)
    mask[y : y + side, x : x + side] = True
    drawn = network_prompt(SlicePrompt(mask=mask), frames(100, 100, size=32), CPU).drawn[0]
    assert drawn.any()
    for places, start in zip(drawn.nonzero().T, (y, x), strict=True):
        assert (places >= int(start * 0.32)).all()
        assert (places <= int((start + side) * 0.32)).all()
