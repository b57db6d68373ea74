"""The sheet that pictures and words are put on."""

from __future__ import annotations

import unicodedata
from functools import cache

from PIL import Image, ImageDraw, ImageFont

from medsam2.reporting.layout import Rectangle
from medsam2.reporting.palette import BLACK, CARD, PAGE, TEXT, Colour

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

ELLIPSIS = "..."
CARD_RADIUS = 6


@cache
def font(size: int) -> Font:
    """Give Pillow's own font in a size in pixels."""
    return ImageFont.load_default(size)


class Page:
    """A sheet to put pictures and words on.

    Args:
        width: Pixels.
        height: Pixels.
    """

    def __init__(self, width: int, height: int) -> None:
        self.image = Image.new("RGB", (width, height), PAGE)
        self._draw = ImageDraw.Draw(self.image)

    def paste(self, picture: Image.Image, left: int, top: int) -> None:
        """Put a picture with its upper left corner at a place."""
        self.image.paste(picture, (left, top))

    def card(self, place: Rectangle) -> None:
        """Lay the ground of a tile."""
        corners = (place.left, place.top, place.right - 1, place.bottom - 1)
        self._draw.rounded_rectangle(corners, CARD_RADIUS, fill=CARD)

    def swatch(self, left: int, top: int, size: int, colour: Colour) -> None:
        """Draw the square that tells an object's colour."""
        self._draw.rounded_rectangle((left, top, left + size - 1, top + size - 1), 3, fill=colour)

    def bar(self, left: int, top: int, width: int) -> None:
        """Draw a bar of scale: light, with a dark seam."""
        self._draw.rectangle((left - 1, top - 1, left + width, top + 3), fill=BLACK)
        self._draw.rectangle((left, top, left + width - 1, top + 2), fill=TEXT)

    def write(self, text: str, at: tuple[float, float], size: int, colour: Colour = TEXT, anchor: str = "la") -> None:
        """Write a line on the page's own ground.

        Args:
            text: One line.
            at: x and y of the anchor.
            size: Of the font, pixels.
            colour: Of the letters.
            anchor: Pillow's two letters: left, middle, right; ascender, middle, baseline.
        """
        self._draw.text(at, text, colour, font(size), anchor)

    def write_over(self, text: str, at: tuple[float, float], size: int, anchor: str) -> None:
        """Write a line over a picture, with a dark seam around the letters."""
        self._draw.text(at, text, TEXT, font(size), anchor, stroke_width=2, stroke_fill=BLACK)


def text_width(text: str, size: int) -> float:
    """Give the width of a line in pixels."""
    return font(size).getlength(text)


def shortened(text: str, size: int, width: float) -> str:
    """Leave out the middle of a line until it is no wider than this many pixels: names end with "left" and "right"."""
    short, kept = text, len(text)
    while text_width(short, size) > width and kept > 0:
        kept -= 1
        tail = kept // 2
        short = text[: kept - tail].rstrip() + ELLIPSIS + text[len(text) - tail :].lstrip()
    return short


def legible(name: str, label: int) -> str:
    """Give an object's name in letters that Pillow's font has: no accents; in another script, it is "label 3"."""
    parts = unicodedata.normalize("NFKD", name.replace("_", " "))
    base = "".join(letter for letter in parts if not unicodedata.combining(letter))
    plain = base.encode("ascii", "replace").decode()
    return " ".join(plain.split()) if any(letter.isalnum() for letter in plain) else f"label {label}"
