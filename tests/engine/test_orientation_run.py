"""Several planes made one: exact with a network that segments by intensity, and by hand where planes disagree."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from medsam2.engine.orientation_run import MOST_CERTAIN, OrientationRun, fuse
from medsam2.engine.volume_result import SegmentSettings
from medsam2.errors import ConfigurationError, PromptError
from medsam2.prompts import BoxPrompt, MaskPrompt, ObjectPrompts, PointPrompt, PromptSet
from medsam2.spatial import Geometry, Plane, PlaneView, Volume
from reference.intensity_network import LEVELS, SIDE, IntensityNetwork
from reference.orientations import ORIENTATIONS, Stored, name_of

DARK, BRIGHT = LEVELS[1:]
ALL = SegmentSettings(window=(0.0, 255.0), orientations=tuple(Plane))
HERE = np.s_[2:9, 3:8, 2:7]


def cube(*blocks, spacing=(0.5, 0.5, 2.0)):
    array = np.zeros((SIDE, SIDE, SIDE), np.uint8)
    for block in blocks:
        array[block] = DARK
    return Volume(array, Geometry(array.shape, np.diag([*spacing, 1.0])))


CLICK = ObjectPrompts("dark", 1, points=(PointPrompt(4, 5, 6),))


def run(volume, *objects, settings=ALL, network=None):
    one = OrientationRun(network or IntensityNetwork(), volume, PromptSet(objects or (CLICK,)), settings)
    masks = list(one.stream())
    return one.result(), masks


@pytest.mark.parametrize("memory", ["fifo", "self-sorting", "confidence", "released"])
@pytest.mark.parametrize("fusion", ["average", "vote"])
def test_an_object_that_all_planes_see_alike_is_exact(memory, fusion):
    volume = cube(HERE)
    result, masks = run(volume, settings=replace(ALL, memory=memory, fusion=fusion))
    assert np.array_equal(result.segmentation.labels == 1, volume.array == DARK)
    assert {one.plane for one in masks} == set(Plane)
    (dark,) = result.objects
    assert (dark.plane, dark.prompted_slices, dark.voxels) == (Plane.AXIAL, (6,), 7 * 5 * 5)
    assert dark.volume_ml == pytest.approx(7 * 5 * 5 * 0.5 / 1000)
    assert result.settings.orientations == tuple(Plane)
    assert result.seconds > 0


def test_another_plane_begins_with_the_largest_section():
    volume = cube(HERE, np.s_[4:6, 3:8, 7:12])
    _, masks = run(volume)
    for plane, largest in ((Plane.CORONAL, range(3, 8)), (Plane.SAGITTAL, range(2, 7))):
        (begun,) = [one for one in masks if one.plane is plane and one.prompted]
        assert begun.slice_index in largest
        shown = PlaneView.of(volume.geometry, plane).to_frames(volume.array)
        assert np.array_equal(begun.mask, shown[begun.slice_index] == DARK)


def test_a_part_that_no_slice_of_the_first_plane_reaches_is_found_in_others():
    # Seen from above there are two blocks with an empty slice between them, and patience for none.
    volume = cube(HERE, np.s_[10:12, 3:8, 2:7])
    settings = replace(ALL, patience=1, orientations=(Plane.CORONAL, Plane.SAGITTAL))
    result, _ = run(volume, settings=settings)
    expected = volume.array == DARK
    # On the sections with which the other planes began they have no opinion, and the third is one against one.
    expected[10:12, 3] = expected[10:12, :, 2] = False
    assert np.array_equal(result.segmentation.labels == 1, expected)
    alone, _ = run(volume, settings=replace(settings, orientations=(Plane.AXIAL,)))
    assert alone.objects[0].voxels == 7 * 5 * 5


def test_two_planes_that_disagree_by_vote_find_nothing_there():
    volume = cube(HERE, np.s_[10:12, 3:8, 2:7])
    result, _ = run(volume, settings=replace(ALL, patience=1, fusion="vote", orientations=(Plane.SAGITTAL,)))
    assert result.objects[0].voxels == 7 * 5 * 5


def test_prompted_slices_stand_as_they_were_found():
    drawn = np.zeros((SIDE, SIDE, SIDE), bool)
    drawn[6, 0, 0] = drawn[6, 4, 4] = True
    box = ObjectPrompts("box", 2, boxes=(BoxPrompt(9, 9, 12, 12, 12, 12),))
    volume = cube(HERE, np.s_[11:14, 9:13, 9:13])
    result, _ = run(volume, ObjectPrompts("drawn", 1, masks=(MaskPrompt(drawn),)), box)
    assert np.array_equal(result.segmentation.labels[6] == 1, drawn[6])
    assert np.array_equal(result.segmentation.labels[12] == 2, volume.array[12] == DARK)


def test_parts_are_kept_once_all_planes_are_one():
    volume = cube(HERE, np.s_[4:6, 12:14, 12:14])
    result, _ = run(volume, settings=replace(ALL, largest_component=True))
    assert result.objects[0].voxels == 7 * 5 * 5
    assert result.settings.largest_component


def test_an_object_that_is_not_found_is_looked_for_in_no_other_plane():
    result, masks = run(cube(), settings=ALL, network=Blind())
    assert {one.plane for one in masks} == {Plane.AXIAL}
    assert result.warnings
    assert not result.segmentation.labels.any()


class Blind(IntensityNetwork):
    def decode(self, features, prompt):
        found = super().decode(features, prompt)
        return replace(found, logits=-found.logits.abs())


@pytest.mark.parametrize("orientation", ORIENTATIONS[::5], ids=name_of)
def test_every_stored_orientation(orientation):
    stored = Stored((SIDE, SIDE, SIDE), (0.7, 0.9, 2.5), orientation)
    view = PlaneView.of(stored.geometry, Plane.AXIAL)
    array = np.zeros(stored.geometry.shape, np.uint8)
    view.to_frames(array)[HERE] = DARK
    i, j, k = (round(float(x)) for x in view.to_index([[6, 5, 4]])[0])
    result, _ = run(Volume(array, stored.geometry), ObjectPrompts("dark", 1, points=(PointPrompt(i, j, k),)))
    assert np.array_equal(result.segmentation.labels == 1, array == DARK)
    for plane in Plane:
        shown = PlaneView.of(stored.geometry, plane)
        assert [shown.frame_number(shown.slice_index(t)) for t in range(SIDE)] == list(range(SIDE))


PLANES = [
    np.array(logits, np.float16)
    for logits in ([-MOST_CERTAIN, -1, 3, 4, 0, 1], [8, -2, -1, 2, 2, 0], [1, 6, -3, 3, -1, 0])
]
"""Six voxels: two against a strong one, one strong against two, one against two, all, a tie, one with an opinion."""


def test_planes_are_averaged():
    assert fuse(iter(PLANES), 3, "average") == pytest.approx([1 / 3, 1, -1 / 3, 3, 1 / 3, 1 / 3], abs=1e-3)


def test_planes_vote_and_their_mean_says_how_surely():
    fused = fuse(iter(PLANES), 3, "vote")
    assert fused == pytest.approx([1 / 3, 0, 0, 3, 0, 1 / 3], abs=1e-3)
    outweighed = [np.array([one], np.float16) for one in (1, 1, -8)]
    assert 0 < fuse(outweighed, 3, "vote")[0] < 1e-6


class Greedy(IntensityNetwork):
    """Claims all that is not background: strongly what is as bright as what was prompted, the rest weakly."""

    def decode(self, features, prompt):
        found = super().decode(features, prompt)
        anything = (features.stride4[:, 0] > 0.1)[:, None]
        return replace(found, logits=torch.where((found.logits < 0) & anything, 2.0, found.logits))


@pytest.mark.parametrize("fusion", ["average", "vote"])
def test_who_gets_what_overlaps_does_not_depend_on_the_order_of_the_objects(fusion):
    volume = cube(HERE)
    volume.array[3:8, 8:12, 3:6] = BRIGHT
    bright = ObjectPrompts("bright", 2, points=(PointPrompt(4, 9, 6),))
    settings = replace(ALL, fusion=fusion)
    first, second = (
        run(volume, *objects, settings=settings, network=Greedy())[0].segmentation.labels
        for objects in ((CLICK, bright), (bright, CLICK))
    )
    assert {1, 2} <= {*first.flat}
    assert np.array_equal(first, second)


def test_a_drawn_mask_of_which_the_coarse_logits_show_nothing_has_its_sections():
    drawn = np.zeros((8, 4 * SIDE, 4 * SIDE), bool)
    drawn[6, 5, 5] = drawn[6, 50, 41] = True
    volume = Volume(np.zeros(drawn.shape, np.uint8), Geometry(drawn.shape, np.eye(4)))
    settings = replace(ALL, orientations=(Plane.CORONAL,))
    result, masks = run(volume, ObjectPrompts("thin", 1, masks=(MaskPrompt(drawn),)), settings=settings)
    assert np.array_equal(result.segmentation.labels == 1, drawn)
    (begun,) = [one for one in masks if one.plane is Plane.CORONAL and one.prompted]
    assert (begun.slice_index, begun.mask.sum()) == (5, 1)


def test_an_object_that_is_outvoted_everywhere_is_warned_of():
    one = OrientationRun(IntensityNetwork(), cube(HERE), PromptSet((CLICK,)), ALL)
    list(one.stream())
    one._seen[1].clear()
    (warning,) = one.result().warnings
    assert "dark (label 1): nothing of what its plane shows is left: other planes outvote it" in warning


def test_a_single_image_has_no_other_plane():
    volume = Volume(np.zeros((1, SIDE, SIDE), np.uint8), Geometry((1, SIDE, SIDE), np.eye(4)))
    with pytest.raises(ConfigurationError, match="a single image has only one"):
        OrientationRun(IntensityNetwork(), volume, PromptSet((CLICK,)), ALL)


def test_prompts_that_do_not_fit_are_refused():
    with pytest.raises(PromptError, match="outside the volume"):
        run(cube(), ObjectPrompts("far", 1, points=(PointPrompt(4, 5, 99),)))
