from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from medsam2.errors import FormatError
from medsam2.prompts import FrameBox, FramePoint, ResolvedObject, SlicePrompt
from medsam2.reporting import preview, write_preview
from medsam2.reporting.layout import PAGE_WIDTH
from medsam2.reporting.palette import ALERT, CARD, PAGE, PALETTE, POSITIVE, WHITE
from medsam2.reporting.preview import HEADER_HEIGHT
from medsam2.spatial import Geometry, Plane, Segmentation, SourceFile, Volume

NAMES = {1: "liver", 4: "spleen", 2: "nothing"}
AFFINES = {
    "LPS": np.diag([1.0, 1.0, 2.5, 1.0]),
    "thick slices": np.diag([0.7, 0.7, 8.0, 1.0]),
    "RAS": np.diag([-1.0, -1.0, 2.5, 1.0]),
    "permuted": np.array([[0, 0, 2.0, 0], [0, 1.0, 0, 0], [-1.0, 0, 0, 0], [0, 0, 0, 1.0]]),
}


def shows(image, colour, tolerance=3):
    return (np.abs(np.asarray(image).astype(int) - colour) <= tolerance).all(axis=2)


def box_prompt(label, t, box):
    return ResolvedObject(NAMES[label], label, Plane.AXIAL, {t: SlicePrompt(box=box)})


def test_a_result_with_prompts_and_reference(geometry, volume, labels, make_result):
    prompts = [box_prompt(1, 9, FrameBox(5, 10, 14, 19)), box_prompt(2, 10, FrameBox(20, 3, 25, 8))]
    image = preview(volume, make_result(labels, geometry, NAMES), prompts, Segmentation(labels, geometry))
    assert image.mode == "RGB"
    assert image.width == PAGE_WIDTH
    assert 800 < image.height < 2000
    assert tuple(np.asarray(image)[2, 2]) == PAGE
    for colour in (PALETTE[0], PALETTE[1], ALERT, CARD):
        assert shows(image, colour).any()
    # The object that was not found appears as the square beside its name alone.
    assert 100 < shows(image, PALETTE[2]).sum() < 200


def test_objects_appear_where_they_are(geometry, volume, make_result):
    labels = np.zeros(geometry.shape, np.uint8)
    labels[4:8, 2:10, 20:28] = 1  # inferior, anterior, on the patient's left
    image = preview(volume, make_result(labels, geometry, {1: "liver"}))
    # The views are of 30 x 40, 30 x 50 and 40 x 50 mm, and all of one height.
    height = (PAGE_WIDTH - 2 * 24 - 2 * 12) / (30 / 40 + 30 / 50 + 40 / 50)
    height = min(height, 600)
    widths = [height * aspect for aspect in (30 / 40, 30 / 50, 40 / 50)]
    left = (PAGE_WIDTH - sum(widths) - 24) / 2
    lit = shows(image, PALETTE[0], 20)
    expected = [((2, 10, 40), (20, 28, 30)), ((12, 16, 20), (20, 28, 30)), ((12, 16, 20), (2, 10, 40))]
    for width, (rows, columns) in zip(widths, expected, strict=True):
        view = lit[HEADER_HEIGHT : round(HEADER_HEIGHT + height), round(left) : round(left + width)]
        found_rows, found_columns = np.flatnonzero(view.any(axis=1)), np.flatnonzero(view.any(axis=0))
        edges = found_rows[0] / height, found_rows[-1] / height, found_columns[0] / width, found_columns[-1] / width
        wanted = rows[0] / rows[2], rows[1] / rows[2], columns[0] / columns[2], columns[1] / columns[2]
        assert edges == pytest.approx(wanted, abs=0.02)
        left += width + 12


@pytest.mark.parametrize("name", AFFINES)
@pytest.mark.parametrize("plane", Plane)
def test_every_orientation_and_plane(name, plane, volume, labels, make_result):
    geometry = Geometry(volume.geometry.shape, AFFINES[name])
    image = preview(Volume(volume.array, geometry), make_result(labels, geometry, {1: "liver", 4: "spleen"}, plane))
    assert min(shows(image, colour, 10).sum() for colour in PALETTE[:2]) > 500


def test_the_same_anatomy_gives_the_same_picture(geometry, volume, labels, make_result):
    array = np.random.default_rng(0).integers(0, 100, geometry.shape).astype(np.int16)
    image = preview(Volume(array, geometry), make_result(labels, geometry, NAMES))
    affine = np.diag([-1.0, -1.0, 2.5, 1.0])
    affine[:2, 3] = 29, 39
    turned = Geometry(geometry.shape, affine)
    flipped = preview(
        Volume(array[:, ::-1, ::-1].copy(), turned), make_result(labels[:, ::-1, ::-1].copy(), turned, NAMES)
    )
    # Only the numbers of slices, and ties between slices, may differ.
    difference = np.abs(np.asarray(image).astype(int) - np.asarray(flipped))[HEADER_HEIGHT + 40 : 400, 30:300]
    assert difference.max() <= 1


def test_the_prompt_is_drawn_in_its_tile(geometry, volume, labels, make_result):
    result = make_result(labels, geometry, {1: "liver"})
    bare = preview(volume, result)
    clicked = ResolvedObject("liver", 1, Plane.AXIAL, {9: SlicePrompt(points=(FramePoint(9, 14),))})
    boxed = box_prompt(1, 9, FrameBox(5, 10, 14, 19))
    assert not shows(bare, POSITIVE).any()
    assert 70 < shows(preview(volume, result, [clicked]), POSITIVE).sum() < 110
    added = (shows(preview(volume, result, [boxed]), WHITE) & ~shows(bare, WHITE))[:-50]
    rows, columns = np.nonzero(added)
    assert added.sum() > 200
    assert rows.min() > HEADER_HEIGHT + 500
    assert columns.max() < 320
    assert np.ptp(rows) == pytest.approx(np.ptp(columns), abs=2)


def test_a_drawn_mask_is_outlined(geometry, volume, labels, make_result):
    result = make_result(np.zeros_like(labels), geometry, {1: "liver"})
    drawn = ResolvedObject("liver", 1, Plane.AXIAL, {10: SlicePrompt(mask=labels[9] == 1)})
    assert shows(preview(volume, result, [drawn]), WHITE).sum() > shows(preview(volume, result), WHITE).sum() + 500


@pytest.mark.parametrize("count", [1, 2, 13, 45])
def test_many_objects(count, make_result):
    geometry = Geometry((8, 64, 64), np.diag([1.0, 1.0, 3.0, 1.0]))
    labels = np.zeros(geometry.shape, np.uint8)
    for label in range(1, count + 1):
        row, column = divmod(label - 1, 7)
        labels[2:6, row * 9 : row * 9 + 6, column * 9 : column * 9 + 6] = label
    names = {label: f"object {label}" for label in range(1, count + 1)}
    image = preview(Volume(np.zeros(geometry.shape), geometry), make_result(labels, geometry, names))
    assert image.height < 2200
    for colour in PALETTE[: min(count, 20)]:
        assert shows(image, colour, 12).sum() > 100


@pytest.mark.parametrize("shape", [(1, 50, 90), (1, 90, 30), (1, 3, 200), (1, 8, 8), (1, 2, 2)])
@pytest.mark.parametrize("names", [{1: "cell"}, {n: f"cell {n}" for n in range(1, 13)}])
def test_pictures(shape, names, make_result):
    geometry = Geometry(shape, np.eye(4))
    labels = np.zeros(shape, np.uint8)
    labels[0, -1, : shape[2] // 2] = 1
    volume = Volume(np.full((*shape, 3), 128, np.uint8), geometry, SourceFile(Path("cells.png"), "image"))
    image = preview(volume, make_result(labels, geometry, names))
    assert shows(image, PALETTE[0], 12).sum() > 100
    assert shows(image, (50, 50, 50), 255).all()
    assert image.height < 1900


def test_a_volume_of_two_voxels(make_result):
    geometry = Geometry((1, 1, 2), np.eye(4))
    volume = Volume(np.array([[[0.0, np.nan]]]), geometry)
    labels = np.array([[[0, 1]]], np.uint8)
    assert preview(volume, make_result(labels, geometry, {1: "voxel"})).width == PAGE_WIDTH


def test_a_result_without_objects(geometry, volume, labels, make_result):
    assert preview(volume, make_result(labels, geometry, {})).width == PAGE_WIDTH


def test_write_preview(tmp_path):
    image = Image.new("RGB", (30, 20), PALETTE[0])
    path = tmp_path / "new" / "preview.png"
    write_preview(image, path)
    with Image.open(path) as read:
        assert (read.format, read.size, read.getpixel((3, 3))) == ("PNG", (30, 20), PALETTE[0])
    assert [file.name for file in path.parent.iterdir()] == ["preview.png"]
    with pytest.raises(FormatError, match="cannot be written"):
        write_preview(image, path / "inside-a-file.png")
