from pathlib import Path

import numpy as np
import pytest

from medsam2.prompts import FrameBox, ResolvedObject, SlicePrompt
from medsam2.reporting.object_pictures import CUT_SIZE, PLANE_HEIGHT, PLANE_WIDTH, object_pictures
from medsam2.reporting.palette import PALETTE, WHITE
from medsam2.reporting.scene import Scene
from medsam2.spatial import Geometry, Plane, SourceFile, Volume


def shows(picture, colour, tolerance=12):
    return (np.abs(np.asarray(picture.image).astype(int) - colour) <= tolerance).all(axis=2).sum()


def test_the_prompted_slice_and_three_planes_through_the_object(geometry, volume, labels, make_result):
    result = make_result(labels, geometry, {1: "liver", 4: "spleen"})
    prompt = ResolvedObject("spleen", 4, Plane.AXIAL, {9: SlicePrompt(box=FrameBox(18, 25, 25, 34))})
    cut, *planes = object_pictures(Scene(volume, result, {4: prompt}), 1, result.objects[1])

    assert cut.caption == "prompted slice, axial k = 9"
    assert [one.caption for one in planes] == ["axial, k = 8", "coronal, j = 25", "sagittal, i = 18"]
    assert cut.image.size == (CUT_SIZE, CUT_SIZE)
    assert shows(cut, WHITE) > 100
    for picture in planes:
        assert shows(picture, PALETTE[1]) > 30
    for picture in (cut, *planes):
        assert picture.image.width <= PLANE_WIDTH
        assert picture.image.height <= PLANE_HEIGHT


def test_an_object_that_was_not_found_has_the_prompted_slice_alone(geometry, volume, labels, make_result):
    result = make_result(labels, geometry, {2: "nothing"})
    (cut,) = object_pictures(Scene(volume, result, {}), 0, result.objects[0])
    assert cut.caption == "prompted slice, axial k = 10"


@pytest.mark.parametrize("plane", Plane)
def test_every_plane_can_be_the_prompted_one(plane, geometry, volume, labels, make_result):
    result = make_result(labels, geometry, {1: "liver"}, plane)
    cut, *planes = object_pictures(Scene(volume, result, {}), 0, result.objects[0])
    assert plane.value in cut.caption
    assert len(planes) == 3


def test_a_photograph_has_one_picture(make_result):
    geometry = Geometry((1, 40, 50), np.eye(4))
    labels = np.zeros(geometry.shape, np.uint8)
    labels[0, 10:20, 10:30] = 1
    volume = Volume(np.full((1, 40, 50, 3), 128, np.uint8), geometry, SourceFile(Path("skin.png"), "image"))
    result = make_result(labels, geometry, {1: "mole"})
    (cut,) = object_pictures(Scene(volume, result, {}), 0, result.objects[0])
    assert cut.caption == "prompted slice"
