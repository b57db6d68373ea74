from itertools import permutations, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medsam2.errors import GeometryError, ShapeError
from medsam2.spatial import Geometry, Plane, PlaneView, acquisition_plane, plane_of_voxel_axis

ORIENTATIONS = [(order, signs) for order in permutations(range(3)) for signs in product((1, -1), repeat=3)]
SIZE_LPS = (5, 4, 3)
SPACING_LPS = (0.7, 0.9, 2.5)


def rotation(degrees, axis):
    """Rotation about one world axis."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    matrix = np.eye(3)
    first, second = [a for a in range(3) if a != axis]
    matrix[[first, first, second, second], [first, second, first, second]] = c, -s, s, c
    return matrix


def patient(turn=None):
    """Anatomy stored along +L, +P, +S (then turned): the array (k, j, i) and its affine."""
    array = np.arange(np.prod(SIZE_LPS)).reshape(SIZE_LPS[::-1])
    affine = np.eye(4)
    affine[:3, :3] = (np.eye(3) if turn is None else turn) @ np.diag(SPACING_LPS)
    affine[:3, 3] = -10, 20, 30
    return array, affine


def stored(array, affine, order, signs):
    """The same anatomy as a file would store it with its axes in another order and direction."""
    size = array.shape[::-1]
    reorder = np.zeros((4, 4))
    reorder[3, 3] = 1
    for axis, (old, sign) in enumerate(zip(order, signs, strict=True)):
        reorder[old, axis] = sign
        reorder[old, 3] = 0 if sign > 0 else size[old] - 1
    by_index = array.transpose(2, 1, 0).transpose(order)[tuple(slice(None, None, sign) for sign in signs)]
    return by_index.transpose(2, 1, 0), affine @ reorder


orientations = st.sampled_from(ORIENTATIONS)
planes = st.sampled_from(Plane)


@pytest.fixture(params=ORIENTATIONS, ids=str)
def orientation(request):
    return request.param


def test_identity_is_the_axial_view():
    view = PlaneView.of(Geometry((3, 4, 5), np.eye(4)), Plane.AXIAL)
    array = np.arange(60).reshape(3, 4, 5)

    assert view.voxel_axes == (2, 1, 0)
    assert view.flipped == (False, False, False)
    assert np.array_equal(view.to_frames(array), array)


@pytest.mark.parametrize("plane", Plane)
@pytest.mark.parametrize(
    "turn",
    [
        None,
        rotation(20, 0),
        rotation(45, 2),
        rotation(45, 0),
        rotation(-45, 1),
        rotation(12, 1) @ rotation(30, 2),
    ],
    ids=["straight", "tilted", "45 about S", "45 about L", "-45 about P", "twice"],
)
def test_the_same_anatomy_gives_the_same_frames(orientation, plane, turn):
    array, affine = patient(turn)
    expected = PlaneView.of(Geometry(array.shape, affine), plane).to_frames(array)
    array, affine = stored(array, affine, *orientation)
    view = PlaneView.of(Geometry(array.shape, affine), plane)

    assert np.array_equal(view.to_frames(array), expected)
    assert (view.frame_count, *view.frame_shape) == expected.shape


@pytest.mark.parametrize(
    ("plane", "directions"),
    [
        (Plane.AXIAL, [(0, 0, 1), (0, 1, 0), (1, 0, 0)]),
        (Plane.CORONAL, [(0, 1, 0), (0, 0, -1), (1, 0, 0)]),
        (Plane.SAGITTAL, [(1, 0, 0), (0, 0, -1), (0, 1, 0)]),
    ],
)
def test_frames_rows_and_columns_run_as_a_radiologist_sees_them(orientation, plane, directions):
    array, affine = stored(*patient(), *orientation)
    geometry = Geometry(array.shape, affine)
    view = PlaneView.of(geometry, plane)
    origin, frame, column, row = geometry.index_to_lps(view.to_index([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]]))
    spacing = (view.slice_spacing_mm, *view.frame_spacing_mm)

    for step, length, direction in zip((frame, row, column), spacing, directions, strict=True):
        np.testing.assert_allclose((step - origin) / length, direction, atol=1e-12)


@given(orientations, planes, st.booleans())
def test_frames_go_back_to_the_array(orientation, plane, colour):
    array, affine = stored(*patient(), *orientation)
    if colour:
        array = np.stack([array, array + 1, array + 2], axis=-1)
    view = PlaneView.of(Geometry(array.shape[:3], affine), plane)
    frames = view.to_frames(array)
    back = view.from_frames(frames)

    assert np.array_equal(back, array)
    assert np.shares_memory(frames, array)
    assert np.shares_memory(back, array)


@given(orientations, planes, st.data())
def test_coordinates_agree_with_the_array(orientation, plane, data):
    array, affine = stored(*patient(), *orientation)
    geometry = Geometry(array.shape, affine)
    view = PlaneView.of(geometry, plane)
    i, j, k = index = [data.draw(st.integers(0, n - 1)) for n in geometry.size_ijk]
    ((t, x, y),) = view.to_frame_coordinates([index]).astype(int)

    assert view.to_frames(array)[t, y, x] == array[k, j, i]
    assert view.to_index([[t, x, y]]).tolist() == [index]
    assert view.slice_index(t) == index[view.voxel_axis]
    assert view.frame_number(index[view.voxel_axis]) == t


@given(orientations, planes, st.tuples(*[st.floats(-3, 9)] * 3))
def test_fractions_survive_the_way_to_frames_and_back(orientation, plane, index):
    array, affine = stored(*patient(), *orientation)
    view = PlaneView.of(Geometry(array.shape, affine), plane)

    np.testing.assert_allclose(view.to_index(view.to_frame_coordinates([index])), [index], atol=1e-12)


def test_a_sheared_grid_has_a_view_of_each_axis():
    affine = np.array([[1, 0, 0.9, 0], [0, 1, 0.9, 0], [0, 0, 0.5, 0], [0, 0, 0, 1.0]])
    geometry = Geometry((3, 4, 5), affine)

    assert {PlaneView.of(geometry, plane).voxel_axis for plane in Plane} == {0, 1, 2}


def test_arrays_off_the_grid_are_refused():
    view = PlaneView.of(Geometry((3, 4, 5), np.eye(4)), Plane.CORONAL)

    with pytest.raises(ShapeError, match=r"shape \(5, 4, 3\); the coronal view expects \(D, H, W\) = \(3, 4, 5\)"):
        view.to_frames(np.zeros((5, 4, 3)))
    with pytest.raises(ShapeError, match=r"expects \(T, R, C\) = \(4, 3, 5\)"):
        view.from_frames(np.zeros((3, 4, 5)))
    with pytest.raises(ShapeError, match=r"shape \(3, 4\)"):
        view.to_frames(np.zeros((3, 4)))
    with pytest.raises(ShapeError, match="frame coordinates"):
        view.to_index([1, 2])


def test_plane_of_voxel_axis_inverts_the_view(orientation):
    array, affine = stored(*patient(), *orientation)
    geometry = Geometry(array.shape, affine)

    for plane in Plane:
        assert plane_of_voxel_axis(geometry, PlaneView.of(geometry, plane).voxel_axis) is plane


def test_there_is_no_fourth_axis():
    with pytest.raises(GeometryError, match="voxel axis is 3; expected 0, 1 or 2"):
        plane_of_voxel_axis(Geometry((3, 4, 5), np.eye(4)), 3)


@pytest.mark.parametrize(
    ("shape", "spacing", "plane"),
    [
        ((30, 30, 30), (1.0, 1.0, 1.0), Plane.AXIAL),
        ((30, 30, 30), (1.0, 1.0, 5.0), Plane.AXIAL),
        ((30, 30, 30), (0.5, 4.0, 0.5), Plane.CORONAL),
        ((30, 30, 30), (4.0, 0.5, 0.6), Plane.SAGITTAL),
        ((30, 30, 30), (1.25, 1.0, 0.5), Plane.SAGITTAL),
        ((30, 30, 30), (1.2, 1.0, 1.0), Plane.AXIAL),
        ((30, 30, 30), (3.0, 3.0, 1.0), Plane.AXIAL),
        ((30, 30, 1), (1.0, 1.0, 1.0), Plane.SAGITTAL),
        ((30, 1, 30), (1.0, 1.0, 5.0), Plane.CORONAL),
        ((1, 30, 30), (1.0, 1.0, 1.0), Plane.AXIAL),
        ((1, 1, 30), (1.0, 4.0, 1.0), Plane.CORONAL),
    ],
)
def test_the_acquisition_plane_is_across_thick_or_single_slices(shape, spacing, plane):
    assert acquisition_plane(Geometry(shape, np.diag([*spacing, 1.0]))) is plane
