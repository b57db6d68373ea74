"""MONAI's surfaces against brute force with scipy's distance transform, and what is made of empty masks."""

import math
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from scipy import ndimage

from medsam2.errors import ConfigurationError, MissingDependencyError, ShapeError
from medsam2.metrics import SurfaceDistances, normalized_surface_dice, require_monai
from medsam2.metrics import surface as module

pytest.importorskip("monai")

SHAPE = (5, 6, 7)
SPACING = (5.0, 0.7, 1.3)
DIAGONAL = math.hypot(5 * 5.0, 6 * 0.7, 7 * 1.3)


def brute_force(mask, reference, spacing):
    """Distances between surface voxels, by erosion and two whole distance transforms."""
    surfaces = [one & ~ndimage.binary_erosion(one) for one in (mask, reference)]
    maps = [ndimage.distance_transform_edt(~one, sampling=spacing) for one in surfaces]
    return maps[1][surfaces[0]], maps[0][surfaces[1]]


def block(*window, shape=SHAPE):
    mask = np.zeros(shape, bool)
    mask[window] = True
    return mask


ONE = block(2, 3, 3)
CORNER = block(slice(0, 2), slice(0, 3), slice(0, 2))
FULL, EMPTY = np.ones(SHAPE, bool), np.zeros(SHAPE, bool)
SLAB = block(4)


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_distances_are_those_of_brute_force(data):
    shape = data.draw(array_shapes(min_dims=2, max_dims=3, max_side=6))
    mask, reference = data.draw(arrays(bool, shape)), data.draw(arrays(bool, shape))
    spacing = data.draw(st.tuples(*[st.floats(0.3, 6.0) for _ in shape]))
    if mask.any() and reference.any():
        found = SurfaceDistances.between(mask, reference, spacing)
        one, other = brute_force(mask, reference, spacing)
        assert found.hd95_mm == pytest.approx(max(np.percentile(one, 95), np.percentile(other, 95)), abs=1e-4)
        assert found.assd_mm == pytest.approx(np.concatenate((one, other)).mean(), abs=1e-4)


@pytest.mark.parametrize("mask", [ONE, CORNER, FULL, SLAB], ids=["one voxel", "corner", "full", "slab"])
@pytest.mark.parametrize("reference", [ONE, CORNER, FULL, SLAB], ids=["one voxel", "corner", "full", "slab"])
def test_degenerate_masks_are_measured_as_any(mask, reference):
    found = SurfaceDistances.between(mask, reference, SPACING)
    one, other = brute_force(mask, reference, SPACING)
    assert np.sort(found.from_mask) == pytest.approx(np.sort(one), abs=1e-5)
    assert np.sort(found.from_reference) == pytest.approx(np.sort(other), abs=1e-5)
    if mask is reference:
        assert (found.hd95_mm, found.assd_mm) == (0.0, 0.0)
        assert normalized_surface_dice(mask, reference, SPACING, 0.0) == 1.0


def test_two_voxels_by_hand():
    found = SurfaceDistances.between(block(0, 0, 0), block(2, 3, 0), SPACING)
    assert found.hd95_mm == found.assd_mm == pytest.approx(math.hypot(10.0, 2.1))


@pytest.mark.parametrize(("mask", "reference"), [(EMPTY, ONE), (ONE, EMPTY), (EMPTY, FULL), (FULL, EMPTY)])
def test_an_empty_mask_is_as_far_as_can_be(mask, reference):
    found = SurfaceDistances.between(mask, reference, SPACING)
    assert found.hd95_mm == found.assd_mm == pytest.approx(DIAGONAL)
    assert normalized_surface_dice(mask, reference, SPACING, 1000.0) == 0.0


def test_two_empty_masks_have_no_distance():
    found = SurfaceDistances.between(EMPTY, EMPTY, SPACING)
    assert math.isnan(found.hd95_mm)
    assert math.isnan(found.assd_mm)
    assert math.isnan(normalized_surface_dice(EMPTY, EMPTY, SPACING, 2.0))


def test_surface_dice_of_slabs_by_hand():
    """Slabs of one slice, side by side: each has one face in common with the other, and one a slice away."""
    shape = (6, 40, 40)
    mask, reference = block(2, shape=shape), block(3, shape=shape)
    assert normalized_surface_dice(mask, reference, (5.0, 1.0, 1.0), 2.0) == pytest.approx(0.5, abs=0.05)
    assert normalized_surface_dice(mask, reference, (5.0, 1.0, 1.0), 5.0) == 1.0
    assert normalized_surface_dice(mask, reference, (2.0, 1.0, 1.0), 2.0) == 1.0


def test_surface_dice_of_cuboids_by_hand():
    """Cuboids of 30 x 40 x 30 and 30 x 40 x 27 mm: one face is 3 mm off, with a tolerance of 2 mm.

    Of the longer one that face is wrong, and a strip of 1 mm of its four sides; of the shorter one the face but for
    2 mm at its border, which are near the sides of the longer one. Areas are off a little at the cuboids' edges.
    """
    shape = (14, 24, 34)
    mask = block(slice(2, 12), slice(2, 22), slice(2, 32), shape=shape)
    reference = block(slice(2, 12), slice(2, 22), slice(2, 29), shape=shape)
    whole = sum(2 * (30 * 40 + 30 * length + 40 * length) for length in (30, 27))
    wrong = 30 * 40 + 2 * (30 + 40) * 1 + (30 - 4) * (40 - 4)
    found = normalized_surface_dice(mask, reference, (3.0, 2.0, 1.0), 2.0)
    assert found == pytest.approx(1 - wrong / whole, abs=0.01)


@settings(deadline=None, max_examples=15)
@given(arrays(bool, (3, 4, 5)), arrays(bool, (3, 4, 5)))
def test_surface_dice_does_not_depend_on_the_order_of_axes(mask, reference):
    expected = normalized_surface_dice(mask, reference, SPACING, 1.0)
    for axes in permutations(range(3)):
        spacing = tuple(SPACING[axis] for axis in axes)
        turned = normalized_surface_dice(mask.transpose(axes)[::-1], reference.transpose(axes)[::-1], spacing, 1.0)
        assert turned == pytest.approx(expected, abs=1e-5, nan_ok=True)


def test_a_larger_tolerance_accepts_more():
    values = [normalized_surface_dice(CORNER, FULL, SPACING, tolerance) for tolerance in (0.0, 1.0, 3.0, 30.0)]
    assert values == sorted(values)
    assert values[0] < values[-1] == 1.0


def test_pictures_have_surfaces_too():
    mask, reference = block(slice(2, 5), slice(2, 5), shape=(8, 9)), block(slice(2, 5), slice(3, 6), shape=(8, 9))
    assert SurfaceDistances.between(mask, reference, (1.0, 2.0)).hd95_mm == pytest.approx(2.0)
    assert normalized_surface_dice(mask, reference, (1.0, 2.0), 2.0) == 1.0


def test_what_does_not_fit_is_refused():
    with pytest.raises(ShapeError, match=r"uint8.*expected bool"):
        SurfaceDistances.between(ONE.astype(np.uint8), ONE, SPACING)
    with pytest.raises(ShapeError, match=r"\(5, 6, 7\).*\(6, 7\).*expected the same"):
        normalized_surface_dice(ONE, ONE[0], SPACING, 1.0)
    for spacing in ((1.0, 1.0), (1.0, 0.0, 1.0)):
        with pytest.raises(ShapeError, match="expected 3 numbers above 0"):
            SurfaceDistances.between(ONE, ONE, spacing)
    for tolerance in (-1.0, math.nan):
        with pytest.raises(ConfigurationError, match="expected 0 or more"):
            normalized_surface_dice(ONE, ONE, SPACING, tolerance)


def test_without_monai_the_extra_is_named(monkeypatch):
    require_monai()
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    with pytest.raises(MissingDependencyError, match=r"need the package monai.*pip install 'medsam2\[evaluate\]'"):
        SurfaceDistances.between(ONE, ONE, SPACING)
    assert SurfaceDistances.between(ONE, EMPTY, SPACING).hd95_mm == pytest.approx(DIAGONAL)
