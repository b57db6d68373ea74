import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medsam2.errors import PromptError
from medsam2.prompts import BoxPrompt, CoordinateSpace, PointPrompt, box_from_numbers, point_from_numbers
from medsam2.spatial import Geometry

VOXEL, RAS, LPS = CoordinateSpace

VOLUME = Geometry((9, 20, 30), np.array([[-2, 0, 0, 50], [0, 2, 0, -40], [0, 0, 5, 7], [0, 0, 0, 1]], float))
IMAGE = Geometry((1, 20, 30), np.eye(4))


def oblique(angle, shape=(9, 20, 30)):
    cos, sin = np.cos(angle), np.sin(angle)
    turn = np.array([[1, 0, 0, 0], [0, cos, -sin, 0], [0, sin, cos, 0], [0, 0, 0, 1]])
    return Geometry(shape, turn @ VOLUME.affine)


@pytest.mark.parametrize(
    ("numbers", "geometry", "expected"),
    [
        ((1, 2, 3), VOLUME, PointPrompt(1, 2, 3)),
        ((1, 2, 3, 1), VOLUME, PointPrompt(1, 2, 3)),
        ((1, 2, 3, 0), VOLUME, PointPrompt(1, 2, 3, positive=False)),
        ((1.5, 2, 3), VOLUME, PointPrompt(1.5, 2, 3)),
        ((1, 2), IMAGE, PointPrompt(1, 2, 0)),
        ((1, 2, 1), IMAGE, PointPrompt(1, 2, 0)),
        ((1, 2, 0), IMAGE, PointPrompt(1, 2, 0, positive=False)),
        ((1, 2, 0, 1), IMAGE, PointPrompt(1, 2, 0)),
    ],
)
def test_points_in_voxels(numbers, geometry, expected):
    assert point_from_numbers(numbers, geometry, VOXEL, "point") == expected


@pytest.mark.parametrize(
    ("numbers", "geometry", "expected"),
    [
        ((1, 2, 3, 4, 5, 3), VOLUME, BoxPrompt(1, 2, 3, 4, 5, 3)),
        ((4, 5, 3, 1, 2, 3), VOLUME, BoxPrompt(1, 2, 3, 4, 5, 3)),
        ((1, 2, 4, 5), IMAGE, BoxPrompt(1, 2, 0, 4, 5, 0)),
        ((1, 2, 0, 4, 5, 0), IMAGE, BoxPrompt(1, 2, 0, 4, 5, 0)),
    ],
)
def test_boxes_in_voxels(numbers, geometry, expected):
    assert box_from_numbers(numbers, geometry, VOXEL, "box") == expected


@given(st.tuples(st.integers(0, 29), st.integers(0, 19), st.integers(0, 8)), st.floats(-0.7, 0.7))
@settings(deadline=None)
def test_points_in_mm_become_their_voxel(voxel, angle):
    geometry = oblique(angle)
    (x, y, z) = geometry.index_to_lps([voxel])[0].tolist()
    assert point_from_numbers((x, y, z), geometry, LPS, "point") == PointPrompt(*voxel)
    assert point_from_numbers((-x, -y, z, 0), geometry, RAS, "point") == PointPrompt(*voxel, positive=False)


@given(
    st.integers(0, 2),
    st.tuples(*[st.tuples(*[st.integers(0, 8)] * 3)] * 2),
    st.floats(-0.45, 0.45),
    st.floats(-0.7, 0.7),
)
@settings(deadline=None)
def test_boxes_in_mm_are_flat_along_their_thinnest_axis(axis, corners, off, angle):
    geometry = oblique(angle)
    first, second = (np.array(corner, float) for corner in corners)
    second[axis] = first[axis]
    read_off = np.array([first, second])
    read_off[:, axis] += [off, -off / 2]  # the cursor is never quite on the slice
    numbers = geometry.index_to_lps(np.clip(read_off, 0, 8)).ravel()
    box = box_from_numbers(numbers.tolist(), geometry, LPS, "box")
    assert box == BoxPrompt(*first, *second)


def test_both_world_spaces_name_the_same_box():
    expected = BoxPrompt(5, 5, 2, 10, 9, 2)
    lps = (*VOLUME.index_to_lps([(5, 5, 2)])[0], *VOLUME.index_to_lps([(10, 9, 2)])[0])
    ras = [sign * number for sign, number in zip((-1, -1, 1) * 2, lps, strict=True)]
    assert box_from_numbers(lps, VOLUME, LPS, "box") == expected
    assert box_from_numbers(ras, VOLUME, RAS, "box") == expected


def test_a_thick_box_in_mm_stays_thick():
    numbers = VOLUME.index_to_lps([(5, 5, 2), (10, 9, 4)]).ravel()
    assert box_from_numbers(numbers.tolist(), VOLUME, LPS, "box") == BoxPrompt(5, 5, 2, 10, 9, 4)


@pytest.mark.parametrize(
    ("numbers", "geometry", "space", "message"),
    [
        ((1, 2), VOLUME, VOXEL, "p has 2 numbers; expected i,j,k or i,j,k,label (the volume has 9 slices)."),
        ((1,), IMAGE, VOXEL, "p has 1 number; expected x,y or x,y,label or i,j,k,label (the image has one slice)."),
        ((1, 2, 3, 1, 1), IMAGE, VOXEL, "p has 5 numbers; expected x,y or x,y,label or i,j,k,label"),
        ((1, 2), IMAGE, LPS, "p has 2 numbers; expected x,y,z or x,y,z,label in mm."),
        ((1, 2, 3, 7), VOLUME, VOXEL, "p has the label 7; expected 1 (inside the object) or 0 (outside) at the end of"),
        ((1, 2, 3), IMAGE, VOXEL, "p has the label 3; expected 1 (inside the object) or 0 (outside) at the end of x,y"),
        ((500, 0, 10), VOLUME, LPS, "p: (500, 0, 10) mm (LPS) lies outside the volume, at voxel (-225, 20, 1)"),
        (
            (50, -40, 7),
            VOLUME,
            RAS,
            "p: (50, -40, 7) mm (RAS) lies outside the volume, at voxel (50, 40, 0); expected i",
        ),
    ],
)
def test_points_that_cannot_be(numbers, geometry, space, message):
    with pytest.raises(PromptError, match=re.escape(message)):
        point_from_numbers(numbers, geometry, space, "p")


@pytest.mark.parametrize(
    ("numbers", "geometry", "space", "message"),
    [
        ((1, 2, 3, 4), VOLUME, VOXEL, "b has 4 numbers; expected the six i0,j0,k0,i1,j1,k1 (the volume has 9 slices)."),
        ((1, 2, 3), IMAGE, VOXEL, "b has 3 numbers; expected the four x0,y0,x1,y1 or the six i0,j0,k0,i1,j1,k1"),
        ((1, 2, 3, 4), IMAGE, RAS, "b has 4 numbers; expected the six x0,y0,z0,x1,y1,z1 in mm."),
        (
            (50, -40, 7, 50, -40, 99),
            VOLUME,
            LPS,
            "b: (50, -40, 99) mm (LPS) lies outside the volume, at voxel (0, 0, 18)",
        ),
    ],
)
def test_boxes_that_cannot_be(numbers, geometry, space, message):
    with pytest.raises(PromptError, match=re.escape(message)):
        box_from_numbers(numbers, geometry, space, "b")
