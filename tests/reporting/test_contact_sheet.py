from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from medsam2.engine.set_result import ImageMask, ImageObject
from medsam2.errors import InputError
from medsam2.frames import IntensityWindow
from medsam2.prompts import FrameBox, FramePoint, SlicePrompt
from medsam2.reporting import contact_sheet as module
from medsam2.reporting.contact_sheet import MOST_THUMBNAILS, ContactSheet, legible_file, shown_images, thumbnail
from medsam2.reporting.layout import PAGE_WIDTH
from medsam2.reporting.palette import ALERT, CARD, object_colour
from medsam2.spatial import Geometry, Segmentation, Volume

GREY = IntensityWindow("grey", 0, 255)


def mask_of(position=0, shape=(40, 60), objects=1, side=10, name=None, **changes):
    """An image with a square of each object below each other."""
    array = np.full((1, *shape), 100, np.uint8)
    labels = np.zeros(array.shape, np.uint8)
    for number in range(objects):
        labels[0, 2 + 12 * number : 2 + 12 * number + side, 5 : 5 + side] = number + 1
    geometry = Geometry(array.shape, np.eye(4))
    names = {number + 1: f"object {number + 1}" for number in range(objects)}
    found = tuple(
        ImageObject(one, label, 0.91, 3.0, int((labels == label).sum()), None, True, False)
        for label, one in names.items()
    )
    given = {
        "objects": found,
        "window": GREY,
        "segmentation": Segmentation(labels, geometry, names),
        "volume": Volume(array, geometry),
    }
    return ImageMask(name or f"{position}.png", position, **{**given, **changes})


def has(picture, colour, tolerance=30):
    pixels = np.asarray(picture).reshape(-1, 3).astype(int)
    return bool((np.abs(pixels - colour).max(axis=1) <= tolerance).any())


@pytest.fixture
def written(monkeypatch):
    """What is written on pages."""
    texts = []
    monkeypatch.setattr(module.Page, "write", lambda _self, text, *_, **__: texts.append(text))
    return texts


def test_a_thumbnail_keeps_the_image_s_proportions_and_shows_contours():
    picture = thumbnail(mask_of(shape=(40, 60), objects=2), (), 120, 120)
    assert picture.size == (120, 80)
    assert has(picture, object_colour(0))
    assert has(picture, object_colour(1))
    assert not has(thumbnail(mask_of(side=0), (), 120, 120), object_colour(0))


def test_pixels_that_are_not_square_are_shown_as_they_are():
    mask = mask_of(shape=(40, 60))
    geometry = Geometry((1, 40, 60), np.diag([1.0, 3.0, 1.0, 1.0]))
    segmentation = Segmentation(mask.segmentation.labels, geometry, mask.segmentation.names)
    stretched = replace(mask, segmentation=segmentation, volume=Volume(mask.volume.array, geometry))
    assert thumbnail(stretched, (), 120, 120).size == (60, 120)


def test_a_large_image_is_thinned_out_before_it_is_drawn():
    picture = thumbnail(mask_of(shape=(3000, 2000), side=900), (), 100, 100)
    assert picture.size == (67, 100)
    assert has(picture, object_colour(0))


def test_colour_images_are_shown_in_colour():
    mask = mask_of()
    array = np.zeros((1, 40, 60, 3), np.uint8)
    array[..., 2] = 200
    blue = replace(mask, volume=Volume(array, mask.volume.geometry))
    assert has(thumbnail(blue, (), 60, 40), (0, 0, 200), tolerance=3)


def test_what_was_prompted_is_drawn():
    plain = thumbnail(mask_of(), (), 240, 160)
    drawn = np.zeros((40, 60), bool)
    drawn[20:30, 30:40] = True
    for prompt in (
        SlicePrompt(box=FrameBox(20, 20, 40, 30)),
        SlicePrompt(points=(FramePoint(30, 20),)),
        SlicePrompt(mask=drawn),
    ):
        assert not np.array_equal(np.asarray(thumbnail(mask_of(), (prompt,), 240, 160)), np.asarray(plain))


def test_an_image_without_its_pixels_cannot_be_drawn():
    with pytest.raises(InputError, match=r"0\.png: the pixels are not there; draw an image while it is streamed"):
        thumbnail(mask_of(volume=None), (), 60, 40)


def test_templates_come_first_in_a_white_frame():
    sheet = ContactSheet(4, [2], {1: "object 1"})
    for position in (2, 0, 3, 1):
        sheet.add(mask_of(position))
    page = sheet.image()
    assert page.size[0] == PAGE_WIDTH
    left, right = page.crop((0, 44, 400, 400)), page.crop((420, 44, 1600, 400))
    assert has(left, (255, 255, 255), 0)
    assert not has(right.crop((0, 0, 1180, 250)), (255, 255, 255), 0)


def test_captions_say_how_sure_the_network_is(written):
    sheet = ContactSheet(5, [0], {1: "object 1"})
    instances = ImageObject("cell", 1, 0.8, 2.0, 50, 3, False, False)
    sheet.add(mask_of(0))
    sheet.add(mask_of(1, side=0))
    sheet.add(mask_of(2, objects=3))
    sheet.add(replace(mask_of(3), objects=(instances,)))
    sheet.add(ImageMask("broken.png", 4, failure="damaged"))
    sheet.image()
    assert "template  ·  0.91  ·  100 px" in written
    assert "not found" in written
    assert "0.91  ·  3 of 3" in written
    assert "0.80  ·  3 instances" in written
    assert "could not be used" in written
    assert "broken.png" in written
    assert "found on 3 of 5 images  ·  1 could not be used" in written


def test_a_broken_image_is_an_alert():
    sheet = ContactSheet(2, [0], {1: "object 1"})
    sheet.add(mask_of(0))
    assert not has(sheet.image(), ALERT, 10)
    sheet.add(ImageMask("broken.png", 1, failure="damaged"))
    assert has(sheet.image(), ALERT, 10)


def test_instances_are_counted_and_coloured():
    picture = thumbnail(mask_of(objects=3), (), 240, 160)
    assert all(has(picture, object_colour(number)) for number in range(3))


@pytest.mark.parametrize("count", [1, 2, 7, 30, 1000])
def test_every_count_fits_on_the_page(count):
    sheet = ContactSheet(count, [count // 2], {1: "object 1"})
    sheet.add(mask_of(count // 2))
    page = sheet.image()
    assert page.size[0] == PAGE_WIDTH
    assert page.size[1] < 2600
    assert has(page, CARD, 0)


def test_of_a_large_set_templates_and_an_even_choice_are_shown(written):
    shown = shown_images(1000, [7, 500])
    assert len(shown) == len(set(shown)) == MOST_THUMBNAILS
    assert shown[:2] == [7, 500]
    others = np.array(shown[2:])
    assert (np.diff(others) > 0).all()
    assert np.diff(others).max() <= 10
    assert shown_images(3, [1]) == [1, 0, 2]
    assert shown_images(200, range(200)) == list(range(MOST_THUMBNAILS))
    sheet = ContactSheet(1000, [7], {1: "object 1"})
    hidden = next(position for position in range(1000) if position not in shown_images(1000, [7]))
    sheet.add(mask_of(hidden))
    sheet.image()
    assert "found on 1 of 1,000 images" in written
    assert "120 of 1,000 images shown" in written
    assert f"{hidden}.png" not in written


def test_names_of_many_objects_end_at_the_edge(written):
    ContactSheet(1, [0], {label: f"a rather long name {label}" for label in range(1, 40)}).image()
    assert "a rather long name 1" in written
    assert "a rather long name 39" not in written


def test_names_of_files_are_written_in_letters_that_the_font_has():
    assert legible_file("scan_01.png", 3) == "scan_01.png"
    assert legible_file("caf\u00e9.png", 3) == "caf?.png"
    assert legible_file("\u5f71\u50cf\u5f71\u50cf.png", 3) == "image 4"


def test_the_sheet_is_a_picture():
    assert isinstance(ContactSheet(1, [], {}).image(), Image.Image)
