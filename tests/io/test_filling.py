import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from medsam2.io.filling import fill, fill_all
from medsam2.io.outlines import outlines

SQUARE = np.array([[2, 1], [5, 1], [5, 4], [2, 4]], float)


@given(arrays(np.bool_, st.tuples(st.integers(1, 7), st.integers(1, 7))))
def test_outlines_along_the_edges_of_pixels_give_the_mask_back(mask):
    lines = [corners - 0.5 for corners in outlines(mask)]

    assert np.array_equal(fill_all(lines, mask.shape), mask)
    assert np.array_equal(fill_all([line[::-1] for line in lines], mask.shape), mask)


def test_pixels_on_the_line_belong_to_the_object_on_all_sides():
    filled = fill(SQUARE, (6, 8))

    assert np.array_equal(np.argwhere(filled).min(axis=0), [1, 2])
    assert np.array_equal(np.argwhere(filled).max(axis=0), [4, 5])
    assert filled.sum() == 16
    assert fill(SQUARE, (6, 8), with_line=False).sum() == 4
    assert fill(SQUARE + 0.01, (6, 8)).sum() == 16


@pytest.mark.parametrize("seed", range(5))
def test_a_polygon_agrees_with_the_sum_of_angles(seed):
    generator = np.random.default_rng(seed)
    angles = (np.arange(9) + generator.uniform(0, 0.5, 9)) * 2 * np.pi / 9
    polygon = np.column_stack([np.cos(angles), np.sin(angles)]) * generator.uniform(3, 11, (9, 1)) + [12.3, 9.7]
    y, x = np.mgrid[:20, :26]
    to_corner = polygon[None, None] - np.stack([x, y], axis=-1)[:, :, None]
    direction = np.arctan2(to_corner[..., 1], to_corner[..., 0])
    turn = np.diff(direction, axis=-1, append=direction[..., :1])
    winding = ((turn + np.pi) % (2 * np.pi) - np.pi).sum(axis=-1)

    with_line, without = fill(polygon, (20, 26)), fill(polygon, (20, 26), with_line=False)
    inside = np.abs(winding) > 1
    assert not (without & ~inside).any()
    assert not (inside & ~with_line).any()
    assert (with_line & ~without).sum() < 8
    assert inside.sum() > 80


def test_a_line_inside_is_a_hole_and_one_inside_that_an_island():
    outer, hole, island = (np.array([[a, a], [b, a], [b, b], [a, b]]) - 0.5 for a, b in ((0, 9), (2, 7), (4, 5)))
    expected = np.zeros((9, 9), bool)
    expected[:], expected[2:7, 2:7], expected[4, 4] = True, False, True

    for order in ([outer, hole, island], [island, hole, outer]):
        assert np.array_equal(fill_all(order, (9, 9)), expected)
        assert np.array_equal(fill_all(order, (9, 9), exclusive=True), expected)


def test_lines_that_cross_or_repeat_are_united():
    moved = SQUARE + np.array([2, 0])

    assert fill_all([SQUARE, moved, SQUARE], (6, 8)).sum() == 24


def test_what_lies_beyond_the_picture_is_cut_off():
    assert fill(SQUARE - [4, 3], (6, 8)).sum() == 4
    assert not fill(SQUARE + 40, (6, 8)).any()
