"""COCO, decoded by the format's own definition, and read with pycocotools."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from PIL import Image
from pycocotools.coco import COCO

from medsam2.errors import FormatError
from medsam2.io import Algorithm, CocoImage, LabelFormat, check_output, read_volume, write_coco, write_segmentation
from medsam2.io.coco import run_lengths
from medsam2.spatial import Geometry, Segmentation, Volume


def segmentation(labels, names=None):
    array = np.asarray(labels, np.uint8)[None]
    return Segmentation(array, Geometry(array.shape, np.eye(4)), names or {})


def decoded(mask):
    """Write run after run into the columns of a picture."""
    height, width = mask["size"]
    pixels = []
    for number, length in enumerate(mask["counts"]):
        pixels += [number % 2 == 1] * length
    return np.array(pixels, bool).reshape(width, height).T


@settings(max_examples=100, deadline=None)
@given(arrays(np.bool_, array_shapes(min_dims=2, max_dims=2, max_side=9), elements=st.booleans()))
def test_run_lengths_hold_the_mask(mask):
    counts = run_lengths(mask)

    assert np.array_equal(decoded({"size": mask.shape, "counts": counts}), mask)
    assert all(counts[1:])


def two_pictures():
    first = np.zeros((6, 8), int)
    first[1:4, 2:7], first[5, 0] = 1, 4
    second = np.zeros((5, 3), int)
    second[2:, 1] = 2
    return [
        CocoImage("a.png", segmentation(first, {1: "nucleus", 4: "cell"})),
        CocoImage("b/ä.png", segmentation(second, {2: "nucleus", 3: "absent"})),
    ]


def test_pictures_objects_and_categories_are_numbered(tmp_path):
    write_coco(two_pictures(), tmp_path / "set.json", Algorithm("starter"))
    content = json.loads((tmp_path / "set.json").read_text(encoding="utf-8"))

    assert content["images"] == [
        {"id": 1, "file_name": "a.png", "width": 8, "height": 6},
        {"id": 2, "file_name": "b/ä.png", "width": 3, "height": 5},
    ]
    assert [(one["id"], one["name"]) for one in content["categories"]] == [(1, "nucleus"), (2, "cell"), (3, "absent")]
    told = [
        (one["id"], one["image_id"], one["category_id"], one["area"], one["bbox"]) for one in content["annotations"]
    ]
    assert told == [(1, 1, 1, 15, [2, 1, 5, 3]), (2, 1, 2, 1, [0, 5, 1, 1]), (3, 2, 1, 3, [1, 2, 1, 3])]
    assert {one["iscrowd"] for one in content["annotations"]} == {0}
    assert content["info"]["description"] == f"medsam2 {Algorithm().version} starter"


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # within pycocotools
def test_pycocotools_gives_the_masks_back(tmp_path, capsys):
    pictures = two_pictures()
    write_coco(pictures, tmp_path / "set.json")
    read = COCO(tmp_path / "set.json")
    capsys.readouterr()
    masks = [read.annToMask(one) for one in read.loadAnns(read.getAnnIds())]
    first, second = (picture.segmentation for picture in pictures)

    for mask, (of, label) in zip(masks, [(first, 1), (first, 4), (second, 2)], strict=True):
        assert np.array_equal(mask == 1, of.mask(label)[0])
    assert [one["name"] for one in read.loadCats(read.getCatIds(catNms=["nucleus"]))] == ["nucleus"]


@pytest.mark.parametrize(("name", "chosen"), [("mask.coco.json", None), ("mask.json", LabelFormat.COCO)])
def test_a_picture_is_named_by_its_file(tmp_path, name, chosen):
    Image.fromarray(np.zeros((4, 5), np.uint8)).save(tmp_path / "scan.png")
    volume = read_volume(tmp_path / "scan.png")
    check_output(volume, tmp_path / name, chosen)
    result = Segmentation(np.ones((1, 4, 5), np.uint8), volume.geometry, source=volume.source)

    assert write_segmentation(result, tmp_path / name, chosen) == ()
    content = json.loads((tmp_path / name).read_text())
    assert content["images"][0]["file_name"] == "scan.png"
    assert content["annotations"][0]["area"] == 20


def test_no_pictures_make_an_empty_set(tmp_path):
    write_coco([], tmp_path / "set.json")

    assert json.loads((tmp_path / "set.json").read_text())["annotations"] == []


def test_a_volume_is_refused_before_the_work(tmp_path):
    volume = Volume(np.zeros((3, 4, 5), np.int16), Geometry((3, 4, 5), np.eye(4)))
    with pytest.raises(FormatError, match=r"mask\.coco\.json is to be COCO, which holds pictures, but .* has 3 slices"):
        check_output(volume, tmp_path / "mask.coco.json")
    assert list(tmp_path.iterdir()) == []
