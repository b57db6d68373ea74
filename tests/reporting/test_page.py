import numpy as np
import pytest
from PIL import Image

from medsam2.reporting.layout import Rectangle
from medsam2.reporting.page import Page, legible, shortened, text_width
from medsam2.reporting.palette import CARD, PAGE, PALETTE, TEXT


@pytest.fixture
def page():
    return Page(200, 100)


def pixels(page):
    return np.asarray(page.image)


def test_parts_lie_where_they_are_put(page):
    page.paste(Image.new("RGB", (10, 5), (9, 9, 9)), 20, 30)
    page.card(Rectangle(100, 10, 50, 40))
    page.swatch(120, 20, 13, PALETTE[3])
    page.bar(10, 80, 60)
    image = pixels(page)
    assert np.unique(image[30:35, 20:30].reshape(-1, 3), axis=0).tolist() == [[9, 9, 9]]
    assert [tuple(image[y, x]) for x, y in ((1, 1), (102, 30), (126, 26))] == [PAGE, CARD, PALETTE[3]]
    assert (image[81, 10:70] == TEXT).all()
    assert not (image[81, 70] == TEXT).any()


def test_words_end_where_they_are_anchored(page):
    page.write("right", (150, 50), 19, anchor="rs")
    rows, columns = np.nonzero((pixels(page) != PAGE).any(axis=2))
    assert columns.max() <= 150
    assert 50 - 19 <= rows.min() < rows.max() <= 56


def test_words_over_white_have_a_seam(page):
    page.paste(Image.new("RGB", (200, 100), (255, 255, 255)), 0, 0)
    page.write_over("A", (100, 50), 18, "mm")
    assert pixels(page).min() < 20


def test_long_names_lose_their_middle():
    name = "portal vein and splenic vein left"
    short = shortened(name, 19, 200)
    assert text_width(short, 19) <= 200 < text_width(name, 19)
    assert short.startswith("portal")
    assert short.endswith("vein left")
    assert shortened(name, 19, 1000) == name
    assert shortened("aorta", 19, 0) == "..."


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("kidney_left", "kidney left"),
        ("Nébuleuse  à voir", "Nebuleuse a voir"),
        ("größer", "gro?er"),
        ("肝脏", "label 7"),
        ("__", "label 7"),
    ],
)
def test_names_are_written_in_letters_that_the_font_has(name, shown):
    assert legible(name, 7) == shown
