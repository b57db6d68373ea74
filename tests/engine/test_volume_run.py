"""A volume in, a label map out: exact with a network that segments by intensity."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from medsam2.engine.volume_result import SegmentSettings
from medsam2.engine.volume_run import VolumeRun
from medsam2.errors import ConfigurationError, InputError, PromptError
from medsam2.frames import choose_window
from medsam2.prompts import BoxPrompt, MaskPrompt, ObjectPrompts, PointPrompt, PromptSet
from medsam2.spatial import Geometry, Plane, PlaneView, Volume
from medsam2.spatial.volume import SourceFile
from reference.intensity_network import IOU, LEVELS, SIDE, IntensityNetwork
from reference.orientations import ORIENTATIONS, Stored, name_of

DARK, BRIGHT = LEVELS[1:]
WINDOW = (0.0, 255.0)
EVERY_SLICE = SegmentSettings(patience=0, window=WINDOW)


def cube(**blocks):
    """16 x 16 x 16 voxels with blocks `dark=` and `bright=` of (slices, rows, columns)."""
    array = np.zeros((SIDE, SIDE, SIDE), np.uint8)
    for name, block in blocks.items():
        array[block] = DARK if name == "dark" else BRIGHT
    return Volume(array, Geometry(array.shape, np.diag([0.5, 0.5, 2.0, 1.0])))


TWO = {"dark": np.s_[2:9, 3:8, 2:7], "bright": np.s_[5:13, 9:14, 8:15]}


def click(name, label, *places):
    return ObjectPrompts(name, label, points=tuple(PointPrompt(*place) for place in places))


DARK_CLICK, BRIGHT_CLICK = click("dark", 1, (4, 5, 6)), click("bright", 2, (10, 11, 8))


def run(volume, *objects, settings=EVERY_SLICE, network=None):
    one = VolumeRun.of_prompts(network or IntensityNetwork(), volume, PromptSet(objects), settings)
    masks = list(one.stream())
    return one.result(), masks


def test_objects_are_found_to_the_voxel():
    volume = cube(**TWO)
    result, _ = run(volume, DARK_CLICK, BRIGHT_CLICK)
    expected = np.select([volume.array == DARK, volume.array == BRIGHT], [1, 2])
    assert np.array_equal(result.segmentation.labels, expected)
    assert result.segmentation.labels.dtype == np.uint8
    assert result.segmentation.names == {1: "dark", 2: "bright"}
    assert result.warnings == ()
    assert result.window == choose_window(volume, WINDOW)
    assert result.settings == EVERY_SLICE


def test_the_result_has_the_volume_s_own_geometry_and_source(tmp_path):
    geometry, source = cube().geometry, SourceFile(tmp_path / "scan.nii", "nifti", header=object())
    result, _ = run(Volume(cube(**TWO).array, geometry, source), DARK_CLICK)
    assert result.segmentation.geometry is geometry
    assert result.segmentation.source is source


def test_objects_are_described():
    result, _ = run(cube(**TWO), BRIGHT_CLICK, DARK_CLICK)
    assert [one.name for one in result.objects] == ["bright", "dark"]  # in the order of the prompts
    dark = result.objects[1]
    assert (dark.label, dark.plane, dark.voxels) == (1, Plane.AXIAL, 7 * 5 * 5)
    assert dark.volume_ml == pytest.approx(7 * 5 * 5 * 0.5 * 0.5 * 2 / 1000)
    assert [one.slice_index for one in dark.slices] == list(range(SIDE))
    assert [one.confidence for one in dark.slices] == pytest.approx([IOU if 2 <= k < 9 else 0 for k in range(SIDE)])
    assert [one.object_score > 0 for one in dark.slices] == [2 <= k < 9 for k in range(SIDE)]
    assert dark.prompted_slices == (6,)
    assert 0 < sum(one.seconds for one in result.objects) == pytest.approx(result.seconds)


def test_masks_are_streamed_prompted_ones_first():
    volume = cube(**TWO)
    _, masks = run(volume, click("dark", 1, (4, 5, 6), (4, 5, 3)))
    assert [one.slice_index for one in masks] == [3, 6, 4, 5, *range(7, SIDE), 2, 1, 0]
    assert [one.prompted for one in masks] == [True, True] + [False] * (SIDE - 2)
    for one in masks:
        assert np.array_equal(one.mask, volume.array[one.slice_index] == DARK)
        assert (one.name, one.label, one.plane) == ("dark", 1, Plane.AXIAL)


def test_objects_in_three_planes_at_once():
    volume = cube(dark=TWO["dark"], bright=TWO["bright"])
    boxes = [
        ObjectPrompts("axial", 3, boxes=(BoxPrompt(8, 9, 7, 14, 13, 7),)),
        ObjectPrompts("sagittal", 1, boxes=(BoxPrompt(4, 3, 2, 4, 7, 8),)),
        ObjectPrompts("coronal", 2, boxes=(BoxPrompt(2, 5, 2, 6, 5, 8),)),
    ]
    result, masks = run(volume, *boxes)
    assert [one.plane for one in result.objects] == [Plane.AXIAL, Plane.SAGITTAL, Plane.CORONAL]
    assert np.array_equal(result.segmentation.labels == 3, volume.array == BRIGHT)
    # Two objects claim the same voxels with the same logits. Each keeps the slice that it was prompted on; where these
    # two cross, and elsewhere, coronal slices are written first.
    sagittal = volume.array == DARK
    sagittal[:, :, :4] = sagittal[:, :, 5:] = sagittal[:, 5] = False
    assert np.array_equal(result.segmentation.labels == 1, sagittal)
    assert np.array_equal(result.segmentation.labels == 2, (volume.array == DARK) & ~sagittal)
    assert result.warnings == ()
    for one in masks:
        shown = PlaneView.of(volume.geometry, one.plane).to_frames(volume.array)
        along = {Plane.AXIAL: 0, Plane.CORONAL: 1, Plane.SAGITTAL: 2}[one.plane]
        level = BRIGHT if one.label == 3 else DARK
        assert one.mask.shape == shown.shape[1:]
        assert one.mask.sum() == (np.take(volume.array, one.slice_index, along) == level).sum()


def test_of_objects_with_equal_claims_the_first_keeps_the_voxels():
    result, _ = run(cube(**TWO), click("first", 7, (4, 5, 6)), click("second", 3, (3, 4, 6)))
    assert [one.voxels for one in result.objects] == [7 * 5 * 5, 0]
    assert result.warnings == ("second (label 3): all its voxels went to other objects that overlap it",)


class Blind(IntensityNetwork):
    """Finds nothing at all."""

    def _brightness(self, *_):
        return torch.tensor(torch.nan)


def test_an_object_of_which_nothing_is_found_is_reported():
    result, masks = run(cube(**TWO), DARK_CLICK, network=Blind())
    (warning,) = result.warnings
    assert warning.startswith("dark (label 1): nothing was found, not even on the prompted slice")
    assert not result.segmentation.labels.any()
    assert all(one.confidence == 0 and not one.mask.any() for one in masks)
    assert result.objects[0].voxels == 0


def test_the_user_is_believed_about_the_prompted_slice():
    result, _ = run(cube(**TWO), DARK_CLICK, network=IntensityNetwork(score=-4))
    assert np.argwhere(result.segmentation.labels.any((1, 2))).tolist() == [[6]]


@pytest.mark.parametrize("patience", [1, 3])
def test_patience_ends_a_direction(patience):
    network = IntensityNetwork()
    result, _ = run(
        cube(**TWO), DARK_CLICK, settings=SegmentSettings(patience=patience, window=WINDOW), network=network
    )
    looked_at = [one.slice_index for one in result.objects[0].slices]
    assert looked_at == list(range(max(2 - patience, 0), 9 + patience))
    assert network.encoded == len(looked_at)
    assert result.objects[0].voxels == 7 * 5 * 5


def test_drawn_masks_come_back_to_the_pixel(tiny_network):
    generator = np.random.default_rng(3)
    volume = Volume(generator.random((5, 50, 37)), Geometry((5, 50, 37), np.diag([1, 1, 4.0, 1])))
    masks = np.zeros((2, 5, 50, 37), bool)
    masks[0, 1] = generator.random((50, 37)) < 0.3
    masks[0, 3] = generator.random((50, 37)) < 0.3
    masks[1, 3, 20, 20] = True
    masks[1] &= ~masks[0]
    prompts = [ObjectPrompts(f"{n}", n + 1, masks=(MaskPrompt(masks[n]),)) for n in range(2) if masks[n].any()]
    result, streamed = run(volume, *prompts, network=tiny_network)
    for n, one in enumerate(prompts):
        for k in np.flatnonzero(masks[n].any((1, 2))):
            assert np.array_equal(result.segmentation.labels[k] == one.label, masks[n, k])
        drawn = [one for one in streamed if one.prompted and one.label == n + 1]
        assert all(np.array_equal(one.mask, masks[n, one.slice_index]) for one in drawn)
        assert all(one.confidence == 1 for one in drawn)


def test_cleaning_is_a_matter_of_settings():
    volume = cube(dark=np.s_[2:9, 3:8, 2:7])
    volume.array[4:6, 5, 4] = 0  # a hole
    volume.array[12, 12, 12] = DARK  # a stray voxel
    plain, _ = run(volume, DARK_CLICK)
    assert plain.objects[0].voxels == 7 * 5 * 5 - 2 + 1
    largest, _ = run(volume, DARK_CLICK, settings=SegmentSettings(patience=0, window=WINDOW, largest_component=True))
    assert largest.objects[0].voxels == 7 * 5 * 5 - 2
    filled, _ = run(volume, DARK_CLICK, settings=SegmentSettings(patience=0, window=WINDOW, fill_holes=True))
    assert filled.objects[0].voxels == 7 * 5 * 5 + 1


def test_holes_that_another_object_s_stray_parts_leave_are_filled():
    volume = cube(**TWO)
    volume.array[4, 5, 4] = BRIGHT
    cleaned = SegmentSettings(patience=0, window=WINDOW, largest_component=True, fill_holes=True)
    for order in ((DARK_CLICK, BRIGHT_CLICK), (BRIGHT_CLICK, DARK_CLICK)):
        result, _ = run(volume, *order, settings=cleaned)
        assert result.segmentation.labels[4, 5, 4] == 1


def test_progress_rises_over_all_planes_and_ends_at_the_end():
    told = []
    prompts = PromptSet((DARK_CLICK, ObjectPrompts("side", 2, boxes=(BoxPrompt(10, 9, 5, 10, 13, 12),))))
    for patience in (0, 1):
        told.clear()
        settings = SegmentSettings(patience=patience, window=WINDOW)
        one = VolumeRun.of_prompts(IntensityNetwork(), cube(**TWO), prompts, settings)
        for _ in one.stream(lambda *now: told.append(now)):
            pass
        (total,) = {slices for _, slices in told}
        assert total == 2 * SIDE
        assert [done for done, _ in told] == [*range(1, len(told)), total]


def test_an_exception_in_progress_ends_the_run():
    network = IntensityNetwork()

    def stop(done, _):
        if done == 3:
            raise KeyboardInterrupt

    stream = VolumeRun.of_prompts(network, cube(**TWO), PromptSet((DARK_CLICK,)), EVERY_SLICE).stream(stop)
    with pytest.raises(KeyboardInterrupt):
        list(stream)
    assert network.encoded == 3
    assert list(stream) == []


def test_a_closed_run_keeps_what_was_found():
    side = ObjectPrompts("side", 2, boxes=(BoxPrompt(10, 9, 5, 10, 13, 12),))
    one = VolumeRun.of_prompts(IntensityNetwork(), cube(**TWO), PromptSet((DARK_CLICK, side)), EVERY_SLICE)
    stream = one.stream()
    for _ in range(3):
        next(stream)
    stream.close()
    result = one.result()
    assert [part.slice_index for part in result.objects[0].slices] == [6, 7, 8]
    assert result.objects[0].voxels == 3 * 5 * 5
    assert result.warnings == ("side (label 2): not looked at, as the run was ended before",)


def test_what_does_not_fit_the_volume_is_refused_before_the_run():
    with pytest.raises(PromptError, match="outside the volume"):
        VolumeRun.of_prompts(IntensityNetwork(), cube(), PromptSet((click("far", 1, (4, 5, 99)),)), EVERY_SLICE)
    with pytest.raises(ConfigurationError, match="window"):
        VolumeRun.of_prompts(IntensityNetwork(), cube(), PromptSet((DARK_CLICK,)), SegmentSettings(window="abdomin"))
    box = ObjectPrompts("box", 1, boxes=(BoxPrompt(2, 3, 6, 6, 7, 6),))
    with pytest.raises(PromptError, match="lies across"):
        VolumeRun.of_prompts(IntensityNetwork(), cube(), PromptSet((box,)), SegmentSettings(plane=Plane.CORONAL))


def test_the_plane_is_a_setting():
    result, _ = run(cube(**TWO), DARK_CLICK, settings=SegmentSettings(plane=Plane.SAGITTAL, patience=0, window=WINDOW))
    assert result.objects[0].plane is Plane.SAGITTAL
    assert result.objects[0].prompted_slices == (4,)
    assert np.array_equal(result.segmentation.labels == 1, cube(**TWO).array == DARK)


@pytest.mark.parametrize("label", [255, 256, 65535])
def test_high_labels(label):
    result, _ = run(cube(**TWO), click("high", label, (4, 5, 6)))
    assert result.segmentation.labels.dtype == (np.uint8 if label < 256 else np.uint16)
    assert result.objects[0].voxels == (result.segmentation.labels == label).sum() == 7 * 5 * 5


def test_a_single_slice():
    volume = Volume(cube(**TWO).array[6:7].copy(), Geometry((1, SIDE, SIDE), np.eye(4)))
    result, masks = run(volume, click("dark", 1, (4, 5, 0)), settings=SegmentSettings(fill_holes=True, window=WINDOW))
    assert len(masks) == 1
    assert np.array_equal(result.segmentation.labels == 1, volume.array == DARK)


def test_colour_images():
    grey = cube(**TWO)
    volume = Volume(np.repeat(grey.array[..., None], 3, axis=3), grey.geometry)
    result, _ = run(volume, DARK_CLICK)
    assert np.array_equal(result.segmentation.labels == 1, grey.array == DARK)


def test_voxels_that_are_no_numbers_are_black():
    grey = cube(**TWO)
    array = np.where(grey.array == 0, np.nan, grey.array).astype(np.float32)
    array[0, 0, 0] = np.inf
    result, _ = run(Volume(array, grey.geometry), DARK_CLICK, settings=SegmentSettings(patience=0, window=WINDOW))
    assert np.array_equal(result.segmentation.labels == 1, grey.array == DARK)


def test_a_volume_without_numbers_is_refused():
    volume = Volume(np.full((4, 16, 16), np.nan), Geometry((4, 16, 16), np.eye(4)))
    with pytest.raises(InputError, match="finite"):
        VolumeRun.of_prompts(IntensityNetwork(), volume, PromptSet((click("x", 1, (1, 1, 1)),)), SegmentSettings())


# The same patient in files of all orientations: 16 voxels along L and P, 9 along S.
PATIENT = (SIDE, SIDE, 9)
SPACING = (0.7, 0.9, 2.5)


def anatomy():
    array = np.zeros(PATIENT[::-1], np.uint8)
    array[2:7, 3:8, 2:7] = DARK
    array[1:5, 9:14, 8:15] = BRIGHT
    array[5, 10, 10] = BRIGHT
    return array


@pytest.mark.parametrize("orientation", ORIENTATIONS, ids=name_of)
def test_each_orientation_gives_the_same_objects(orientation):
    stored = Stored(PATIENT, SPACING, orientation)
    truth = stored.array(anatomy())
    objects = click("dark", 1, stored.index((4, 5, 4))), click("bright", 2, stored.index((11, 11, 3)))
    result, masks = run(Volume(truth, stored.geometry), *objects)
    assert np.array_equal(result.segmentation.labels, np.select([truth == DARK, truth == BRIGHT], [1, 2]))
    # Slices are the file's, whichever way its axis runs.
    along = stored.order.index(2)
    expected = [stored.index((0, 0, s))[along] for s in (3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 3, 2, 2, 1, 1, 0, 0)]
    assert [one.slice_index for one in masks] == expected
    assert result.objects[0].prompted_slices == (stored.index((4, 5, 4))[along],)
    for one in result.objects:
        indices = [part.slice_index for part in one.slices]
        assert indices == sorted(indices)


@settings(max_examples=30, deadline=None)
@given(st.sampled_from(ORIENTATIONS), st.sampled_from(Plane), st.integers(0, 100))
def test_slice_indices_are_those_of_the_file(orientation, plane, seed):
    stored = Stored((5, 4, 3), SPACING, orientation)
    view = PlaneView.of(stored.geometry, plane)
    frame = seed % view.frame_count
    marked = np.zeros(stored.geometry.shape, bool)
    view.to_frames(marked)[frame] = True
    assert np.flatnonzero(marked.any(tuple({0, 1, 2} - {2 - view.voxel_axis}))).tolist() == [view.slice_index(frame)]


def orientation_named(name):
    return next(one for one in ORIENTATIONS if name_of(one) == name)


SEEN_BY_THE_NETWORK = (18, 22, 7)


def segment_as(name, network, memory):
    """The label map, along the patient's axes, of a volume of noise stored in some orientation."""
    stored = Stored(SEEN_BY_THE_NETWORK, SPACING, orientation_named(name))
    generator = np.random.default_rng(5)
    volume = Volume(stored.array(generator.normal(40, 300, SEEN_BY_THE_NETWORK[::-1])), stored.geometry)
    drawn = np.zeros(SEEN_BY_THE_NETWORK[::-1], bool)
    drawn[2, 4:12, 5:9] = True
    box = *stored.index((3, 4, 3)), *stored.index((14, 17, 3))
    side = *stored.index((9, 2, 1)), *stored.index((9, 15, 5))
    objects = (
        ObjectPrompts("box", 1, boxes=(BoxPrompt(*box),), points=(PointPrompt(*stored.index((5, 6, 3))),)),
        click("clicks", 2, stored.index((12, 8, 1)), stored.index((12, 8, 5))),
        ObjectPrompts("drawn", 3, masks=(MaskPrompt(stored.array(drawn)),)),
        ObjectPrompts("side", 4, boxes=(BoxPrompt(*side),)),
    )
    how = SegmentSettings(memory=memory, patience=0, largest_component=True, fill_holes=True)
    result, _ = run(volume, *objects, settings=how, network=network)
    assert [one.plane for one in result.objects] == [Plane.AXIAL, Plane.AXIAL, Plane.AXIAL, Plane.SAGITTAL]
    confidence = [sorted(part.confidence for part in one.slices) for one in result.objects]
    return stored.patient(result.segmentation.labels), confidence, result.window


@pytest.mark.parametrize("memory", ["fifo", "self-sorting"])
def test_orientation_changes_not_a_bit(tiny_network, memory):
    labels, confidence, window = segment_as("LPS", tiny_network, memory)
    assert set(np.unique(labels)) == {0, 1, 2, 3, 4}
    for name in ("LAS", "RAS", "LIA", "RSP", "PIR", "SAL", "ILA"):
        again = segment_as(name, tiny_network, memory)
        assert np.array_equal(again[0], labels), name
        assert again[1] == confidence, name
        assert again[2] == window, name
