from itertools import permutations, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medsam2.errors import GeometryError
from medsam2.spatial import Geometry, place_labels

OBLIQUE = np.array([[0.48, -0.9, 0.8, 5], [0.64, 1.2, 0.2, -7], [-0.3, 0, 2.9, 11], [0, 0, 0, 1.0]])
SCAN = Geometry((4, 5, 6), OBLIQUE)
LABELS = np.random.default_rng(0).integers(0, 5, SCAN.shape).astype(np.uint8)
TURNS = [(order, flips) for order in permutations(range(3)) for flips in product((False, True), repeat=3)]


def turned(labels, geometry, order, flips):
    """Store a map in another order and direction of its axes (i, j, k), as another program would."""
    array = labels.transpose(2, 1, 0).transpose(order)
    affine = geometry.affine.copy()
    affine[:3, :3] = geometry.affine[:3, list(order)]
    for axis, flip in enumerate(flips):
        if flip:
            affine[:3, 3] += affine[:3, axis] * (array.shape[axis] - 1)
            affine[:3, axis] *= -1
            array = np.flip(array, axis)
    stored = np.ascontiguousarray(array.transpose(2, 1, 0))
    return stored, Geometry(stored.shape, affine)


@pytest.mark.parametrize(("order", "flips"), TURNS)
def test_each_of_the_48_orientations_finds_its_voxels(order, flips):
    stored, drawn = turned(LABELS, SCAN, order, flips)

    assert np.array_equal(place_labels(stored, drawn, SCAN), LABELS)


@given(st.data())
def test_a_part_of_the_grid_finds_its_place(data):
    first = [data.draw(st.integers(0, n - 1)) for n in SCAN.size_ijk]
    last = [data.draw(st.integers(low, n - 1)) for low, n in zip(first, SCAN.size_ijk, strict=True)]
    part = tuple(slice(low, high + 1) for low, high in zip(first[::-1], last[::-1], strict=True))
    affine = SCAN.affine.copy()
    affine[:3, 3] = SCAN.index_to_lps([first])[0]
    order, flips = data.draw(st.sampled_from(TURNS))
    stored, drawn = turned(LABELS[part], Geometry(LABELS[part].shape, affine), order, flips)
    expected = np.zeros_like(LABELS)
    expected[part] = LABELS[part]

    assert np.array_equal(place_labels(stored, drawn, SCAN), expected)


def test_a_larger_grid_is_taken_if_nothing_is_drawn_outside():
    affine = SCAN.affine.copy()
    affine[:3, 3] = SCAN.index_to_lps([[-2, -1, 0]])[0]
    wide = np.pad(LABELS, ((0, 0), (1, 0), (2, 0)))
    drawn = Geometry(wide.shape, affine)

    assert np.array_equal(place_labels(wide, drawn, SCAN), LABELS)
    wide[0, 0, 0] = 1
    with pytest.raises(GeometryError, match="reaches beyond the input"):
        place_labels(wide, drawn, SCAN)


def test_one_slice_may_have_any_thickness():
    affine = SCAN.affine.copy()
    affine[:3, 3] = SCAN.index_to_lps([[0, 0, 2]])[0]
    affine[:3, 2] = [0.1, 7, 0.3]
    laid = place_labels(LABELS[2:3], Geometry((1, 5, 6), affine), SCAN)

    assert np.array_equal(laid[2], LABELS[2])
    assert not laid[[0, 1, 3]].any()


def changes():
    shifted, scaled, turned_a_little, coarse = (SCAN.affine.copy() for _ in range(4))
    shifted[:3, 3] += SCAN.affine[:3, 0] * 0.05
    scaled[:3, 0] *= 1.01
    turned_a_little[:3, 0] += [0.01, 0, 0]
    coarse[:3, 0] *= 2
    return {"shifted": shifted, "scaled": scaled, "turned": turned_a_little, "coarse": coarse}


@pytest.mark.parametrize("name", changes())
def test_a_grid_whose_voxels_do_not_meet_is_refused(name):
    with pytest.raises(GeometryError, match="their voxels do not meet; draw it on the input's own grid"):
        place_labels(LABELS, Geometry(SCAN.shape, changes()[name]), SCAN)


def test_rounding_of_headers_is_no_difference():
    rounded = SCAN.affine.astype(np.float32).astype(float)
    stored, drawn = turned(LABELS, Geometry(SCAN.shape, rounded), (1, 0, 2), (True, False, True))

    assert np.array_equal(place_labels(stored, drawn, SCAN), LABELS)
