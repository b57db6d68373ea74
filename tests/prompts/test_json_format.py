import json
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medsam2.errors import PromptError
from medsam2.prompts import (
    BoxPrompt,
    MaskPrompt,
    ObjectPrompts,
    PointPrompt,
    PromptSet,
    prompts_from_json,
    prompts_to_json,
)
from medsam2.spatial import Geometry

VOLUME = Geometry((9, 20, 30), np.eye(4))
IMAGE = Geometry((1, 20, 30), np.eye(4))
LABELS = np.zeros(VOLUME.shape, np.uint8)
LABELS[3, 4:8, 5:9] = 2


def read(content, geometry=VOLUME):
    return prompts_from_json(content, geometry, {"mask.nii.gz": LABELS}.__getitem__)


def test_every_kind_of_prompt():
    (liver,) = read(
        {
            "space": "voxel",
            "objects": [
                {
                    "name": "liver",
                    "label": 4,
                    "points": [[1, 2, 3, 1], [5, 6, 3, 0], [7, 8, 3]],
                    "boxes": [[1, 2, 5, 9, 8, 5]],
                    "masks": ["mask.nii.gz"],
                }
            ],
        }
    ).objects
    assert (liver.name, liver.label) == ("liver", 4)
    assert liver.points == (PointPrompt(1, 2, 3), PointPrompt(5, 6, 3, positive=False), PointPrompt(7, 8, 3))
    assert liver.boxes == (BoxPrompt(1, 2, 5, 9, 8, 5),)
    np.testing.assert_array_equal(liver.masks[0].voxels, LABELS == 2)


def test_labels_and_names_left_out():
    point = {"points": [[1, 2, 3]]}
    content = {"objects": [point, {"label": 1, **point}, {"name": "spleen", **point}, {"label": 3, **point}]}
    assert read(content).names == {2: "object 2", 1: "object 1", 4: "spleen", 3: "object 3"}


def test_world_space():
    content = {"space": "ras", "objects": [{"points": [[-4, -5, 3]], "boxes": [[-1, -2, 3.2, -9, -8, 3]]}]}
    (prompts,) = read(content).objects
    assert prompts.points == (PointPrompt(4, 5, 3),)
    assert prompts.boxes == (BoxPrompt(1, 2, 3, 9, 8, 3),)


def test_two_dimensional_forms():
    (prompts,) = read({"objects": [{"points": [[4, 5], [6, 7, 0]], "boxes": [[1, 2, 9, 8]]}]}, IMAGE).objects
    assert prompts.points == (PointPrompt(4, 5, 0), PointPrompt(6, 7, 0, positive=False))
    assert prompts.boxes == (BoxPrompt(1, 2, 0, 9, 8, 0),)


coordinates = st.tuples(st.integers(0, 29), st.floats(0, 19), st.integers(0, 8))
points = st.builds(lambda index, positive: PointPrompt(*index, positive=positive), coordinates, st.booleans())
boxes = st.builds(lambda first, second: BoxPrompt(*first, *second), coordinates, coordinates)


@given(st.lists(points, max_size=3, unique_by=lambda point: point.voxel), st.lists(boxes, min_size=1, max_size=3))
@settings(deadline=None)
def test_round_trip(some_points, some_boxes):
    prompts = PromptSet((ObjectPrompts("liver", 4, some_points, some_boxes), ObjectPrompts("x", 1, boxes=some_boxes)))
    assert read(json.loads(json.dumps(prompts_to_json(prompts)))) == prompts


@pytest.mark.parametrize("geometry", [VOLUME, IMAGE])
def test_written_points_are_not_ambiguous(geometry):
    prompts = PromptSet((ObjectPrompts("a", 1, points=(PointPrompt(1, 2, 0),)),))
    assert prompts_to_json(prompts)["objects"][0]["points"] == [[1, 2, 0, 1]]
    assert read(prompts_to_json(prompts), geometry) == prompts


def test_masks_are_written_by_the_caller():
    liver = ObjectPrompts("liver", np.uint8(4), masks=(MaskPrompt(LABELS == 2),))
    written = prompts_to_json(PromptSet((liver,)), lambda prompts, number: f"{prompts.name}-{number}.nii.gz")
    assert json.loads(json.dumps(written)) == {
        "space": "voxel",
        "objects": [{"name": "liver", "label": 4, "masks": ["liver-0.nii.gz"]}],
    }
    with pytest.raises(PromptError, match=r"object 'liver' \(label 4\) has a mask, .* give `save_mask`"):
        prompts_to_json(PromptSet((liver,)))


def one(**entries):
    return {"objects": [{"points": [[1, 2, 3]]}, {"points": [[1, 2, 3]], **entries}]}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([1, 2], 'the prompts: [1, 2] (a list); expected a JSON object with "space", "objects".'),
        ("liver", "the prompts: 'liver' (a text); expected a JSON object"),
        (None, "the prompts: null; expected a JSON object"),
        ({}, 'the prompts have no "objects"; expected {"objects": [{"points": [[i, j, k, 1]]}]}.'),
        ({"object": []}, 'the prompts: unknown key "object"; did you mean "objects"?'),
        ({"qqq": []}, 'the prompts: unknown key "qqq"; known are "space", "objects".'),
        ({"objects": {}}, "objects: {} (an object); expected a list."),
        ({"objects": []}, "there is no object"),
        ({"objects": [3]}, 'objects[0]: 3 (a number); expected a JSON object with "name", "label",'),
        ({"objects": [], "space": "mm"}, 'space: \'mm\' (a text); expected one of "voxel", "ras", "lps".'),
        ({"objects": [], "space": ["ras"]}, "space: ['ras'] (a list); expected one of"),
        (one(lable=3), 'objects[1]: unknown key "lable"; did you mean "label"?'),
        (one(label="3"), "objects[1].label: '3' (a text); expected an integer."),
        (one(label=True), "objects[1].label: true (a boolean); expected an integer."),
        (one(label=2.0), "objects[1].label: 2.0 (a number); expected an integer."),
        (one(label=0), "object 'object 0' has the label 0; expected an integer 1..65535"),
        (one(name=4), "objects[1].name: 4 (a number); expected a text."),
        (one(name=None), "objects[1].name: null; expected a text."),
        (one(points=5), "objects[1].points: 5 (a number); expected a list."),
        (one(points=[1, 2, 3]), "objects[1].points[0]: 1 (a number); expected a list."),
        (one(points=[[1, 2, "3"]]), "objects[1].points[0][2]: '3' (a text); expected a number."),
        (one(points=[[1, 2, 3, True]]), "objects[1].points[0][3]: true (a boolean); expected a number."),
        (one(points=[[1, 2, float("nan")]]), "objects[1].points[0][2]: nan; expected a finite number."),
        (one(points=[[1, 2]], name="a"), "objects[1].points[0] of 'a' has 2 numbers; expected i,j,k or i,j,k,label"),
        (one(points=[[1, 2, 3], [1, 2, 3, 4]]), "objects[1].points[1] has the label 4; expected 1"),
        (one(boxes=[[1, 2, 3, 4]]), "objects[1].boxes[0] has 4 numbers; expected the six"),
        (one(boxes=["x" * 99]), f"objects[1].boxes[0]: '{'x' * 39}... (a text); expected a list."),
        (one(masks="mask.nii.gz"), "objects[1].masks: 'mask.nii.gz' (a text); expected a list."),
        (one(masks=[5]), "objects[1].masks[0]: 5 (a number); expected a text."),
        (one(points=[]), "object 'object 2' (label 2) has no prompt"),
        ({"space": "lps", **one(points=[[1, 2, 300]])}, "objects[1].points[0]: (1, 2, 300) mm (LPS) lies outside"),
    ],
)
def test_messages_name_the_place(content, message):
    with pytest.raises(PromptError, match=re.escape(message)):
        read(content)
