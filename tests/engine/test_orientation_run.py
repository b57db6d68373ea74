"""Several planes made one: exact with a network that segments by intensity, and by hand where planes disagree."""

from dataclasses import replace

import numpy as np
import pytest

from medsam2.engine.orientation_run import MOST_CERTAIN, OrientationRun, fusible
from medsam2.engine.volume_run import SegmentSettings, frame_number, slice_index
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
        assert [frame_number(shown, slice_index(shown, t)) for t in range(SIDE)] == list(range(SIDE))


def test_what_a_plane_brings_into_the_fusion():
    logits = np.array([-MOST_CERTAIN, -0.5, 0.0, 0.25, 3.0], np.float16)
    assert fusible(logits, "average").tolist() == logits.tolist()
    assert fusible(logits, "vote").tolist() == [-1, -1, 0, 1, 1]


def test_a_single_image_has_no_other_plane():
    volume = Volume(np.zeros((1, SIDE, SIDE), np.uint8), Geometry((1, SIDE, SIDE), np.eye(4)))
    with pytest.raises(ConfigurationError, match="a single image has only one"):
        OrientationRun(IntensityNetwork(), volume, PromptSet((CLICK,)), ALL)


def test_prompts_that_do_not_fit_are_refused():
    with pytest.raises(PromptError, match="outside the volume"):
        run(cube(), ObjectPrompts("far", 1, points=(PointPrompt(4, 5, 99),)))


def test_an_unknown_fusion_is_refused():
    with pytest.raises(ConfigurationError, match="fusion is 'mean'; expected one of average, vote"):
        SegmentSettings(fusion="mean")
