"""Cleaning one label must leave all others alone."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from medsam2.engine.postprocess import fill_holes, keep_largest_component


def empty(shape=(6, 7, 8), dtype=np.uint8):
    return np.zeros(shape, dtype)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_the_largest_component_stays(dtype):
    labels = empty(dtype=dtype)
    labels[1:3, 1:3, 1:3] = 2
    labels[4:, 5:, 5] = 2
    keep_largest_component(labels, 2)
    expected = empty(dtype=dtype)
    expected[1:3, 1:3, 1:3] = 2
    assert np.array_equal(labels, expected)


def test_voxels_that_touch_at_a_corner_are_one_component():
    labels = empty()
    labels[1, 1, 1] = labels[2, 2, 2] = labels[3, 3, 2] = 1
    labels[5, 6, 5:7] = 1
    keep_largest_component(labels, 1)
    assert np.argwhere(labels).tolist() == [[1, 1, 1], [2, 2, 2], [3, 3, 2]]


def test_other_labels_neither_join_components_nor_go():
    labels = empty()
    labels[2, 2, 1:4] = 1
    labels[2, 2, 4] = 2
    labels[2, 2, 5:7] = 1
    labels[0, 0, 0] = 2
    keep_largest_component(labels, 1)
    expected = empty()
    expected[2, 2, 1:4] = 1
    expected[2, 2, 4] = expected[0, 0, 0] = 2
    assert np.array_equal(labels, expected)


def test_a_hole_in_three_dimensions_is_filled():
    labels = empty()
    labels[1:5, 1:5, 1:5] = 3
    labels[2:4, 2:4, 2:4] = 0
    fill_holes(labels, 3)
    assert (labels == 3).sum() == 64


def test_a_tunnel_is_no_hole():
    labels = empty()
    labels[:, 1:5, 1:5] = 3
    labels[:, 2:4, 2:4] = 0
    before = labels.copy()
    fill_holes(labels, 3)
    assert np.array_equal(labels, before)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_single_slice_is_filled_as_an_image(axis):
    image = np.zeros((7, 8), np.uint8)
    image[1:6, 1:6] = 1
    image[2:5, 2:5] = 0
    labels = np.expand_dims(image, axis).copy()
    fill_holes(labels, 1)
    assert (labels == 1).sum() == 25


def test_other_objects_inside_stay():
    labels = empty()
    labels[1:5, 1:5, 1:5] = 1
    labels[2:4, 2:4, 2:4] = 0
    labels[2, 2, 2] = 2
    fill_holes(labels, 1)
    assert np.argwhere(labels == 2).tolist() == [[2, 2, 2]]
    assert (labels == 1).sum() == 63


@pytest.mark.parametrize("clean", [keep_largest_component, fill_holes])
@pytest.mark.parametrize("shape", [(6, 7, 8), (1, 7, 8), (4, 1, 1), (1, 1, 1)])
def test_an_object_without_voxels_stays_so(clean, shape):
    labels = empty(shape)
    labels[0, 0, 0] = 5
    before = labels.copy()
    clean(labels, 1)
    assert np.array_equal(labels, before)


@pytest.mark.parametrize("clean", [keep_largest_component, fill_holes])
def test_a_single_voxel_is_left_alone(clean):
    labels = np.ones((1, 1, 1), np.uint8)
    clean(labels, 1)
    assert labels.tolist() == [[[1]]]


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.05, 0.6))
def test_what_stays_is_one_component_of_what_was(seed, density):
    generator = np.random.default_rng(seed)
    labels = (generator.random((4, 5, 6)) < density).astype(np.uint8) * generator.integers(1, 3, (4, 5, 6), np.uint8)
    before = labels.copy()
    keep_largest_component(labels, 1)
    assert np.array_equal(labels == 2, before == 2)
    assert not (labels == 1)[before != 1].any()
    count = ndimage.label(labels == 1, np.ones((3, 3, 3)))[1]
    assert count == bool((before == 1).any())
    once = labels.copy()
    keep_largest_component(labels, 1)
    assert np.array_equal(labels, once)


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_filling_only_adds_to_the_background(seed):
    labels = np.random.default_rng(seed).choice(np.arange(3, dtype=np.uint8), (4, 5, 6), p=(0.2, 0.6, 0.2))
    before = labels.copy()
    fill_holes(labels, 1)
    changed = labels != before
    assert (before[changed] == 0).all()
    assert (labels[changed] == 1).all()
