import re

import numpy as np
import pytest

from medsam2.errors import PromptError
from medsam2.prompts import BoxPrompt, MaskPrompt, ObjectPrompts, PointPrompt
from medsam2.prompts.plane_choice import choose_plane
from medsam2.spatial import Geometry, Plane

AXIAL, CORONAL, SAGITTAL = Plane

GEOMETRY = Geometry((30, 20, 10), np.eye(4))  # i sagittal, j coronal, k axial


def prompts(*given):
    return ObjectPrompts(
        "liver",
        7,
        points=[prompt for prompt in given if isinstance(prompt, PointPrompt)],
        boxes=[prompt for prompt in given if isinstance(prompt, BoxPrompt)],
        masks=[prompt for prompt in given if isinstance(prompt, MaskPrompt)],
    )


def mask(*where):
    """Mark boxes given as slices of (k, j, i)."""
    voxels = np.zeros(GEOMETRY.shape, bool)
    for place in where:
        voxels[place] = True
    return MaskPrompt(voxels)


POINT = PointPrompt(1, 2, 3)
AXIAL_BOX = BoxPrompt(1, 2, 3, 5, 6, 3)
CORONAL_BOX = BoxPrompt(1, 2, 3, 5, 2, 9)
SAGITTAL_BOX = BoxPrompt(1, 2, 3, 1, 6, 9)
LINE_ALONG_I = BoxPrompt(1, 2, 3, 5, 2, 3)
ONE_VOXEL = BoxPrompt(1, 2, 3, 1, 2, 3)

AXIAL_MASK = mask(np.s_[10, 2:8, 2:8], np.s_[20, 2:8, 2:8])
EVERY_OTHER_SLICE = mask(*(np.s_[k, 2:8, 4:7] for k in (8, 10, 12, 14)))  # four axial slices, three columns
SAGITTAL_MASK = mask(np.s_[2:8, 2:8, 4])
LINE_MASK = mask(np.s_[10, 5, 2:8])
SOLID_MASK = mask(np.s_[2:20, 2:10, 2:8])
CUBE_MASK = mask(np.s_[2:6, 2:6, 2:6])
TWO_ORGANS = mask(np.s_[2:20, 2:10, 1:4], np.s_[2:20, 2:10, 6:9])


@pytest.mark.parametrize(
    ("given", "named", "default", "expected"),
    [
        ((POINT,), None, AXIAL, AXIAL),
        ((POINT,), None, CORONAL, CORONAL),
        ((POINT,), SAGITTAL, AXIAL, SAGITTAL),
        ((AXIAL_BOX,), None, CORONAL, AXIAL),
        ((CORONAL_BOX,), None, AXIAL, CORONAL),
        ((SAGITTAL_BOX, POINT), None, AXIAL, SAGITTAL),
        ((AXIAL_BOX,), AXIAL, CORONAL, AXIAL),
        ((LINE_ALONG_I,), None, AXIAL, AXIAL),
        ((LINE_ALONG_I,), None, CORONAL, CORONAL),
        ((LINE_ALONG_I,), CORONAL, AXIAL, CORONAL),
        ((LINE_ALONG_I, CORONAL_BOX), None, AXIAL, CORONAL),
        ((ONE_VOXEL,), None, SAGITTAL, SAGITTAL),
        ((AXIAL_MASK,), None, SAGITTAL, AXIAL),
        ((AXIAL_MASK,), AXIAL, SAGITTAL, AXIAL),
        ((EVERY_OTHER_SLICE,), None, CORONAL, AXIAL),
        ((SAGITTAL_MASK,), None, AXIAL, SAGITTAL),
        ((LINE_MASK,), None, CORONAL, CORONAL),
        ((LINE_MASK,), AXIAL, CORONAL, AXIAL),
        ((LINE_MASK, CORONAL_BOX), None, AXIAL, CORONAL),
        ((SOLID_MASK,), None, AXIAL, SAGITTAL),
        ((SOLID_MASK,), CORONAL, AXIAL, CORONAL),
        ((SOLID_MASK, AXIAL_BOX), None, CORONAL, AXIAL),
        ((CUBE_MASK,), None, CORONAL, CORONAL),
        ((CUBE_MASK, SOLID_MASK), None, AXIAL, SAGITTAL),
        ((TWO_ORGANS,), AXIAL, AXIAL, AXIAL),
    ],
)
def test_plane(given, named, default, expected):
    assert choose_plane(prompts(*given), GEOMETRY, named, default) is expected


@pytest.mark.parametrize("default", list(Plane))
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_axis_with_one_voxel_comes_first(axis, default):
    size = [6, 6, 6]
    size[axis] = 1
    geometry = Geometry(tuple(size[::-1]), np.eye(4))
    corner = [3, 3, 3]
    corner[axis] = 0
    expected = (SAGITTAL, CORONAL, AXIAL)[axis]
    assert choose_plane(prompts(BoxPrompt(*corner, *corner)), geometry, None, default) is expected
    dot = np.zeros(geometry.shape, bool)
    dot[tuple(corner[::-1])] = True
    assert choose_plane(prompts(MaskPrompt(dot)), geometry, None, default) is expected


def test_axes_follow_the_orientation_of_the_file():
    affine = np.eye(4)[[2, 0, 1, 3]]  # i runs along P, j along S, k along L
    geometry = Geometry((30, 20, 10), affine)
    assert choose_plane(prompts(AXIAL_BOX), geometry, None, AXIAL) is SAGITTAL
    assert choose_plane(prompts(CORONAL_BOX), geometry, None, AXIAL) is AXIAL
    assert choose_plane(prompts(SAGITTAL_BOX), geometry, None, AXIAL) is CORONAL


@pytest.mark.parametrize(
    ("default", "example"),
    [(AXIAL, "1,2,6,5,6,6"), (CORONAL, "1,4,3,5,4,9"), (SAGITTAL, "3,2,3,3,6,9")],
)
def test_box_that_is_not_flat(default, example):
    message = (
        "object 'liver' (label 7): box (1, 2, 3) to (5, 6, 9) spans i 1..5, j 2..6, k 3..9; a box lies in one slice, "
        f"so its corners must be equal along i, j or k. The box in its middle {default} slice is {example}."
    )
    with pytest.raises(PromptError, match=re.escape(message)):
        choose_plane(prompts(BoxPrompt(1, 2, 3, 5, 6, 9)), GEOMETRY, None, default)


@pytest.mark.parametrize(
    ("given", "named", "message"),
    [
        (AXIAL_BOX, CORONAL, "its box (1, 2, 3) to (5, 6, 3) lies across k (axial), but the plane named is coronal"),
        (LINE_ALONG_I, SAGITTAL, "its box (1, 2, 3) to (5, 2, 3) lies across j (coronal) and k (axial), but the"),
        (EVERY_OTHER_SLICE, SAGITTAL, "its mask lies across k (axial), but the plane named is sagittal, across i."),
        (AXIAL_MASK, SAGITTAL, "its mask lies across k (axial), but the plane named is sagittal, across i. Leave the"),
    ],
)
def test_plane_named_against_the_prompt(given, named, message):
    with pytest.raises(PromptError, match=re.escape(f"object 'liver' (label 7): {message}")):
        choose_plane(prompts(given), GEOMETRY, named, AXIAL)


@pytest.mark.parametrize(("given", "what"), [(LINE_ALONG_I, "box (1, 2, 3) to (5, 2, 3)"), (LINE_MASK, "mask")])
def test_flat_along_several_axes_but_not_the_default(given, what):
    message = f"'liver' (label 7): its {what} fits several planes, as it is flat along j (coronal) and k (axial); name"
    with pytest.raises(PromptError, match=re.escape(message)):
        choose_plane(prompts(given), GEOMETRY, None, SAGITTAL)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            (AXIAL_BOX, CORONAL_BOX),
            "box (1, 2, 3) to (5, 6, 3) lies across k (axial), its box (1, 2, 3) to (5, 2, 9) across j (coronal)",
        ),
        ((CORONAL_BOX, AXIAL_MASK), "box (1, 2, 3) to (5, 2, 9) lies across j (coronal), its mask across k (axial)"),
        ((SOLID_MASK, AXIAL_MASK, SAGITTAL_MASK), "mask lies across k (axial), its mask across i (sagittal)"),
    ],
)
def test_prompts_in_two_planes(given, message):
    with pytest.raises(PromptError, match=re.escape(f"'liver' (label 7) is prompted in two planes: its {message}")):
        choose_plane(prompts(*given), GEOMETRY, None, AXIAL)
