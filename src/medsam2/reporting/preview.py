"""The picture of a result: three planes, and a tile for each object."""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean

from PIL import Image

from medsam2.engine.volume_result import ObjectResult, SegmentationResult
from medsam2.io.atomic import written_whole
from medsam2.prompts import ResolvedObject
from medsam2.reporting.layout import (
    BESIDE_AT_MOST,
    CAPTION_HEIGHT,
    CONTENT_WIDTH,
    GAP,
    MARGIN,
    PAGE_WIDTH,
    TALL_HEIGHT,
    Rectangle,
    arrange_views,
    split_rows,
    tile_columns,
    tiles_below,
    tiles_beside,
)
from medsam2.reporting.page import Page, legible, shortened
from medsam2.reporting.palette import ALERT, MUTED, TEXT, object_colour
from medsam2.reporting.panel import Panel
from medsam2.reporting.scene import Scene
from medsam2.reporting.statistics import format_ml
from medsam2.reporting.viewport import Region, Viewport, fit, show, surroundings, whole_frame
from medsam2.spatial import Plane, PlaneView, Segmentation, Volume

MOST_TILES = 30
"""Further objects are seen in the planes alone."""

FEW_OBJECTS = 3
"""Up to this many objects get a row of tiles each, with slices through the whole object."""

TILES_IN_ROW = 5
HEADER_HEIGHT = 44
FOOTER_HEIGHT = 34
TITLE_SIZE = 19
DETAIL_SIZE = 15
LETTER_SIZE = 18
SWATCH = 13

SHORTEST_TILES = 420
"""Height of the tiles beside a single view, however flat it is."""

ROOM_FOR_SIDES = 120
"""A view needs this width to name its left and right side, and this height for the others and the bar of scale."""

SIDES = {
    Plane.AXIAL: ("R", "L", "A", "P"),
    Plane.CORONAL: ("R", "L", "S", "I"),
    Plane.SAGITTAL: ("A", "P", "S", "I"),
}
"""Sides of the patient at the left, right, upper and lower edge of a plane's view."""

SCALES_MM = (1, 2, 5, 10, 20, 50, 100, 200)
SCALE_SHARE = 0.25
"""Most of a view's width that the bar of scale takes."""


def preview(
    volume: Volume,
    result: SegmentationResult,
    prompts: Sequence[ResolvedObject] | None = None,
    reference: Segmentation | None = None,
) -> Image.Image:
    """Draw what was found: the planes that show most of it, then each object on the slice that was prompted.

    Args:
        volume: The scan.
        result: What was found in it.
        prompts: What was prompted, to be drawn, too.
        reference: Ground truth with the same labels, to be drawn and compared with.

    Returns:
        RGB, 1600 pixels wide.

    Raises:
        GeometryError: The result or the reference is not on the scan's grid.
    """
    scene = Scene(volume, result, {one.label: one for one in prompts or ()}, reference)
    tiles = _tiles(scene)
    views = scene.views()
    view_places, tile_places = _places(scene, views, tiles)
    bottom = max(place.bottom for place in (*view_places, *tile_places))
    page = Page(PAGE_WIDTH, bottom + FOOTER_HEIGHT + MARGIN // 2)
    _write_header(page, scene)
    for view, place in zip(views, view_places, strict=True):
        draw_view(page, scene, view, scene.best_frame(view), place)
    for tile, place in zip(tiles, tile_places, strict=True):
        _draw_tile(page, scene, tile, place)
    _write_footer(page, scene)
    return page.image


def write_preview(image: Image.Image, path: str | os.PathLike[str]) -> None:
    """Write a preview as PNG, whole or not at all.

    Raises:
        FormatError: The file cannot be written.
    """
    with written_whole(Path(path)) as draft:
        image.save(draft, format="PNG", optimize=True)


@dataclass(frozen=True, eq=False)
class Tile:
    """A cut of an object.

    Attributes:
        number: Of the object in the result, from 0.
        one: The object.
        view: Of its plane.
        frame: Which is shown.
        region: Around the object; the same in all its tiles.
        is_main: The tile that names the object.
    """

    number: int
    one: ObjectResult
    view: PlaneView
    frame: int
    region: Region
    is_main: bool


def _tiles(scene: Scene) -> list[Tile]:
    objects = scene.result.objects[:MOST_TILES]
    count = TILES_IN_ROW if len(objects) <= FEW_OBJECTS else 1
    tiles: list[Tile] = []
    for number, one in enumerate(objects):
        view = PlaneView.of(scene.volume.geometry, one.plane)
        tiles += object_tiles(scene, number, one, scene.frames_through(one, view, count))
    return tiles


def object_tiles(scene: Scene, number: int, one: ObjectResult, frames: Sequence[int]) -> list[Tile]:
    """Give the cuts of an object in some frames of its plane, all of one region around it.

    Args:
        scene: What is shown.
        number: Of the object in the result, from 0.
        one: The object.
        frames: Which are shown; the first one's tile names the object.
    """
    view = PlaneView.of(scene.volume.geometry, one.plane)
    around = scene.region(one, view, frames) or whole_frame(view.frame_shape)
    return [Tile(number, one, view, t, around, is_main=t == frames[0]) for t in frames]


def _places(scene: Scene, views: Sequence[PlaneView], tiles: Sequence[Tile]) -> tuple[list[Rectangle], list[Rectangle]]:
    """Lay the views and the tiles on the page."""
    if len(views) == 1 and 0 < len(tiles) <= BESIDE_AT_MOST:
        return _places_beside(aspect_of(views[0]), len(tiles))
    first = max(range(len(views)), key=lambda number: _area_mm2(views[number]))
    view_places = arrange_views([aspect_of(view) for view in views], first, HEADER_HEIGHT)
    top = max(place.bottom for place in view_places) + GAP
    of_objects = list(Counter(tile.number for tile in tiles).values())
    if max(of_objects, default=1) > 1:
        return view_places, tiles_below(of_objects, TILES_IN_ROW, top)
    columns = tile_columns(len(tiles))
    return view_places, tiles_below(split_rows(len(tiles), columns), columns, top)


def _places_beside(aspect: float, tiles: int) -> tuple[list[Rectangle], list[Rectangle]]:
    """Lay a single view on the left half of the page, and its tiles on the right one."""
    half = (CONTENT_WIDTH - GAP) // 2
    width, height = fit(aspect, half, TALL_HEIGHT)
    left_half = Rectangle(MARGIN, HEADER_HEIGHT, half, max(height, SHORTEST_TILES))
    right_half = replace(left_half, left=left_half.right + GAP)
    return [left_half.centred(width, height)], tiles_beside(tiles, right_half)


def aspect_of(view: PlaneView) -> float:
    """Give width over height of a plane's frames, in mm."""
    (rows, columns), (row_mm, column_mm) = view.frame_shape, view.frame_spacing_mm
    return columns * column_mm / (rows * row_mm)


def _area_mm2(view: PlaneView) -> float:
    return math.prod(view.frame_shape) * math.prod(view.frame_spacing_mm)


def draw_view(page: Page, scene: Scene, view: PlaneView, t: int, place: Rectangle) -> None:
    """Draw a whole frame with all objects, the sides of the patient and a scale."""
    panel = Panel(scene.frame(view, t), Viewport(whole_frame(view.frame_shape), place.width, place.height))
    for number, one in enumerate(scene.result.objects):
        panel.draw_object(scene.mask(one.label, view, t), object_colour(number))
    page.paste(panel.image(), place.left, place.top)
    if not scene.is_picture:
        _write_sides(page, view.plane, place)
        _draw_scale(page, panel.viewport.scale[1] / view.frame_spacing_mm[1], place)
        _write_slice(page, view, t, place)


def _write_slice(page: Page, view: PlaneView, t: int, place: Rectangle) -> None:
    name = f"{view.plane}  {'ijk'[view.voxel_axis]} = {view.slice_index(t)}"
    page.write_over(name, (place.left + 10, place.bottom - 10), DETAIL_SIZE, "ls")


def _write_sides(page: Page, plane: Plane, place: Rectangle) -> None:
    left, right, upper, lower = SIDES[plane]
    middle_x, middle_y = place.left + place.width / 2, place.top + place.height / 2
    if place.width >= ROOM_FOR_SIDES:
        page.write_over(left, (place.left + 9, middle_y), LETTER_SIZE, "lm")
        page.write_over(right, (place.right - 9, middle_y), LETTER_SIZE, "rm")
    if place.height >= ROOM_FOR_SIDES:
        page.write_over(upper, (middle_x, place.top + 8), LETTER_SIZE, "ma")
        page.write_over(lower, (middle_x, place.bottom - 9), LETTER_SIZE, "ms")


def _draw_scale(page: Page, pixels_per_mm: float, place: Rectangle) -> None:
    fitting = [mm for mm in SCALES_MM if mm * pixels_per_mm <= SCALE_SHARE * place.width]
    if fitting and place.height >= ROOM_FOR_SIDES:
        width = round(fitting[-1] * pixels_per_mm)
        page.bar(place.right - 12 - width, place.bottom - 14, width)
        page.write_over(f"{fitting[-1]} mm", (place.right - 12, place.bottom - 21), DETAIL_SIZE, "rs")


def _draw_tile(page: Page, scene: Scene, tile: Tile, place: Rectangle) -> None:
    page.card(place)
    inner = Rectangle(place.left, place.top, place.width, place.height - CAPTION_HEIGHT)
    draw_cut(page, scene, tile, inner)
    _write_caption(page, scene, tile, Rectangle(place.left, inner.bottom, place.width, CAPTION_HEIGHT))


def draw_cut(page: Page, scene: Scene, tile: Tile, inner: Rectangle) -> None:
    """Draw what lies around an object in a frame: prompt, result and reference."""
    spacing = tile.view.frame_spacing_mm
    region = surroundings(tile.region, tile.view.frame_shape, spacing, inner.width / inner.height)
    panel = Panel(scene.frame(tile.view, tile.frame), show(region, spacing, inner.width, inner.height))
    _draw_object(panel, scene, tile)
    picture = panel.image()
    middle = inner.centred(*picture.size)
    page.paste(picture, middle.left, middle.top)
    if not scene.is_picture:
        _write_slice(page, tile.view, tile.frame, inner)


def _draw_object(panel: Panel, scene: Scene, tile: Tile) -> None:
    """Draw the mask that was prompted, the result on it, then the reference, box and clicks."""
    where = (tile.one.label, tile.view, tile.frame)
    prompt, reference = scene.prompt(*where), scene.reference_mask(*where)
    if prompt is not None:
        panel.draw_mask_prompt(prompt)
    panel.draw_object(scene.mask(*where), object_colour(tile.number))
    if reference is not None:
        panel.draw_reference(reference)
    if prompt is not None:
        panel.draw_box_and_clicks(prompt)


def _write_caption(page: Page, scene: Scene, tile: Tile, place: Rectangle) -> None:
    left, right, line = place.left + 10, place.right - 10, place.top + 24
    if not tile.is_main:
        page.write(_confidence(tile), (left, line), DETAIL_SIZE, MUTED, "ls")
        return
    title_left = left + SWATCH + 8
    title = shortened(legible(tile.one.name, tile.one.label), TITLE_SIZE, right - title_left)
    page.swatch(left, line - SWATCH, SWATCH, object_colour(tile.number))
    page.write(title, (title_left, line), TITLE_SIZE, anchor="ls")
    line += 23
    page.write(_size(scene, tile.one), (left, line), DETAIL_SIZE, TEXT if tile.one.voxels else ALERT, "ls")
    if tile.one.label in scene.scores:
        page.write(f"Dice {scene.scores[tile.one.label]:.2f}", (right, line), DETAIL_SIZE, TEXT, "rs")


def _size(scene: Scene, one: ObjectResult) -> str:
    if one.voxels == 0:
        return "not found"
    return f"{one.voxels:,} px" if scene.is_picture else f"{format_ml(one.volume_ml)} mL"


def _confidence(tile: Tile) -> str:
    index = tile.view.slice_index(tile.frame)
    confidences = [slice_.confidence for slice_ in tile.one.slices if slice_.slice_index == index]
    return f"confidence {confidences[0]:.2f}" if confidences else ""


def _write_header(page: Page, scene: Scene) -> None:
    result, window = scene.result, scene.result.window
    found, asked = sum(one.voxels > 0 for one in result.objects), len(result.objects)
    headline = f"{found} of {asked} object{'' if asked == 1 else 's'} found"
    if scene.scores:
        headline += f"  ·  mean Dice {mean(scene.scores.values()):.2f}"
    columns, rows, _ = scene.volume.geometry.size_ijk
    facts = [
        f"{columns} x {rows} pixels" if scene.is_picture else scene.volume.geometry.describe(),
        f"window {window.name} ({window.lower:g} to {window.upper:g})",
        f"{result.seconds:.1f} s",
    ]
    line = HEADER_HEIGHT - 15
    page.write(headline, (MARGIN, line), TITLE_SIZE, anchor="ls")
    page.write("  ·  ".join(facts), (PAGE_WIDTH - MARGIN, line), DETAIL_SIZE, MUTED, "rs")


def _write_footer(page: Page, scene: Scene) -> None:
    resolved = [prompt for one in scene.prompts.values() for prompt in one.slices.values()]
    legend = [
        ("coloured: result", True),
        ("white band: drawn mask", any(prompt.mask is not None for prompt in resolved)),
        ("dashes: box", any(prompt.box is not None for prompt in resolved)),
        ("green and red dots: clicks inside and outside", any(prompt.points for prompt in resolved)),
        ("white dots: reference", scene.reference is not None),
    ]
    shown = "  ·  ".join(text for text, is_shown in legend if is_shown)
    line = page.image.height - MARGIN // 2 - 10
    page.write(shown, (MARGIN, line), DETAIL_SIZE, MUTED, "ls")
    hidden = len(scene.result.objects) - MOST_TILES
    if hidden > 0:
        page.write(f"{hidden} more objects have no tile", (PAGE_WIDTH - MARGIN, line), DETAIL_SIZE, MUTED, "rs")
