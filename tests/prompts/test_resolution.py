import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medsam2.errors import PromptError
from medsam2.prompts import BoxPrompt, FrameBox, FramePoint, MaskPrompt, ObjectPrompts, PointPrompt
from medsam2.prompts.resolution import resolve_object
from medsam2.spatial import Geometry, Plane, PlaneView, plane_of_voxel_axis

GEOMETRY = Geometry((30, 20, 10), np.eye(4))


@st.composite
def geometries(draw):
    """Grids in any of the 48 orientations, with any spacing."""
    affine = np.zeros((4, 4))
    for column, row in enumerate(draw(st.permutations(range(3)))):
        affine[row, column] = draw(st.sampled_from([-1, 1])) * draw(st.floats(0.5, 5))
    affine[:3, 3] = draw(st.tuples(*[st.floats(-100, 100)] * 3))
    affine[3, 3] = 1
    return Geometry(draw(st.tuples(*[st.integers(2, 7)] * 3)), affine)


def voxels_of(geometry):
    return st.tuples(*(st.integers(0, n - 1) for n in geometry.size_ijk))


def numbered(geometry):
    return np.arange(np.prod(geometry.shape)).reshape(geometry.shape)


@given(st.data(), geometries(), st.sampled_from(Plane))
@settings(deadline=None)
def test_points_hit_the_same_voxel_in_the_frame_as_in_the_file(data, geometry, plane):
    voxels = data.draw(st.lists(voxels_of(geometry), min_size=1, max_size=5))
    points = [PointPrompt(*voxel) for voxel in voxels]
    resolved = resolve_object(ObjectPrompts("a", 1, points), geometry, plane, Plane.AXIAL)
    frames = PlaneView.of(geometry, plane).to_frames(numbered(geometry))
    hit = [frames[t, int(p.y), int(p.x)] for t, prompt in resolved.slices.items() for p in prompt.points]
    assert sorted(hit) == sorted(numbered(geometry)[k, j, i] for i, j, k in voxels)
    assert resolved.plane is plane
    assert list(resolved.slices) == sorted(resolved.slices)


@given(st.data(), geometries(), st.integers(0, 2))
@settings(deadline=None)
def test_boxes_cover_the_same_voxels_in_the_frame_as_in_the_file(data, geometry, axis):
    first, second = (list(data.draw(voxels_of(geometry))) for _ in range(2))
    second[axis] = first[axis]
    plane = plane_of_voxel_axis(geometry, axis)
    box = BoxPrompt(*first, *second)
    resolved = resolve_object(ObjectPrompts("a", 1, boxes=[box]), geometry, plane, Plane.AXIAL)
    assert resolved.plane is plane
    ((t, prompt),) = resolved.slices.items()
    x0, y0, x1, y1 = (int(side) for side in (prompt.box.x0, prompt.box.y0, prompt.box.x1, prompt.box.y1))
    covered = PlaneView.of(geometry, plane).to_frames(numbered(geometry))[t, y0 : y1 + 1, x0 : x1 + 1]
    (i0, j0, k0), (i1, j1, k1) = box.voxels
    expected = numbered(geometry)[k0 : k1 + 1, j0 : j1 + 1, i0 : i1 + 1]
    assert sorted(covered.ravel()) == sorted(expected.ravel())


@given(st.data(), geometries(), st.integers(0, 2))
@settings(deadline=None)
def test_masks_keep_their_voxels(data, geometry, axis):
    drawn = data.draw(st.sets(st.integers(0, geometry.size_ijk[axis] - 1), min_size=1))
    voxels = np.zeros(geometry.shape, bool)
    np.moveaxis(voxels, 2 - axis, 0)[sorted(drawn)] = True
    plane = plane_of_voxel_axis(geometry, axis)
    resolved = resolve_object(ObjectPrompts("a", 1, masks=[MaskPrompt(voxels)]), geometry, None, plane)
    if len(drawn) < min(size for other, size in enumerate(geometry.size_ijk) if other != axis):
        assert resolved.plane is plane
    view = PlaneView.of(geometry, resolved.plane)
    frames = np.zeros((view.frame_count, *view.frame_shape), bool)
    for t, prompt in resolved.slices.items():
        assert prompt.mask.any()
        frames[t] = prompt.mask
    np.testing.assert_array_equal(view.from_frames(frames), voxels)


def resolve(plane=None, geometry=GEOMETRY, **prompts):
    return resolve_object(ObjectPrompts("liver", 7, **prompts), geometry, plane, Plane.AXIAL)


def test_prompts_are_grouped_by_slice():
    resolved = resolve(
        points=[PointPrompt(3, 4, 9), PointPrompt(2, 3, 5), PointPrompt(9, 9, 5, positive=False)],
        boxes=[BoxPrompt(1, 2, 5, 3, 6, 5)],
    )
    assert (resolved.name, resolved.label, resolved.plane) == ("liver", 7, Plane.AXIAL)
    assert list(resolved.slices) == [5, 9]
    assert resolved.slices[5].points == (FramePoint(2, 3), FramePoint(9, 9, positive=False))
    assert resolved.slices[5].box == FrameBox(1, 2, 3, 6)
    assert resolved.slices[9].points == (FramePoint(3, 4),)
    assert resolved.slices[9].box is None


def test_fractions_stay_within_the_slice_and_are_rounded_across_it():
    resolved = resolve(points=[PointPrompt(2.25, 3.75, 4.5)])
    assert resolved.slices[5].points == (FramePoint(2.25, 3.75),)


def test_halves_go_to_the_higher_voxel_even_where_the_view_is_flipped():
    geometry = Geometry((30, 20, 10), np.diag([1.0, 1.0, -1.0, 1.0]))
    assert list(resolve(points=[PointPrompt(2, 3, 4.5)], geometry=geometry).slices) == [29 - 5]


def test_a_mask_and_a_box_on_different_slices():
    voxels = np.zeros(GEOMETRY.shape, bool)
    voxels[4, 2:5, 2:5] = True
    resolved = resolve(masks=[MaskPrompt(voxels)], boxes=[BoxPrompt(1, 2, 6, 3, 6, 6)])
    np.testing.assert_array_equal(resolved.slices[4].mask, voxels[4])
    assert resolved.slices[4].box is None
    assert resolved.slices[6].mask is None


def test_two_masks_on_one_slice_are_joined():
    first, second = np.zeros(GEOMETRY.shape, bool), np.zeros(GEOMETRY.shape, bool)
    first[4, 2:5, 2:5], second[4, 8:12, 2:5] = True, True
    resolved = resolve(masks=[MaskPrompt(first), MaskPrompt(second)])
    np.testing.assert_array_equal(resolved.slices[4].mask, (first | second)[4])
    assert not (first & second).any()


def test_the_mask_of_a_slice_is_a_copy():
    voxels = np.zeros(GEOMETRY.shape, bool)
    voxels[4, 2:5, 2:5] = True
    resolve(masks=[MaskPrompt(voxels)]).slices[4].mask[:] = False
    assert voxels.any()


def test_numpy_labels_become_integers():
    prompts = ObjectPrompts("a", np.uint16(300), points=[PointPrompt(1, 1, 1)])
    assert type(resolve_object(prompts, GEOMETRY, None, Plane.AXIAL).label) is int


OWNER = "object 'liver' (label 7)"
RANGES = "expected i 0..9, j 0..19, k 0..29."


@pytest.mark.parametrize("index", [(10, 2, 3), (-1, 2, 3), (1, 20, 3), (1, 2, 30), (9.5, 2, 3), (1, -0.6, 3)])
def test_point_outside_the_volume(index):
    shown = ", ".join(f"{number:g}" for number in index)
    message = f"{OWNER}: point ({shown}) lies outside the volume; {RANGES}"
    with pytest.raises(PromptError, match=re.escape(message)):
        resolve(points=[PointPrompt(1, 1, 1), PointPrompt(*index)])


def test_points_reach_to_the_edge_of_the_outermost_voxels():
    resolved = resolve(points=[PointPrompt(-0.5, 19.49, 0)])
    assert resolved.slices[0].points == (FramePoint(-0.5, 19.49),)


def test_box_outside_the_volume():
    message = f"{OWNER}: box (1, 2, 3) to (12, 6, 3) lies outside the volume; {RANGES}"
    with pytest.raises(PromptError, match=re.escape(message)):
        resolve(boxes=[BoxPrompt(1, 2, 3, 12, 6, 3)])


def test_mask_of_another_shape():
    message = (
        f"{OWNER}: the mask has shape (10, 20, 30); expected that of the volume's array, (D, H, W) = (30, 20, 10)."
    )
    with pytest.raises(PromptError, match=re.escape(message)):
        resolve(masks=[MaskPrompt(np.ones((10, 20, 30), bool))])


def test_two_boxes_on_one_slice():
    message = f"{OWNER}, axial slice k = 3: two boxes in one slice; an object has one. If they mark two objects, give"
    with pytest.raises(PromptError, match=re.escape(message)):
        resolve(boxes=[BoxPrompt(1, 2, 3, 5, 6, 3), BoxPrompt(6, 7, 3, 8, 9, 3)])


def test_boxes_on_different_slices():
    assert list(resolve(boxes=[BoxPrompt(1, 2, 9, 5, 6, 9), BoxPrompt(6, 7, 3, 8, 9, 3)]).slices) == [3, 9]


@pytest.mark.parametrize(
    ("extra", "what"),
    [({"points": [PointPrompt(1, 1, 4)]}, "points"), ({"boxes": [BoxPrompt(1, 2, 4, 3, 6, 4)]}, "a box")],
)
def test_mask_together_with_points_or_box(extra, what):
    voxels = np.zeros(GEOMETRY.shape, bool)
    voxels[4, 2:5, 2:5] = True
    message = f"{OWNER}, axial slice k = 4: a mask together with {what}; a mask says all about its slice"
    with pytest.raises(PromptError, match=re.escape(message)):
        resolve(masks=[MaskPrompt(voxels)], **extra)


def test_only_negative_clicks():
    points = [PointPrompt(1, 2, 3, positive=False), PointPrompt(1, 2, 4)]
    message = f"{OWNER}, axial slice k = 3: only negative clicks; add at least one positive point or a box"
    with pytest.raises(PromptError, match=re.escape(message)):
        resolve(points=points)


def test_only_negative_clicks_in_an_image_hint_at_the_label():
    image = Geometry((1, 20, 10), np.eye(4))
    with pytest.raises(PromptError, match=r"k = 0: only negative clicks; .* three numbers are x,y,label\."):
        resolve(geometry=image, points=[PointPrompt(1, 2, 0, positive=False)])


def test_positive_point_outside_the_box():
    message = f"{OWNER}, axial slice k = 3: a positive point lies outside the object's box; move it into the box"
    with pytest.raises(PromptError, match=re.escape(message)):
        resolve(points=[PointPrompt(6, 2, 3)], boxes=[BoxPrompt(1, 2, 3, 5, 6, 3)])


def test_slices_are_named_by_the_index_of_the_file():
    geometry = Geometry((30, 20, 10), np.diag([-1.0, 1.0, 1.0, 1.0]))
    with pytest.raises(PromptError, match="sagittal slice i = 2: only negative clicks"):
        resolve(Plane.SAGITTAL, geometry, points=[PointPrompt(2, 2, 3, positive=False)])
