import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medsam2.reporting.viewport import Region, Viewport, fit, mask_region, show, surroundings, whole_frame


def test_regions():
    region = Region(2, 3, 6, 5).union(Region(4, 0, 5, 4))
    assert region == Region(2, 0, 6, 5)
    assert (region.columns, region.rows) == (4, 5)
    assert whole_frame((20, 30)) == Region(0, 0, 30, 20)


def test_the_region_of_a_mask_reaches_from_edge_to_edge():
    mask = np.zeros((10, 12), bool)
    mask[3:5, 7] = mask[6, 9] = True
    assert mask_region(mask) == Region(7, 3, 10, 7)


def test_places_scale_with_the_region():
    viewport = Viewport(Region(10, 5, 20, 15), 100, 50)
    assert viewport.scale == (5.0, 10.0)
    assert viewport.to_picture(9.5, 4.5) == (0, 0)
    assert viewport.to_picture(19.5, 14.5) == (100, 50)


def test_stretching_keeps_places():
    frame = np.zeros((8, 8), np.float32)
    frame[2, 5] = 1
    picture = Viewport(Region(4, 0, 8, 4), 40, 80).stretch(frame)
    assert picture.shape == (80, 40)
    rows, columns = np.nonzero(picture > 0.5)
    assert (rows.mean() + 0.5, columns.mean() + 0.5) == pytest.approx((2.5 * 20, 1.5 * 10))
    padded = Viewport(Region(4, 0, 8, 4), 40, 80).stretch(np.pad(frame, 3), border=3)
    np.testing.assert_allclose(padded[20:60], picture[20:60], atol=0.01)


def test_stretching_colours():
    frame = np.zeros((4, 4, 3), np.uint8)
    frame[..., 1] = 200
    picture = Viewport(whole_frame((4, 4)), 8, 8).stretch(frame)
    assert picture.shape == (8, 8, 3)
    assert np.unique(picture.reshape(-1, 3), axis=0).tolist() == [[0, 200, 0]]


def test_a_part_is_cut_from_the_picture_s_own_pixels():
    frame = np.random.default_rng(0).random((20, 20)).astype(np.float32)
    viewport = Viewport(Region(2, 2, 18, 18), 160, 160)
    part, patch = viewport.part(Region(5, 6, 9, 8), margin=3)
    assert patch == np.s_[37:63, 27:73]
    assert (part.width, part.height) == (46, 26)
    np.testing.assert_allclose(part.stretch(frame)[5:-5, 5:-5], viewport.stretch(frame)[patch][5:-5, 5:-5], atol=1e-4)


def test_a_part_that_is_not_shown_is_empty():
    part, (rows, columns) = Viewport(Region(0, 0, 5, 5), 50, 50).part(Region(7, 1, 9, 3), margin=6)
    assert (part.width, columns.stop - columns.start) == (0, 0)
    assert rows == slice(4, 36)


def test_fitting():
    assert fit(2.0, 100, 100) == (100, 50)
    assert fit(0.5, 100, 100) == (50, 100)
    assert fit(1000.0, 100, 100) == (100, 2)


def test_millimetres_set_the_proportions():
    viewport = show(Region(0, 0, 10, 10), (4.0, 1.0), 100, 200)
    assert (viewport.width, viewport.height) == (50, 200)


def test_surroundings_are_centred_where_there_is_room():
    around = surroundings(Region(40, 45, 60, 55), (100, 100), (1.0, 1.0))
    assert around == Region(33, 33, 67, 67)
    thick = surroundings(Region(40, 9, 60, 11), (20, 100), (5.0, 1.0), aspect=2.0)
    assert (thick.columns, thick.rows * 5) == pytest.approx((48, 24))


def test_surroundings_show_some_pixels_around_a_small_object():
    assert surroundings(Region(50, 50, 51, 51), (100, 100), (1.0, 1.0)) == Region(38.5, 38.5, 62.5, 62.5)


@settings(deadline=None)
@given(
    shape=st.tuples(st.integers(1, 300), st.integers(1, 300)),
    ends=st.tuples(*[st.floats(0, 1)] * 4),
    spacing=st.tuples(st.floats(0.01, 20), st.floats(0.01, 20)),
    aspect=st.floats(0.5, 2),
)
def test_surroundings_hold_the_region_and_can_be_shown(shape, ends, spacing, aspect):
    (left, right), (top, bottom) = sorted(ends[:2]), sorted(ends[2:])
    region = Region(left * shape[1], top * shape[0], right * shape[1], bottom * shape[0])
    around = surroundings(region, shape, spacing, aspect)
    assert around.left <= region.left + 1e-9
    assert around.top <= region.top + 1e-9
    assert around.right >= region.right - 1e-9
    assert around.bottom >= region.bottom - 1e-9
    picture = show(around, spacing, 60, 50).stretch(np.ones(shape, np.float32))
    assert picture.shape[0] <= 51
    assert picture.shape[1] <= 61
    np.testing.assert_allclose(picture, 1, atol=1e-4)
