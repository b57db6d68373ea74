"""Objects looked at from near, and followed: exact with a network that segments by intensity."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from medsam2.engine.focus import focused_prompt, whole_prompt, whole_side
from medsam2.engine.orientation_run import OrientationRun
from medsam2.engine.volume_result import SegmentSettings
from medsam2.engine.volume_run import VolumeRun
from medsam2.frames import FrameStack, Region, choose_window
from medsam2.network.outputs import PointKind
from medsam2.prompts import (
    BoxPrompt,
    FrameBox,
    FramePoint,
    MaskPrompt,
    ObjectPrompts,
    PointPrompt,
    PromptSet,
    SlicePrompt,
)
from medsam2.spatial import Geometry, Plane, PlaneView, Volume
from reference.intensity_network import IOU, LEVELS, SIDE, FocusingNetwork, IntensityNetwork

DARK, BRIGHT = LEVELS[1:]
FRAME = 96
"""Rows and columns; a region of 32 pixels is seen with cells of two pixels."""

SETTINGS = SegmentSettings(patience=0, window=(0.0, 255.0))


def volume_of(*blocks, slices=9):
    array = np.zeros((slices, FRAME, FRAME), np.uint8)
    for block, level in blocks:
        array[block] = level
    return Volume(array, Geometry(array.shape, np.eye(4)))


def moving(step, start=20, side=12, slices=9):
    """A square that moves by `step` pixels a slice, to the right and down."""
    places = [start + step * t for t in range(slices)]
    return volume_of(
        *((np.s_[t, at : at + side, at : at + side], BRIGHT) for t, at in enumerate(places)), slices=slices
    )


def labels_of(volume, *objects, network=None, settings=SETTINGS):
    run = VolumeRun.of_prompts(network or FocusingNetwork(), volume, PromptSet(objects), settings)
    masks = list(run.stream())
    return run.result().segmentation.labels, masks


BOX = ObjectPrompts("square", 1, boxes=(BoxPrompt(36, 36, 4, 47, 47, 4),))


def test_a_small_object_is_seen_sharper_than_in_the_whole_frame():
    volume = moving(0, start=36)
    truth = volume.array == BRIGHT
    assert np.array_equal(labels_of(volume, BOX)[0] == 1, truth)
    assert not np.array_equal(labels_of(volume, BOX, network=IntensityNetwork())[0] == 1, truth)


@pytest.mark.parametrize("step", [4, 6])
def test_an_object_is_followed_out_of_the_first_region(step):
    volume = moving(step, start=36 - 4 * step)
    labels, masks = labels_of(volume, BOX)
    assert np.array_equal(labels == 1, volume.array == BRIGHT)
    assert len({mask.region for mask in masks}) == len(masks) - 2  # the prompted one and its neighbours share theirs


def test_a_growing_object_is_seen_from_ever_further():
    blocks = [(np.s_[t, 44 - 4 * t : 52 + 4 * t, 44 - 4 * t : 52 + 4 * t], BRIGHT) for t in range(9)]
    first = ObjectPrompts("growing", 1, boxes=(BoxPrompt(44, 44, 0, 51, 51, 0),))
    _, masks = labels_of(volume_of(*blocks), first)
    widths = [mask.region.x1 - mask.region.x0 for mask in sorted(masks, key=lambda mask: mask.slice_index)]
    assert widths == sorted(widths)
    assert (widths[0], widths[-1]) == (32, FRAME)


def test_where_an_object_is_lost_it_is_looked_for_at_the_same_place():
    volume = moving(0, start=36)
    volume.array[6] = 0
    labels, masks = labels_of(volume, BOX)
    assert np.array_equal(labels == 1, volume.array == BRIGHT)
    assert len({mask.region for mask in masks}) == 1


def test_each_object_has_its_own_region():
    volume = volume_of((np.s_[:, 36:48, 36:48], BRIGHT), (np.s_[:, 64:76, 70:82], DARK))
    other = ObjectPrompts("other", 2, boxes=(BoxPrompt(70, 64, 4, 81, 75, 4),))
    network = FocusingNetwork()
    labels, _ = labels_of(volume, BOX, other, network=network)
    assert np.array_equal(labels, np.select([volume.array == BRIGHT, volume.array == DARK], [1, 2]))
    assert network.encoded == 2 * len(volume.array)


def test_objects_that_are_seen_in_the_same_region_share_its_features():
    volume = volume_of((np.s_[:, 10:80, 10:40], BRIGHT), (np.s_[:, 10:80, 50:90], DARK))
    large = [
        ObjectPrompts("left", 1, boxes=(BoxPrompt(10, 10, 4, 39, 79, 4),)),
        ObjectPrompts("right", 2, boxes=(BoxPrompt(50, 10, 4, 89, 79, 4),)),
    ]
    network = FocusingNetwork()
    labels_of(volume, *large, network=network)
    assert network.encoded == len(volume.array)


def test_a_drawn_slice_comes_back_to_the_pixel_and_leads_the_way():
    drawn = np.zeros((9, FRAME, FRAME), bool)
    drawn[4, 37:47, 36:48] = True
    volume = moving(0, start=36)
    labels, _ = labels_of(volume, ObjectPrompts("drawn", 1, masks=(MaskPrompt(drawn),)))
    assert np.array_equal(labels[4] == 1, drawn[4])
    assert np.array_equal(labels[3] == 1, volume.array[3] == BRIGHT)


def test_other_planes_see_from_near_too():
    volume = moving(0, start=36, slices=40)
    both = SegmentSettings(patience=0, window=(0.0, 255.0), orientations=(Plane.AXIAL, Plane.CORONAL))
    run = OrientationRun(FocusingNetwork(), volume, PromptSet((BOX,)), both)
    list(run.stream())
    assert np.array_equal(run.result().segmentation.labels == 1, volume.array == BRIGHT)


def stack_of(volume):
    view = PlaneView.of(volume.geometry, Plane.AXIAL)
    return FrameStack(volume, view, choose_window(volume, (0.0, 255.0)), 4 * SIDE)


def test_a_box_tells_where_to_look():
    stack = stack_of(moving(0, start=36))
    prompt = focused_prompt(FocusingNetwork(), stack, 4, SlicePrompt(box=FrameBox(36, 36, 47, 47)))
    assert prompt.region == Region(26, 26, 58, 58)
    assert prompt.kinds.tolist() == [PointKind.BOX_FIRST, PointKind.BOX_LAST]
    # 32 pixels of the frame are 64 of the network: the box's outermost pixels are two of them each.
    torch.testing.assert_close(prompt.points, torch.tensor([[20.0, 20.0], [43.0, 43.0]]))


def test_a_click_beside_the_box_is_seen_too():
    prompt = SlicePrompt(box=FrameBox(36, 36, 47, 47), points=(FramePoint(80, 40, True),))
    region = focused_prompt(FocusingNetwork(), stack_of(moving(0, start=36)), 4, prompt).region
    assert region.x0 <= 36
    assert region.x1 > 80


def test_a_click_is_answered_from_far_and_near():
    volume, network = moving(0, start=36), FocusingNetwork()
    prompt = focused_prompt(network, stack_of(volume), 4, SlicePrompt(points=(FramePoint(41, 41, True),)))
    assert network.encoded == 3  # the whole, half of it, and the smallest that is looked at
    assert prompt.region == Region(26, 26, 58, 58)
    labels, _ = labels_of(volume, ObjectPrompts("clicked", 1, points=(PointPrompt(41, 41, 4),)))
    assert (labels == 1).any()


def test_clicks_far_apart_are_all_seen():
    far = SlicePrompt(points=(FramePoint(20, 41, True), FramePoint(70, 41, False)))
    network = FocusingNetwork()
    region = focused_prompt(network, stack_of(moving(0, start=36)), 4, far).region
    assert network.encoded == 1  # no half of the slice holds both
    assert region.x0 <= 20
    assert region.x1 > 70


def test_a_network_that_does_not_focus_sees_the_whole_frame():
    stack = stack_of(moving(0, start=36))
    assert focused_prompt(IntensityNetwork(), stack, 4, SlicePrompt(box=FrameBox(36, 36, 47, 47))).region is None


BOX_ALONE = SlicePrompt(box=FrameBox(36, 36, 47, 47))


def whole_stack(network, volume):
    return replace(stack_of(volume), size=whole_side(network, 4 * SIDE))


def test_whole_frames_are_seen_finer_than_what_is_looked_at_from_near():
    assert whole_side(FocusingNetwork(), 64) == 128
    assert whole_side(IntensityNetwork(), 64) == 64


def test_a_box_is_answered_from_near_and_drawn_on_the_whole_frame():
    network, volume = FocusingNetwork(), moving(0, start=36)
    given, near = whole_prompt(network, whole_stack(network, volume), 4 * SIDE, 4, BOX_ALONE)
    assert np.array_equal(near.mask, volume.array[4] == BRIGHT)
    assert near.region == Region(26, 26, 58, 58)
    assert near.logits.shape == (SIDE, SIDE)
    assert near.confidence == pytest.approx(IOU)
    assert given.region is None
    assert given.drawn.shape == (1, 8 * SIDE, 8 * SIDE)
    assert np.array_equal(given.drawn[0, ::4, ::4] > 0, near.mask[1::3, 1::3])  # 96 pixels of the frame on 32 cells


def test_a_drawn_mask_is_remembered_as_it_is():
    drawn = np.zeros((FRAME, FRAME), bool)
    drawn[30:60, 30:60] = True
    network = FocusingNetwork()
    given, near = whole_prompt(
        network, whole_stack(network, moving(0)), 4 * SIDE, 4, SlicePrompt(mask=np.ascontiguousarray(drawn))
    )
    assert near is None
    assert np.array_equal(given.drawn[0, 2::4, 2::4] > 0, drawn[1::3, 1::3])
    assert network.encoded == 0


def test_what_is_not_found_from_near_is_asked_for_on_the_whole_frame(monkeypatch):
    network = FocusingNetwork()
    decode = network.decode
    monkeypatch.setattr(
        network, "decode", lambda *given: replace(decode(*given), logits=torch.full((1, 4, SIDE, SIDE), -10.0))
    )
    given, near = whole_prompt(network, whole_stack(network, moving(0)), 4 * SIDE, 4, BOX_ALONE)
    assert not near.mask.any()
    assert given.drawn is None
    assert given.kinds.tolist() == [PointKind.BOX_FIRST, PointKind.BOX_LAST]


def test_a_network_that_does_not_focus_is_asked_on_the_whole_frame_at_once():
    network = IntensityNetwork()
    given, near = whole_prompt(network, whole_stack(network, moving(0)), 4 * SIDE, 4, BOX_ALONE)
    assert near is None
    assert given.drawn is None
    assert network.encoded == 0
