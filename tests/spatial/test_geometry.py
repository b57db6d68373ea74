import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from medsam2.errors import GeometryError, ShapeError
from medsam2.spatial import Geometry

OBLIQUE = np.array([[0.8, -0.6, 0.0, -120.0], [0.6, 0.8, 0.0, 33.3], [0.0, 0.0, 2.5, 700.25], [0.0, 0.0, 0.0, 1.0]])


def test_spacing_volume_and_description_are_in_file_order():
    geometry = Geometry((112, 101, 122), np.diag([-3.0, 2.0, 0.025, 1.0]))

    assert geometry.spacing_mm == (3.0, 2.0, 0.025)
    assert geometry.size_ijk == (122, 101, 112)
    assert geometry.voxel_volume_ml == pytest.approx(0.15e-3)
    assert geometry.describe() == "122 x 101 x 112 voxels of 3.00 x 2.00 x 0.025 mm"


def test_the_affine_is_a_read_only_float64_copy():
    given_affine = np.eye(4, dtype=np.float32)
    geometry = Geometry((1, 2, 3), given_affine)
    given_affine[0, 0] = 9

    assert geometry.affine.dtype == np.float64
    assert geometry.affine[0, 0] == 1
    with pytest.raises(ValueError, match="read-only"):
        geometry.affine[0, 0] = 2


def test_numpy_integers_become_plain_integers():
    shape = Geometry(tuple(np.array([1, 2, 3])), np.eye(4)).shape

    assert shape == (1, 2, 3)
    assert all(type(n) is int for n in shape)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((2, 3), r"expected three integers \(D, H, W\)"),
        ((2, 3, 4.0), "expected three integers"),
        (7, "expected three integers"),
        ((2, 0, 4), r"shape is \(2, 0, 4\).*at least 1"),
        ((2, 3, -4), "at least 1"),
    ],
)
def test_a_bad_shape_is_refused(shape, message):
    with pytest.raises(GeometryError, match=message):
        Geometry(shape, np.eye(4))


@pytest.mark.parametrize(
    ("affine", "message"),
    [
        (np.eye(3), r"shape \(3, 3\); expected \(4, 4\)"),
        (np.diag([1.0, np.nan, 1.0, 1.0]), "NaN or infinity"),
        (np.diag([1.0, np.inf, 1.0, 1.0]), "NaN or infinity"),
        (np.diag([1.0, 1.0, 1.0, 2.0]), r"last row is \[0.0, 0.0, 0.0, 2.0\]"),
        (np.diag([1.0, 0.0, 1.0, 1.0]), "singular"),
        (np.array([[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]), "singular"),
    ],
)
def test_a_bad_affine_is_refused(affine, message):
    with pytest.raises(GeometryError, match=message):
        Geometry((2, 3, 4), affine)


def test_tiny_voxels_are_not_singular():
    assert Geometry((2, 3, 4), np.diag([1e-7, 1e-7, 1e-7, 1.0])).spacing_mm == (1e-7, 1e-7, 1e-7)


def test_index_to_lps_by_hand():
    points = Geometry((9, 9, 9), OBLIQUE).index_to_lps([[0, 0, 0], [1, 0, 0], [0, 2, 1]])

    np.testing.assert_allclose(points, [[-120, 33.3, 700.25], [-119.2, 33.9, 700.25], [-121.2, 34.9, 702.75]])


@given(arrays(np.float64, (5, 3), elements=st.floats(-1000, 1000)))
def test_indices_survive_the_way_to_the_patient_and_back(index):
    geometry = Geometry((9, 9, 9), OBLIQUE)

    np.testing.assert_allclose(geometry.lps_to_index(geometry.index_to_lps(index)), index, atol=1e-9)


@pytest.mark.parametrize("method", ["index_to_lps", "lps_to_index", "contains"])
def test_points_must_be_triples(method):
    with pytest.raises(ShapeError, match=r"shape \(3,\); expected \(N, 3\)"):
        getattr(Geometry((2, 3, 4), np.eye(4)), method)([1, 2, 3])


def test_contains_counts_half_a_voxel_around_each_centre():
    geometry = Geometry((2, 3, 4), np.eye(4))
    index = [
        [3, 2, 1],
        [0, 0, 0],
        [-0.5, 0, 0],
        [3.49, 2.49, 1.49],
        [3.5, 0, 0],
        [-0.51, 0, 0],
        [1, 2, 3],
        [np.nan, 0, 0],
    ]

    assert geometry.contains(index).tolist() == [True, True, True, True, False, False, False, False]


def test_same_grid_forgives_rounding_and_nothing_more():
    geometry = Geometry((9, 200, 200), OBLIQUE)
    rounded = Geometry((9, 200, 200), OBLIQUE.astype(np.float32))
    shift = np.zeros((4, 4))
    shift[0, 3] = 0.02

    assert geometry.same_grid(geometry)
    assert geometry.same_grid(rounded)
    assert not geometry.same_grid(Geometry((9, 200, 201), OBLIQUE))
    assert not geometry.same_grid(Geometry((9, 200, 200), OBLIQUE + shift))
    assert geometry.same_grid(Geometry((9, 200, 200), OBLIQUE + shift), tolerance_mm=0.03)


def test_same_grid_looks_at_the_far_corner():
    wider = np.diag([1.001, 1.0, 1.0, 1.0])

    assert Geometry((1, 1, 5), np.eye(4)).same_grid(Geometry((1, 1, 5), wider))
    assert not Geometry((1, 1, 500), np.eye(4)).same_grid(Geometry((1, 1, 500), wider))
