"""The pictures of one object: three planes through it, and the slices that were prompted."""

from __future__ import annotations

from dataclasses import dataclass

from PIL import Image

from medsam2.engine.volume_result import ObjectResult
from medsam2.reporting.layout import Rectangle
from medsam2.reporting.page import Page
from medsam2.reporting.preview import Tile, aspect_of, draw_cut, draw_view, object_tiles
from medsam2.reporting.scene import Scene
from medsam2.reporting.viewport import fit
from medsam2.spatial import PlaneView

MOST_OBJECTS = 30
"""Further objects have no pictures: each has some hundred kilobytes."""

MOST_PROMPTED = 3
"""Of more prompted slices, the first ones are shown."""

PLANE_WIDTH, PLANE_HEIGHT = 400, 320
CUT_SIZE = 320


@dataclass(frozen=True, eq=False)
class Picture:
    """A picture and what stands below it."""

    image: Image.Image
    caption: str


def object_pictures(scene: Scene, number: int, one: ObjectResult) -> list[Picture]:
    """Draw the prompted slices, close to the object, and each plane where it shows most of the object.

    Args:
        scene: What is shown.
        number: Of the object in the result, from 0.
        one: The object.
    """
    cuts = [_cut(scene, tile) for tile in _prompted(scene, number, one)]
    planes = [_plane(scene, one, view) for view in scene.views()] if one.voxels and not scene.is_picture else []
    return [*cuts, *planes]


def _prompted(scene: Scene, number: int, one: ObjectResult) -> list[Tile]:
    view = PlaneView.of(scene.volume.geometry, one.plane)
    frames = [view.frame_number(index) for index in one.prompted_slices[:MOST_PROMPTED]]
    return object_tiles(scene, number, one, frames or [scene.main_frame(one, view)])


def _cut(scene: Scene, tile: Tile) -> Picture:
    page = Page(CUT_SIZE, CUT_SIZE)
    draw_cut(page, scene, tile, Rectangle(0, 0, CUT_SIZE, CUT_SIZE))
    index = tile.view.slice_index(tile.frame)
    where = "" if scene.is_picture else f", {tile.view.plane} {'ijk'[tile.view.voxel_axis]} = {index}"
    kind = "prompted slice" if index in tile.one.prompted_slices else "slice"
    return Picture(page.image, f"{kind}{where}")


def _plane(scene: Scene, one: ObjectResult, view: PlaneView) -> Picture:
    width, height = fit(aspect_of(view), PLANE_WIDTH, PLANE_HEIGHT)
    page = Page(width, height)
    t = scene.largest_frame(one, view)
    draw_view(page, scene, view, t, Rectangle(0, 0, width, height))
    return Picture(page.image, f"{view.plane}, {'ijk'[view.voxel_axis]} = {view.slice_index(t)}")
