import numpy as np
import pytest

from medsam2.errors import PromptError
from medsam2.prompts import BoxPrompt
from medsam2.prompts.annotated_objects import annotated_object
from medsam2.spatial import Geometry

SCAN = Geometry((9, 60, 80), np.diag([1.0, 1.0, 3.0, 1.0]))
WIDE = Geometry((9, 60, 80), np.diag([0.5, 1.0, 3.0, 1.0]))


def line(*numbers):
    return np.array(numbers, float).reshape(2, 3)


def box_of(*lines, geometry=SCAN):
    prompts = annotated_object("lesion", 3, geometry, diameters=lines)
    assert (prompts.label, prompts.points, prompts.masks) == (3, (), ())
    (box,) = prompts.boxes
    return box


def test_a_line_alone_is_taken_as_the_long_axis_of_an_ellipse():
    assert box_of(line(20, 30, 4, 60, 30, 4)) == BoxPrompt(20, 15, 4, 60, 45, 4)
    assert box_of(line(40, 10, 4, 40, 50, 4)) == BoxPrompt(25, 10, 4, 55, 50, 4)


def test_a_slanting_line_gives_the_box_around_its_ellipse():
    # Half axes (12, 16) and 3/4 of that at right angles: sqrt(12² + 12²) and sqrt(16² + 9²).
    assert box_of(line(28, 14, 4, 52, 46, 4)) == BoxPrompt(23, 12, 4, 57, 48, 4)


def test_a_second_line_says_the_width():
    assert box_of(line(20, 30, 4, 60, 30, 4), line(40, 25, 4, 40, 35, 4)) == BoxPrompt(20, 25, 4, 60, 35, 4)
    assert box_of(line(30, 25, 4, 30, 35, 4), line(20, 30, 4, 60, 30, 4)) == BoxPrompt(20, 25, 4, 60, 35, 4)


def test_right_angles_are_those_of_the_patient():
    # 20 mm along i are 40 voxels; the width is 15 mm along j.
    assert box_of(line(20, 30, 4, 60, 30, 4), geometry=WIDE) == BoxPrompt(20, 23, 4, 60, 38, 4)


def test_a_box_ends_at_the_edge_of_the_scan():
    assert box_of(line(0, 2, 4, 40, 2, 4)) == BoxPrompt(0, 0, 4, 40, 17, 4)


def test_lines_in_two_slices_make_two_boxes_and_other_planes_are_kept():
    prompts = annotated_object("lesion", 1, SCAN, diameters=[line(20, 30, 4, 60, 30, 4), line(20, 30, 5, 60, 30, 5)])
    assert [box.k0 for box in prompts.boxes] == [4, 5]
    coronal = box_of(line(20, 30, 2, 40, 30, 6))
    assert (coronal.j0, coronal.j1) == (30, 30)


def test_points_and_masks():
    prompts = annotated_object("lesion", 1, SCAN, points=[np.array([1.5, 2, 3])])
    assert prompts.points[0].index == (1.5, 2, 3)
    mask = np.zeros(SCAN.shape, bool)
    mask[4, 3, 2] = True
    outlined = annotated_object("lesion", 1, SCAN, mask, [line(20, 30, 4, 60, 30, 4)], [np.array([1, 2, 3])])
    assert (len(outlined.masks), outlined.boxes, outlined.points) == (1, (), ())


@pytest.mark.parametrize(
    ("ends", "words"),
    [
        ((20, 30, 4, 20, 30, 4), "has no length"),
        ((20, 30, 4, 60, 31, 6), "across the slices"),
        ((20, 30, 40, 60, 30, 40), "outside the scan"),
        ((200, 30, 4, 260, 30, 4), "outside the scan"),
    ],
)
def test_lines_that_cannot_be_meant(ends, words):
    with pytest.raises(PromptError, match=words):
        box_of(line(*ends))


def test_an_object_without_anything_is_refused():
    with pytest.raises(PromptError, match="no prompt"):
        annotated_object("lesion", 1, SCAN)
