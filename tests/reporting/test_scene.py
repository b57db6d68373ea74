from pathlib import Path

import numpy as np
import pytest

from medsam2.errors import GeometryError
from medsam2.prompts import FrameBox, FramePoint, ResolvedObject, SlicePrompt
from medsam2.reporting.scene import Scene
from medsam2.reporting.viewport import Region
from medsam2.spatial import Geometry, Plane, PlaneView, Segmentation, SourceFile, Volume

NAMES = {1: "liver", 4: "spleen", 2: "nothing"}


@pytest.fixture
def scene(geometry, volume, labels, make_result):
    return Scene(volume, make_result(labels, geometry, NAMES), {})


@pytest.fixture
def axial(geometry):
    return PlaneView.of(geometry, Plane.AXIAL)


def planes(volume, make_result):
    labels = np.zeros(volume.geometry.shape, np.uint8)
    return [view.plane for view in Scene(volume, make_result(labels, volume.geometry, {1: "one"}), {}).views()]


def test_three_planes_or_the_one_that_is_worth_a_look(volume, make_result):
    assert planes(volume, make_result) == [Plane.AXIAL, Plane.CORONAL, Plane.SAGITTAL]
    single = Geometry((1, 40, 30), np.eye(4))
    assert planes(Volume(np.zeros(single.shape), single), make_result) == [Plane.AXIAL]
    thin = Geometry((60, 40, 2), np.eye(4))
    assert planes(Volume(np.zeros(thin.shape), thin), make_result) == [Plane.SAGITTAL]
    strip = Geometry((1, 3, 200), np.eye(4))
    assert planes(Volume(np.zeros(strip.shape), strip), make_result) == [Plane.AXIAL]


def test_photographs_are_known_by_colour_or_file(geometry, volume, labels, make_result):
    result = make_result(labels, geometry, NAMES)
    colours = Volume(np.zeros((*geometry.shape, 3), np.uint8), geometry)
    png = Volume(volume.array, geometry, SourceFile(Path("cells.png"), "image"))
    nifti = Volume(volume.array, geometry, SourceFile(Path("scan.nii"), "nifti"))
    assert [Scene(one, result, {}).is_picture for one in (colours, png, nifti, volume)] == [True, True, False, False]


def test_frames_are_windowed(scene, axial):
    assert np.unique(scene.frame(axial, 3)).tolist() == [np.float32(0.4)]


@pytest.mark.parametrize("plane", Plane)
@pytest.mark.parametrize("signs", [(1, 1, 1), (-1, -1, 1), (1, 1, -1)])
def test_frames_and_slices_of_the_file_are_inverse(plane, signs):
    view = PlaneView.of(Geometry((5, 6, 7), np.diag([*signs, 1.0])), plane)
    assert [view.frame_number(view.slice_index(t)) for t in range(view.frame_count)] == list(range(view.frame_count))


def test_the_best_frame_shows_most_objects(scene, geometry):
    best = [scene.best_frame(PlaneView.of(geometry, plane)) for plane in Plane]
    # Both objects share k 8..9; j 10..19 and i 5..14 belong to the first one alone, and come first.
    assert best == [8, 10, 5]


def test_the_best_frame_is_found_in_a_flipped_file(geometry, volume, labels, make_result):
    flipped = Geometry(geometry.shape, np.diag([1.0, 1.0, -2.5, 1.0]))
    scene = Scene(Volume(volume.array, flipped), make_result(labels, flipped, NAMES), {})
    view = PlaneView.of(flipped, Plane.AXIAL)
    assert scene.best_frame(view) == 19 - 8
    assert scene.mask(4, view, scene.best_frame(view)).sum() == 80


def test_without_anything_found_the_prompted_or_the_middle_frame_is_best(geometry, volume, labels, make_result):
    result = make_result(np.zeros_like(labels), geometry, {1: "liver"}, Plane.CORONAL)
    scene = Scene(volume, result, {})
    assert scene.best_frame(PlaneView.of(geometry, Plane.CORONAL)) == 20
    assert scene.best_frame(PlaneView.of(geometry, Plane.AXIAL)) == 10


def test_the_main_frame_is_prompted(scene, axial):
    assert [scene.main_frame(one, axial) for one in scene.result.objects] == [9, 9, 10]


def test_without_a_prompted_slice_the_largest_cut_is_the_main_frame(geometry, volume, labels, make_result, axial):
    labels[7, 0:9, 0:3] = 1
    result = make_result(labels, geometry, NAMES)
    scene = Scene(volume, result, {})
    for one in result.objects:
        object.__setattr__(one, "slices", ())
    assert [scene.main_frame(one, axial) for one in result.objects] == [7, 8, 10]


def test_frames_through_an_object_start_with_the_main_one(scene, axial):
    one, four, nothing = scene.result.objects
    assert scene.frames_through(one, axial, 5) == [9, 5, 7, 10, 12]
    assert scene.frames_through(one, axial, 3) == [9, 6, 11]
    assert scene.frames_through(four, axial, 5) == [9, 8]
    assert scene.frames_through(one, axial, 1) == [9]
    assert scene.frames_through(nothing, axial, 5) == [10]


def test_the_region_holds_result_prompts_and_reference(geometry, volume, labels, make_result, axial):
    reference = np.zeros_like(labels)
    reference[9, 30, 29] = 4
    prompts = {4: ResolvedObject("spleen", 4, Plane.AXIAL, {9: SlicePrompt(points=(FramePoint(3, 28),))})}
    result = make_result(labels, geometry, NAMES)
    scene = Scene(volume, result, prompts, Segmentation(reference, geometry))
    spleen, nothing = result.objects[1], result.objects[2]
    assert scene.region(spleen, axial, [8]) == Region(18, 25, 26, 35)
    assert scene.region(spleen, axial, [8, 9]) == Region(3, 25, 30, 35)
    assert scene.region(nothing, axial, [8, 9]) is None


def test_boxes_belong_to_the_region_and_prompts_to_their_plane(geometry, volume, labels, make_result, axial):
    prompt = SlicePrompt(box=FrameBox(2, 3, 4, 5))
    prompts = {2: ResolvedObject("nothing", 2, Plane.AXIAL, {9: prompt})}
    scene = Scene(volume, make_result(labels, geometry, NAMES), prompts)
    assert scene.region(scene.result.objects[2], axial, [9]) == Region(2, 3, 5, 6)
    assert scene.prompt(2, axial, 9) is prompt
    assert scene.prompt(2, axial, 8) is None
    assert scene.prompt(2, PlaneView.of(geometry, Plane.CORONAL), 9) is None
    assert scene.prompt(1, axial, 9) is None


def test_scores(geometry, volume, labels, make_result):
    reference = np.zeros_like(labels)
    reference[5:13, 10:20, 5:10] = 1
    reference[0, 0, 0] = 2
    scene = Scene(volume, make_result(labels, geometry, {**NAMES, 3: "neither"}), {}, Segmentation(reference, geometry))
    assert scene.scores == {1: pytest.approx(2 / 3), 4: 0.0, 2: 0.0}
    assert scene.reference_mask(1, PlaneView.of(geometry, Plane.AXIAL), 5).sum() == 50


def test_without_a_reference_there_are_no_scores(scene, axial):
    assert scene.scores == {}
    assert scene.reference_mask(1, axial, 5) is None


def test_other_grids_are_refused(geometry, volume, labels, make_result):
    moved = Geometry(geometry.shape, geometry.affine + np.eye(4, k=3) * 5)
    with pytest.raises(GeometryError, match="the segmentation has"):
        Scene(volume, make_result(labels, moved, NAMES), {})
    with pytest.raises(GeometryError, match="the reference has"):
        Scene(volume, make_result(labels, geometry, NAMES), {}, Segmentation(labels, moved))
