"""The picture of a set: a thumbnail of each image with what was found on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image

from medsam2.engine.set_result import ImageMask
from medsam2.errors import InputError
from medsam2.frames import image_view
from medsam2.prompts import SlicePrompt
from medsam2.reporting.layout import CAPTION_HEIGHT, MARGIN, PAGE_WIDTH, Rectangle, split_rows, tiles_below
from medsam2.reporting.page import Page, legible, shortened, text_width
from medsam2.reporting.palette import ALERT, MUTED, TEXT, WHITE, object_colour
from medsam2.reporting.panel import Panel
from medsam2.reporting.viewport import show, whole_frame

MOST_THUMBNAILS = 120
"""Of a larger set so many images are shown, evenly chosen."""

HEADER_HEIGHT = 44
FOOTER_HEIGHT = 34
TITLE_SIZE = 19
NAME_SIZE = 15
DETAIL_SIZE = 13
SWATCH = 12
FRAME_WIDTH = 3
"""Of the white frame around a template."""

INSET = 8
"""Between the edge of a tile and its picture."""

COLUMNS = ((6, 6), (18, 6), (48, 8), (MOST_THUMBNAILS, 10))
"""Most thumbnails, and the columns that so many are laid in."""

OVERSAMPLING = 2
"""Of large images this many pixels are left for each pixel of the thumbnail along an axis; contours cost time."""


class ContactSheet:
    """A picture of a set that is drawn image by image, as they are done; no image is kept.

    Args:
        count: images of the set.
        templates: positions of the prompted images; they come first and have a white frame.
        names: of the objects, by label.
    """

    def __init__(self, count: int, templates: Sequence[int], names: Mapping[int, str]) -> None:
        self._templates, self._names, self._count = frozenset(templates), dict(names), count
        shown = shown_images(count, templates)
        columns = next(columns for most, columns in COLUMNS if len(shown) <= most)
        columns = min(columns, len(shown))
        places = tiles_below(split_rows(len(shown), columns), columns, HEADER_HEIGHT)
        self._places = dict(zip(shown, places, strict=True))
        self._page = Page(PAGE_WIDTH, max(place.bottom for place in places) + FOOTER_HEIGHT + MARGIN // 2)
        self._found = self._failed = 0

    def add(self, mask: ImageMask, prompts: Sequence[SlicePrompt] = ()) -> None:
        """Draw an image, if it is one of those that are shown.

        Args:
            mask: what was found on it, with its pixels.
            prompts: what was prompted on it.

        Raises:
            InputError: the pixels are missing.
        """
        self._found += any(one.area_px for one in mask.objects)
        self._failed += mask.failure is not None
        place = self._places.get(mask.position)
        if place is None:
            return
        self._page.card(place)
        inner = Rectangle(place.left, place.top + INSET, place.width, place.height - CAPTION_HEIGHT - INSET)
        if mask.failure is None:
            picture = thumbnail(mask, prompts, inner.width - 2 * INSET, inner.height)
            self._paste(picture, inner, mask.position in self._templates)
        self._write_caption(mask, Rectangle(place.left, inner.bottom, place.width, CAPTION_HEIGHT))

    def image(self) -> Image.Image:
        """The sheet with all that was added: RGB, 1600 pixels wide."""
        self._write_header()
        self._write_footer()
        return self._page.image

    def _paste(self, picture: Image.Image, inner: Rectangle, is_template: bool) -> None:
        place = inner.centred(*picture.size)
        if is_template:
            size = (place.width + 2 * FRAME_WIDTH, place.height + 2 * FRAME_WIDTH)
            self._page.paste(Image.new("RGB", size, WHITE), place.left - FRAME_WIDTH, place.top - FRAME_WIDTH)
        self._page.paste(picture, place.left, place.top)

    def _write_caption(self, mask: ImageMask, place: Rectangle) -> None:
        left, right = place.left + INSET, place.right - INSET
        name = shortened(legible_file(mask.name, mask.position), NAME_SIZE, right - left)
        self._page.write(name, (left, place.top + 24), NAME_SIZE, anchor="ls")
        detail, colour = _detail(mask), ALERT if mask.failure is not None else MUTED
        if mask.position in self._templates:
            detail, colour = f"template  ·  {detail}", TEXT
        self._page.write(
            shortened(detail, DETAIL_SIZE, right - left), (left, place.top + 44), DETAIL_SIZE, colour, "ls"
        )

    def _write_header(self) -> None:
        line = HEADER_HEIGHT - 15
        headline = f"found on {self._found:,} of {self._count:,} images"
        headline += f"  ·  {self._failed:,} could not be used" if self._failed else ""
        self._page.write(headline, (MARGIN, line), TITLE_SIZE, ALERT if self._failed else TEXT, "ls")
        left = MARGIN + text_width(headline, TITLE_SIZE) + 2 * MARGIN
        for number, (label, name) in enumerate(self._names.items()):
            title = legible(name, label)
            if left + SWATCH + text_width(title, NAME_SIZE) > PAGE_WIDTH - MARGIN:
                return
            self._page.swatch(round(left), line - SWATCH, SWATCH, object_colour(number))
            self._page.write(title, (left + SWATCH + 6, line), NAME_SIZE, anchor="ls")
            left += SWATCH + text_width(title, NAME_SIZE) + MARGIN

    def _write_footer(self) -> None:
        line = self._page.image.height - MARGIN // 2 - 10
        legend = "white frame: template  ·  number: confidence, the network's own estimate of the overlap"
        self._page.write(legend, (MARGIN, line), DETAIL_SIZE, MUTED, "ls")
        if len(self._places) < self._count:
            hidden = f"{len(self._places)} of {self._count:,} images shown"
            self._page.write(hidden, (PAGE_WIDTH - MARGIN, line), DETAIL_SIZE, MUTED, "rs")


def shown_images(count: int, templates: Sequence[int]) -> list[int]:
    """Choose the images to show: the templates, then others, evenly, at most `MOST_THUMBNAILS` in all.

    Args:
        count: images of the set.
        templates: positions of the prompted ones.
    """
    first = sorted(templates)[:MOST_THUMBNAILS]
    others = [position for position in range(count) if position not in set(templates)]
    room = min(MOST_THUMBNAILS - len(first), len(others))
    return first + [others[index * len(others) // room] for index in range(room)]


def thumbnail(mask: ImageMask, prompts: Sequence[SlicePrompt], width: float, height: float) -> Image.Image:
    """Draw an image with the contours of what was found on it.

    Args:
        mask: what was found, with its pixels.
        prompts: what was prompted, to be drawn, too.
        width: largest width, pixels.
        height: largest height, pixels.

    Raises:
        InputError: the pixels are missing.
    """
    if mask.volume is None or mask.segmentation is None or mask.window is None:
        raise InputError(f"{mask.name}: the pixels are not there; draw an image while it is streamed.")
    view = image_view(mask.volume.geometry)
    frame, labels = (view.to_frames(array)[0] for array in (mask.volume.array, mask.segmentation.labels))
    viewport = show(whole_frame(view.frame_shape), view.frame_spacing_mm, width, height)
    step = 1 if prompts else max(1, int(min(viewport.region.rows, viewport.region.columns) // (OVERSAMPLING * width)))
    frame, labels = frame[::step, ::step], labels[::step, ::step]
    viewport = show(whole_frame(labels.shape), view.frame_spacing_mm, viewport.width, viewport.height)
    panel = Panel(mask.window.apply(frame), viewport)
    for prompt in prompts:
        panel.draw_mask_prompt(prompt)
    numbers = {label: number for number, label in enumerate(mask.segmentation.names)}
    for label in np.unique(labels[labels > 0]).tolist():
        panel.draw_object(labels == label, object_colour(numbers[label]))
    for prompt in prompts:
        panel.draw_box_and_clicks(prompt)
    return panel.image()


def legible_file(name: str, position: int) -> str:
    """Give an image's name in letters that Pillow's font has; in another script, it is "image 3"."""
    plain = name.encode("ascii", "replace").decode()
    return plain if plain.count("?") <= len(plain) // 4 else f"image {position + 1}"


def _detail(mask: ImageMask) -> str:
    """What a thumbnail says of the objects: how sure the network is, and how much was found."""
    if mask.failure is not None:
        return "could not be used"
    found = [one for one in mask.objects if one.area_px]
    if not found:
        return "not found"
    sure = f"{sum(one.confidence for one in found) / len(found):.2f}"
    if found[0].instances is not None:
        parts = sum(one.instances or 0 for one in found)
        return f"{sure}  ·  {parts:,} instance{'' if parts == 1 else 's'}"
    if len(mask.objects) > 1:
        return f"{sure}  ·  {len(found)} of {len(mask.objects)}"
    return f"{sure}  ·  {found[0].area_px:,} px"
