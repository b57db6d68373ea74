"""Shapes between drawn slices, by hand and in a whole run."""

from dataclasses import replace

import numpy as np
import pytest

from medsam2.engine.between_drawn import WEIGHT, BetweenDrawn
from medsam2.engine.volume_result import SegmentSettings
from medsam2.engine.volume_run import VolumeRun
from medsam2.prompts import BoxPrompt, MaskPrompt, ObjectPrompts, PromptSet
from medsam2.spatial import Geometry, Plane, PlaneView, Volume
from reference.intensity_network import SIDE, IntensityNetwork
from reference.orientations import ORIENTATIONS, Stored, name_of

MM, SLICE_MM = 0.5, 3.0
SHAPE = (20, 5, 9)


def bars(*columns):
    """A frame with a bar of whole columns."""
    mask = np.zeros(SHAPE[1:], bool)
    mask[:, columns[0] : columns[1]] = True
    return mask


def between(**drawn):
    view = PlaneView.of(Geometry(SHAPE, np.diag([MM, MM, SLICE_MM, 1.0])), Plane.AXIAL)
    return BetweenDrawn(view, {int(frame[1:]): mask for frame, mask in drawn.items()})


def test_depths_are_mixed_by_distance_and_count_less_the_farther_the_drawn_slices_are():
    shapes = between(f4=bars(0, 3), f8=bars(0, 7))
    # Columns outside of the first bar and inside of the second, which ends where the frame does.
    first = np.array([1, 2, 1, -1, -2, -3, -4, -5, -6])
    second = np.array([1, 2, 3, 3, 3, 2, 1, -1, -2])
    rows = np.array([1, 2, 3, 2, 1])[:, None]
    for frame, share, slices in ((5, 0.25, 1), (6, 0.5, 2), (7, 0.75, 1)):
        expected = (1 - share) * np.minimum(first, rows) + share * np.minimum(second, rows)
        np.testing.assert_allclose(shapes.logits(frame), expected * MM * WEIGHT / (slices * SLICE_MM), rtol=1e-6)


@pytest.mark.parametrize("frame", [0, 3, 9, 19])
def test_beyond_the_drawn_slices_nothing_is_said(frame):
    assert between(f4=bars(0, 3), f8=bars(0, 7)).logits(frame) is None
    assert between(f4=bars(0, 3)).logits(frame) is None
    assert between().logits(frame) is None


def test_the_nearest_drawn_slices_count():
    three = between(f2=bars(0, 9), f4=bars(2, 4), f8=bars(3, 5))
    assert np.array_equal(three.logits(6), between(f4=bars(2, 4), f8=bars(3, 5)).logits(6))


def test_a_shape_that_fills_the_frame_is_inside_everywhere():
    full = bars(0, 9)
    assert (between(f4=full, f6=full).logits(5) > 0).all()


class Undecided(IntensityNetwork):
    """Sees the object on each slice, and hardly anything for or against any pixel."""

    def decode(self, features, prompt):
        found = super().decode(features, prompt)
        return replace(found, logits=found.logits * 0 - 1e-4, object_score=found.object_score.abs())


def drawn_on(**blocks):
    mask = np.zeros((SIDE, SIDE, SIDE), bool)
    for frame, block in blocks.items():
        mask[int(frame[1:])][block] = True
    return mask


WIDE, NARROW = np.s_[3:13, 2:12], np.s_[5:11, 4:10]


def run(volume, *prompts, settings=None):
    one = VolumeRun.of_prompts(
        Undecided(), volume, PromptSet(prompts), settings or SegmentSettings(window=(0.0, 255.0))
    )
    list(one.stream())
    return one.result().segmentation.labels


def test_between_drawn_slices_their_shapes_are_found():
    drawn = drawn_on(s3=WIDE, s5=WIDE, s7=NARROW)
    volume = Volume(np.zeros(drawn.shape, np.uint8), Geometry(drawn.shape, np.diag([1.0, 1.0, 2.0, 1.0])))
    prompt = ObjectPrompts("a", 1, masks=(MaskPrompt(drawn),))
    found = run(volume, prompt) == 1
    assert np.array_equal(found[[3, 5, 7]], drawn[[3, 5, 7]])
    assert np.array_equal(found[4], drawn[3])
    assert drawn[7].sum() < found[6].sum() < drawn[5].sum()
    assert not found[[2, 8]].any()
    plain = run(volume, prompt, settings=SegmentSettings(window=(0.0, 255.0), interpolate=False)) == 1
    assert np.array_equal(plain, drawn)


def test_a_slice_that_is_prompted_otherwise_is_the_network_s():
    drawn = drawn_on(s3=WIDE, s7=WIDE)
    volume = Volume(np.zeros(drawn.shape, np.uint8), Geometry(drawn.shape, np.eye(4)))
    box = BoxPrompt(2, 2, 5, 12, 12, 5)
    found = run(volume, ObjectPrompts("a", 1, masks=(MaskPrompt(drawn),), boxes=(box,)))
    assert found[[4, 6]].any((1, 2)).all()
    assert not found[5].any()


@pytest.mark.parametrize("orientation", ORIENTATIONS[::7], ids=name_of)
def test_every_stored_orientation(orientation):
    drawn = drawn_on(s3=WIDE, s6=NARROW)
    geometry = Geometry(drawn.shape, np.diag([0.7, 0.9, 2.5, 1.0]))
    expected = run(Volume(np.zeros(drawn.shape, np.uint8), geometry), ObjectPrompts("a", 1, masks=(MaskPrompt(drawn),)))
    stored = Stored((SIDE, SIDE, SIDE), (0.7, 0.9, 2.5), orientation)
    mask = MaskPrompt(stored.array(drawn))
    found = run(
        Volume(np.zeros(stored.geometry.shape, np.uint8), stored.geometry), ObjectPrompts("a", 1, masks=(mask,))
    )
    assert np.array_equal(stored.patient(found), expected)
