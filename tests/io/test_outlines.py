import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from medsam2.io.outlines import outlines

MASKS = arrays(np.bool_, array_shapes(min_dims=2, max_dims=2, max_side=14), elements=st.booleans())


def crossings(polygon, shape, direction):
    """Count, for each pixel's centre, how often a ray to the right crosses a polygon; downwards counts `direction`."""
    count = np.zeros(shape, int)
    rows, columns = np.indices(shape) + 0.5
    for (x, y), (next_x, next_y) in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
        assert x == next_x or y == next_y
        crossed = (min(y, next_y) < rows) & (rows < max(y, next_y)) & (columns < x)
        count += crossed * (direction if next_y < y else 1)
    return count


def even_odd(mask):
    return sum((crossings(polygon, mask.shape, 1) % 2 for polygon in outlines(mask)), np.zeros(mask.shape, int))


@settings(max_examples=150, deadline=None)
@given(MASKS)
def test_filling_the_outlines_gives_the_mask(mask):
    assert np.array_equal(even_odd(mask), mask.astype(int))


@settings(max_examples=150, deadline=None)
@given(MASKS)
def test_each_part_is_wound_once_around_its_pixels(mask):
    wound = sum((crossings(polygon, mask.shape, -1) for polygon in outlines(mask)), np.zeros(mask.shape, int))

    assert np.array_equal(wound, mask.astype(int))


@settings(max_examples=100, deadline=None)
@given(MASKS)
def test_the_area_is_the_masks(mask):
    x_and_y = [polygon.T for polygon in outlines(mask)]
    area = sum(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1)) for x, y in x_and_y) / 2

    assert area == mask.sum()


def test_a_pixel_has_four_corners():
    mask = np.zeros((3, 5), bool)
    mask[1, 3] = True
    (polygon,) = outlines(mask)

    assert sorted(map(tuple, polygon.tolist())) == [(3, 1), (3, 2), (4, 1), (4, 2)]


def test_a_rectangle_at_the_border_has_no_straight_corners():
    (polygon,) = outlines(np.ones((40, 60), bool))

    assert sorted(map(tuple, polygon.tolist())) == [(0, 0), (0, 40), (60, 0), (60, 40)]


def test_pixels_that_touch_at_a_corner_are_parts_of_their_own():
    assert len(outlines(np.eye(4, dtype=bool))) == 4


def test_a_hole_is_joined_by_a_channel_between_the_pixels():
    mask = np.ones((5, 5), bool)
    mask[2, 2] = False
    (polygon,) = outlines(mask)
    corners = list(map(tuple, polygon.tolist()))

    assert corners.count((0, 2)) == 2
    assert set(corners) == {(0, 0), (5, 0), (5, 5), (0, 5), (0, 2), (2, 2), (3, 2), (3, 3), (2, 3)}
    assert len(corners) == 10


def test_holes_behind_one_another_and_an_island_in_a_hole():
    mask = np.ones((9, 15), bool)
    mask[2:7, 2:7] = False
    mask[4, 4] = True
    mask[3:6, 9] = mask[4, 11] = mask[5, 12] = False

    assert len(outlines(mask)) == 2
    assert np.array_equal(even_odd(mask), mask.astype(int))


@pytest.mark.parametrize("shape", [(0, 4), (4, 0), (3, 3)])
def test_nothing_has_no_outline(shape):
    assert outlines(np.zeros(shape, bool)) == []
