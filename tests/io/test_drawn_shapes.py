import numpy as np
import pytest

from medsam2.io.annotation import Drawing
from medsam2.io.drawn_shapes import add_shape, cross
from medsam2.spatial import Geometry

SCAN = Geometry((5, 12, 10), np.eye(4))


def drawn(kind, *points):
    drawing = Drawing("", SCAN)
    problem = add_shape(drawing, kind, np.array([(*point, 2) for point in points], float))
    return problem, drawing.finished()


@pytest.mark.parametrize("kind", ["POLYLINE", "INTERPOLATED", "MULTILINE", "RULER"])
def test_two_points_are_a_measured_line(kind):
    problem, one = drawn(kind, (1, 2), (5, 2))
    assert problem == ""
    assert np.array_equal(one.diameters, [[(1, 2, 2), (5, 2, 2)]])


@pytest.mark.parametrize(("kind", "closed"), [("POLYLINE", True), ("POLYGON", True), ("POLYGON", False)])
def test_a_closed_line_is_filled(kind, closed):
    corners = [(1, 2), (5, 2), (5, 6), (1, 6)]
    problem, one = drawn(kind, *corners, *corners[: int(closed)])
    assert problem == ""
    assert one.mask.sum() == 25


def test_an_ellipse_of_two_corners_has_the_axes_of_its_rectangle():
    problem, one = drawn("ELLIPSE", (1, 2), (5, 4))
    assert problem == ""
    assert np.array_equal(one.diameters, [[(1, 3, 2), (5, 3, 2)], [(3, 2, 2), (3, 4, 2)]])


@pytest.mark.parametrize(
    ("kind", "count", "told"),
    [("POLYLINE", 3, "polyline of 3 points"), ("CIRCLE", 1, "circle of 1 point"), ("MUELLER", 2, "shape of 2 points")],
)
def test_what_cannot_be_used_is_told_in_words_of_dicom_only(kind, count, told):
    assert drawn(kind, *[(n, n * n) for n in range(count)]) == (told, None)


def line(*numbers, k=2.0):
    return np.column_stack([np.array(numbers, float).reshape(2, 2), [k, k]])


@pytest.mark.parametrize(
    ("other", "crosses"),
    [
        (line(3, 0, 3, 8), True),
        (line(5, 2, 5, 7), True),
        (line(6, 0, 6, 8), False),
        (line(1, 4, 5, 4), False),
        (line(3, 0, 3, 8, k=3.0), False),
    ],
)
def test_two_diameters_of_an_object_cross_or_touch(other, crosses):
    assert cross(line(1, 2, 5, 2), other) == crosses
    assert cross(other, line(1, 2, 5, 2)) == crosses
