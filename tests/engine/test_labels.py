"""The rule of overlaps, and that each plane writes to the voxels it shows."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medsam2.engine.labels import LabelAssembly
from medsam2.errors import InputError
from medsam2.spatial import Geometry, Plane, PlaneView
from reference.orientations import ORIENTATIONS, Stored, name_of

GEOMETRY = Geometry((2, 3, 4), np.eye(4))
AXIAL = PlaneView.of(GEOMETRY, Plane.AXIAL)


def level(value, shape=(3, 4)):
    return np.full(shape, value, np.float32)


def write(labels, frame, label, logits, prompted=False, view=AXIAL):
    labels.write(view, frame, label, logits, prompted)


def assembly(highest_label=9):
    return LabelAssembly(GEOMETRY, highest_label)


def test_only_voxels_above_zero_are_claimed():
    labels = assembly()
    logits = level(-1.0)
    logits[0] = 0
    logits[1, 2] = 0.5
    write(labels, 1, 7, logits)
    assert np.argwhere(labels.labels).tolist() == [[1, 1, 2]]
    assert labels.labels[1, 1, 2] == 7


@pytest.mark.parametrize("order", [(1, 2), (2, 1)])
def test_the_highest_logit_wins_whatever_comes_first(order):
    labels = assembly()
    for label in order:
        write(labels, 0, label, level(float(label)))
    assert (labels.labels[0] == 2).all()


def test_the_first_of_equals_stays():
    labels = assembly()
    write(labels, 0, 1, level(3.0))
    write(labels, 0, 2, level(3.0))
    assert (labels.labels[0] == 1).all()


@pytest.mark.parametrize("first", ["drawn", "predicted"])
def test_a_drawn_mask_beats_every_prediction(first):
    labels, mask = assembly(), np.zeros((3, 4), bool)
    mask[1, 1:3] = True
    steps = [lambda: labels.write_drawn(AXIAL, 0, 1, mask), lambda: write(labels, 0, 2, level(1e30))]
    for step in steps if first == "drawn" else reversed(steps):
        step()
    assert np.array_equal(labels.labels[0], np.where(mask, 1, 2))


def test_of_two_drawn_masks_the_first_stays():
    labels = assembly()
    labels.write_drawn(AXIAL, 0, 1, np.ones((3, 4), bool))
    labels.write_drawn(AXIAL, 0, 2, np.ones((3, 4), bool))
    assert (labels.labels[0] == 1).all()


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_on_a_prompted_slice_the_prompted_object_beats_what_came_by(order):
    labels = assembly()
    steps = [lambda: write(labels, 0, 1, level(0.01), prompted=True), lambda: write(labels, 0, 2, level(1e30))]
    for index in order:
        steps[index]()
    assert (labels.labels[0] == 1).all()


def test_of_two_prompted_objects_the_higher_logit_wins_and_a_drawn_mask_beats_both():
    labels = assembly()
    write(labels, 0, 1, level(2.0), prompted=True)
    write(labels, 0, 2, level(3.0), prompted=True)
    labels.write_drawn(AXIAL, 0, 3, np.eye(3, 4, dtype=bool))
    write(labels, 0, 4, level(1e30), prompted=True)
    assert np.array_equal(labels.labels[0], np.where(np.eye(3, 4, dtype=bool), 3, 4))


def test_logits_beyond_float16_are_compared_and_not_taken_for_drawn():
    labels = assembly()
    write(labels, 0, 1, level(1e38))
    labels.write_drawn(AXIAL, 0, 2, np.eye(3, 4, dtype=bool))
    write(labels, 0, 3, level(-1e38))
    assert np.array_equal(labels.labels[0], np.where(np.eye(3, 4, dtype=bool), 2, 1))


def test_every_logit_above_zero_is_a_claim():
    labels = assembly()
    logits = np.array([[1e-30, -1e-30, 0.0, np.nan]] * 3, np.float32)
    write(labels, 0, 1, logits)
    assert np.array_equal(labels.labels[0], logits > 0)


@pytest.mark.parametrize(("highest", "dtype"), [(255, np.uint8), (256, np.uint16), (65535, np.uint16)])
def test_labels_take_the_smallest_type_that_holds_them(highest, dtype):
    labels = assembly(highest)
    write(labels, 0, highest, level(1.0))
    assert labels.labels.dtype == dtype
    assert labels.labels.max() == highest


def test_a_label_beyond_uint16_is_refused():
    with pytest.raises(InputError, match=r"largest label is 65536; expected 0\.\.65535"):
        assembly(65536)


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 5))
def test_every_voxel_goes_to_the_best_of_its_objects(seed, objects):
    logits = np.random.default_rng(seed).integers(-3, 4, (objects, 3, 4)).astype(np.float32)
    labels = assembly()
    for index in range(objects):
        write(labels, 1, index + 1, logits[index])
    expected = np.where(logits.max(axis=0) > 0, logits.argmax(axis=0) + 1, 0)
    assert np.array_equal(labels.labels[1], expected)
    assert not labels.labels[0].any()


@pytest.mark.parametrize("plane", Plane)
@pytest.mark.parametrize("orientation", ORIENTATIONS, ids=name_of)
def test_a_plane_writes_to_the_voxels_that_it_shows(plane, orientation):
    geometry = Stored((5, 4, 3), (0.7, 0.9, 2.5), orientation).geometry
    view = PlaneView.of(geometry, plane)
    generator = np.random.default_rng(0)
    expected = generator.integers(0, 4, geometry.shape).astype(np.uint8)
    drawn = generator.random(geometry.shape) < 0.2
    labels = LabelAssembly(geometry, 9)
    for frame in range(view.frame_count):
        shown = view.to_frames(expected)[frame]
        for label in (3, 1, 2):
            labels.write(view, frame, label, np.where(shown == label, 2.0, -2.0).astype(np.float32), False)
        labels.write_drawn(view, frame, 9, view.to_frames(drawn)[frame])
    assert np.array_equal(labels.labels, np.where(drawn, 9, expected))


def test_planes_compete_for_a_voxel():
    labels = assembly()
    for label, (plane, frame) in enumerate([(Plane.AXIAL, 1), (Plane.CORONAL, 2), (Plane.SAGITTAL, 3)], start=1):
        view = PlaneView.of(GEOMETRY, plane)
        labels.write(view, frame, label, level(float(label), view.frame_shape), False)
    expected = np.zeros(GEOMETRY.shape, np.uint8)
    expected[1] = 1
    expected[:, 2] = 2
    expected[:, :, 3] = 3
    assert np.array_equal(labels.labels, expected)
