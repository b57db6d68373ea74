import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from medsam2.frames import Region
from medsam2.frames.region import LEAST_SIDE

lengths = st.integers(1, 300)


def test_a_square_around_the_middle_of_the_box():
    assert Region.around((100, 110, 139, 119), 2.5, (400, 300)) == Region(70, 65, 170, 165)


def test_small_objects_are_seen_with_their_surroundings():
    region = Region.around((50, 60, 52, 61), 2.5, (200, 200))
    assert region.shape == (LEAST_SIDE, LEAST_SIDE)
    assert region.x0 < 50
    assert region.x1 > 53


def test_at_the_border_the_square_is_shifted_inwards():
    assert Region.around((0, 190, 19, 199), 2.0, (200, 200)) == Region(0, 160, 40, 200)


def test_a_large_object_is_seen_in_the_whole_frame():
    assert Region.around((10, 10, 180, 90), 2.5, (100, 200)) == Region.whole((100, 200)) == Region(0, 0, 200, 100)


@given(lengths, lengths, st.data(), st.floats(1.1, 5))
def test_an_object_lies_in_its_region_and_the_region_in_the_frame(rows, columns, data, factor):
    x0, y0 = data.draw(st.integers(0, columns - 1)), data.draw(st.integers(0, rows - 1))
    x1, y1 = data.draw(st.integers(x0, columns - 1)), data.draw(st.integers(y0, rows - 1))
    region = Region.around((x0, y0, x1, y1), factor, (rows, columns))
    assert 0 <= region.x0 <= x0 <= x1 < region.x1 <= columns
    assert 0 <= region.y0 <= y0 <= y1 < region.y1 <= rows


def test_edges_as_shares():
    assert Region(10, 20, 60, 100).shares((200, 100)) == (0.1, 0.1, 0.6, 0.5)


def test_the_extent_of_a_mask_in_pixels_of_the_frame():
    mask = torch.zeros(8, 8, dtype=torch.bool)
    mask[2:4, 1:7] = True
    # Each cell is 4 columns wide and 2 rows tall.
    assert Region(100, 50, 132, 66).extent(mask) == (104.0, 54.0, 127.0, 57.0)
    assert Region(100, 50, 132, 66).extent(mask & False) is None


@pytest.mark.parametrize("box", [(3.5, 4.25, 9.5, 8.75), (-4.0, -4.0, 2.0, 2.0), (40.0, 40.0, 60.0, 60.0)])
def test_boxes_between_pixels_and_beyond_the_frame_give_whole_pixels_inside(box):
    region = Region.around(box, 2.5, (48, 48))
    assert all(isinstance(edge, int) for edge in (region.x0, region.y0, region.x1, region.y1))
    assert 0 <= region.x0 < region.x1 <= 48
    assert 0 <= region.y0 < region.y1 <= 48
