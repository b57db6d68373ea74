import numpy as np
import pytest

from medsam2.reporting.contours import edge_distance, evenly_along, filled, line
from medsam2.reporting.viewport import Region, Viewport, whole_frame


def square(start=4, stop=12, size=16):
    mask = np.zeros((size, size), bool)
    mask[start:stop, start:stop] = True
    return mask


def test_the_edge_lies_between_the_pixels():
    distance = edge_distance(square(), Viewport(whole_frame((16, 16)), 160, 160))
    across = distance[80]
    assert np.flatnonzero(across > 0)[[0, -1]].tolist() == [40, 119]
    # Pixel centres are half a pixel from the edge at 40.
    assert across[[38, 39, 40, 41]] == pytest.approx([-1.5, -0.5, 0.5, 1.5], abs=0.15)


def test_thick_rows_do_not_move_the_edge():
    mask = square()
    distance = edge_distance(mask, Viewport(whole_frame((16, 16)), 80, 320))
    assert np.flatnonzero(distance[:, 40] > 0)[[0, -1]].tolist() == [80, 239]
    assert np.flatnonzero(distance[160] > 0)[[0, -1]].tolist() == [20, 59]


@pytest.mark.parametrize("place", [(7, 7), (0, 0), (15, 3)])
def test_a_single_pixel_stays(place):
    mask = np.zeros((16, 16), bool)
    mask[place] = True
    inside = edge_distance(mask, Viewport(whole_frame((16, 16)), 160, 160)) > 0
    assert 45 < inside.sum() <= 110
    assert inside[place[0] * 10 + 5, place[1] * 10 + 5]


def test_a_line_of_one_pixel_stays_whole():
    mask = np.eye(16, dtype=bool) | np.eye(16, k=1, dtype=bool)
    inside = edge_distance(mask, Viewport(whole_frame((16, 16)), 160, 160)) > 0
    assert inside[np.arange(10, 150), np.arange(10, 150)].all()


def test_the_area_is_that_of_the_mask():
    y, x = np.ogrid[:40, :40]
    mask = np.hypot(x - 19.5, y - 18) < 11
    distance = edge_distance(mask, Viewport(whole_frame((40, 40)), 200, 200))
    assert filled(distance).sum() / 25 == pytest.approx(mask.sum(), rel=0.02)


def test_a_whole_frame_of_object_has_its_edge_at_the_border():
    distance = edge_distance(np.ones((8, 8), bool), Viewport(whole_frame((8, 8)), 80, 80))
    assert (distance[5:-5] > 0).all()  # the corners are rounded
    assert line(distance, 2)[40, 0] > 0.9
    assert line(distance, 2)[40, 40] == 0


def test_far_from_the_object_there_is_nothing():
    distance = edge_distance(square(), Viewport(Region(13.5, 0, 16, 2.5), 50, 50))
    assert filled(distance).max() == line(distance, 3).max() == 0


def test_lines_and_fills_are_antialiased():
    distance = np.array([-3.0, -1.25, -0.25, 0.0, 0.25, 1.25, 3.0])
    assert line(distance, 2.0).tolist() == [0, 0.25, 1, 1, 1, 0.25, 0]
    assert filled(distance).tolist() == [0, 0, 0.25, 0.5, 0.75, 1, 1]


def test_places_along_an_edge_are_spaced_evenly():
    distance = edge_distance(square(), Viewport(whole_frame((16, 16)), 160, 160))
    places = evenly_along(distance, 9.0)
    assert 25 <= len(places) <= 36  # about 310 pixels around
    steps = np.hypot(*np.diff(places, axis=0).T)
    assert steps.min() >= 9.0
    assert np.median(steps) < 10.5
    assert np.abs(np.abs(places - 80).max(axis=1) - 40).max() < 2.5


def test_no_edge_has_no_places():
    assert evenly_along(np.full((5, 5), -9, np.float32), 9.0).shape == (0, 2)
