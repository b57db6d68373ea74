import numpy as np
import pytest

from medsam2.errors import GeometryError
from medsam2.io.annotation import Drawing
from medsam2.spatial import Geometry

SCAN = Geometry((5, 12, 10), np.eye(4))


def square(k, low=2, high=5):
    return np.array([(low, low, k), (high, low, k), (high, high, k), (low, high, k)], float)


def test_outlines_of_several_slices_are_one_mask():
    drawing = Drawing("liver", SCAN, 3)
    drawing.add_outline(square(1))
    drawing.add_outline(square(3.05, 6, 8))
    annotation = drawing.finished()

    assert (annotation.name, annotation.number, annotation.mask.dtype) == ("liver", 3, np.bool_)
    assert annotation.mask.sum(axis=(1, 2)).tolist() == [0, 16, 0, 9, 0]


def test_a_mask_drawn_otherwise_is_taken_and_an_empty_one_is_none():
    mask = np.zeros(SCAN.shape, bool)
    assert Drawing("liver", SCAN).finished(mask) is None
    assert Drawing("liver", SCAN).finished() is None
    mask[1, 2, 3] = True
    assert Drawing("liver", SCAN).finished(mask).mask is mask


def test_lines_and_points_are_kept():
    drawing = Drawing("", SCAN)
    drawing.add_line(square(2)[:2])
    drawing.add_points(square(2))
    annotation = drawing.finished()
    assert annotation.mask is None
    assert (len(annotation.diameters), len(annotation.points)) == (1, 4)


@pytest.mark.parametrize(("points", "words"), [(square(2.2), "k = 2.20"), (square(-1), "0..4"), (square(5), "0..4")])
def test_an_outline_between_or_beyond_the_slices_is_refused(points, words):
    with pytest.raises(GeometryError, match=words):
        Drawing("liver", SCAN).add_outline(points)


def test_an_outline_beyond_the_image_is_refused():
    drawing = Drawing("liver", SCAN)
    drawing.add_outline(square(2, 5, 11))
    with pytest.raises(GeometryError, match="liver: an outline reaches beyond the input's 10 x 12 pixels"):
        drawing.finished()
