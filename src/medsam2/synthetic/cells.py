"""Microscopy scenes: nuclei, packed cells, glands, vesicles; many like instances."""

from __future__ import annotations

import math

import torch

from medsam2.synthetic.canvas import Canvas, Extent, Packing
from medsam2.synthetic.random_source import RandomSource
from medsam2.synthetic.shapes import Ellipsoid, random_point
from medsam2.synthetic.slab import Slab, Structure

STRUCTURES = (
    Structure("background", "glass"),
    Structure("cytoplasm", "cytoplasm"),
    Structure("nucleus", "nucleus"),
    Structure("nucleolus", "nucleolus"),
    Structure("stroma", "stroma"),
    Structure("gland epithelium", "cytoplasm"),
    Structure("lumen", "glass"),
    Structure("vesicle", "nucleolus"),
    Structure("second cell type", "nucleus"),
)
_LABEL = {structure.name: label for label, structure in enumerate(STRUCTURES)}
_NUCLEI_LIMIT = 130


def paint_cells(extent: Extent, source: RandomSource) -> Slab:
    """Paint packed cells with membranes, nuclei and vesicles, or glands in stroma."""
    canvas = Canvas(extent, source, warp=source.uniform(0.01, 0.06), warp_cells=source.uniform(4.0, 9.0))
    _paint_stroma(canvas)
    if source.chance(0.3):
        _paint_glands(canvas)
    else:
        _paint_tissue(canvas)
    return canvas.finish(STRUCTURES, "cells")


def paint_nuclei(extent: Extent, source: RandomSource) -> Slab:
    """Paint nuclei alone: few or many, round or long, touching or apart."""
    canvas = Canvas(extent, source, warp=source.uniform(0.005, 0.04), warp_cells=source.uniform(5.0, 12.0))
    _paint_stroma(canvas)
    radius = source.log_uniform(0.035, 0.2)
    crowd = source.log_uniform(0.15, 1.0)
    count = min(_NUCLEI_LIMIT, max(3, int(crowd * 1.3 / radius**2)))
    cells = _pack_round(canvas, "nucleus", radius, count, source.uniform(1.0, 2.2))
    if source.chance(0.4):
        _paint_centres(canvas, cells, "nucleolus", 0.35)
    if source.chance(0.3):
        _pack_round(canvas, "second cell type", radius * source.uniform(0.4, 1.5), count // 4, 1.6)
    return canvas.finish(STRUCTURES, "nuclei")


def _paint_stroma(canvas: Canvas) -> None:
    source = canvas.source
    if source.chance(0.5):
        canvas.paint(canvas.rough_field(source.uniform(1.5, 5.0)) > source.uniform(-0.6, 0.8), _LABEL["stroma"])


def _pack_round(canvas: Canvas, name: str, radius: float, count: int, longest: float) -> list[tuple[int, Ellipsoid]]:
    """Pack round or long bodies; return their identifiers and shapes."""
    source = canvas.source
    packing = Packing(canvas, source.choice((0.0, 0.004, 0.01)))
    grain = canvas.field(source.uniform(8.0, 16.0))
    direction = source.uniform(0, math.pi) if source.chance(0.4) else None
    cells = []
    for _ in range(count):
        size, aspect = radius * source.uniform(0.6, 1.35), source.uniform(1.0, longest)
        angle = source.uniform(0, math.pi) if direction is None else direction + source.normal(0, 0.3)
        shape = Ellipsoid(random_point(source, canvas, 1.0), (size, size / aspect**0.5, size * aspect**0.5), angle)
        window = shape.window(canvas)
        instance = canvas.new_instance(_LABEL[name])
        packing.add(window, shape.level(canvas, window) + 0.12 * size * grain[window], instance)
        cells.append((instance, shape))
    packing.paint()
    return cells


def _paint_centres(canvas: Canvas, cells: list[tuple[int, Ellipsoid]], name: str, share: float) -> None:
    source = canvas.source
    for cell, outer in cells:
        if source.chance(0.15):
            continue
        size = share * source.uniform(0.6, 1.3)
        z, y, x = outer.centre
        shift = 0.3 * min(outer.radii)
        centre = (z, y + source.uniform(-shift, shift), x + source.uniform(-shift, shift))
        radii = (outer.radii[0] * size, outer.radii[1] * size, outer.radii[2] * size)
        shape = Ellipsoid(centre, radii, outer.angle)
        window = shape.window(canvas)
        mask = (shape.level(canvas, window) < 0) & (canvas.instances[window] == cell)
        canvas.paint_window(window, mask, canvas.new_instance(_LABEL[name], cell))


def _paint_tissue(canvas: Canvas) -> None:
    source = canvas.source
    radius = source.log_uniform(0.12, 0.4)
    count = min(90, max(6, int(4.5 / radius**2 * source.uniform(0.5, 1.3))))
    cells = _pack_round(canvas, "cytoplasm", radius, count, source.uniform(1.0, 2.5))
    if source.chance(0.8):
        _paint_centres(canvas, cells, "nucleus", source.uniform(0.35, 0.6))
    if source.chance(0.5):
        _paint_vesicles(canvas)


def _paint_vesicles(canvas: Canvas) -> None:
    source = canvas.source
    for _ in range(source.integer(5, 40)):
        radius = source.log_uniform(0.015, 0.08)
        spot = random_point(source, canvas, 0.95)
        shape = Ellipsoid(spot, (radius, radius, radius * source.uniform(1, 3)), source.uniform(0, 3))
        window = shape.window(canvas)
        canvas.paint_window(window, shape.level(canvas, window) < 0, canvas.new_instance(_LABEL["vesicle"]))


def _paint_glands(canvas: Canvas) -> None:
    """Rings of epithelium with nuclei around an irregular lumen."""
    source = canvas.source
    glands = _pack_round(canvas, "gland epithelium", source.uniform(0.18, 0.4), source.integer(4, 14), 2.0)
    field = canvas.rough_field(source.uniform(5.0, 9.0))
    for gland, shape in glands:
        window = shape.window(canvas)
        size = min(shape.radii[1:])
        level = shape.level(canvas, window) + 0.3 * size * field[window]
        inside = canvas.instances[window] == gland
        lumen = canvas.new_instance(_LABEL["lumen"], gland)
        canvas.paint_window(window, inside & (level < -size * source.uniform(0.35, 0.7)), lumen)
    if source.chance(0.7):
        _paint_epithelial_nuclei(canvas)


def _paint_epithelial_nuclei(canvas: Canvas) -> None:
    source = canvas.source
    radius = source.uniform(0.02, 0.05)
    labels = canvas.label_map()
    allowed = (labels == _LABEL["gland epithelium"]) | (labels == _LABEL["stroma"])
    for _ in range(100):
        spot = random_point(source, canvas, 1.0)
        shape = Ellipsoid(spot, (radius, radius * source.uniform(0.6, 1.2), radius), source.uniform(0, 3))
        window = shape.window(canvas)
        mask = (shape.level(canvas, window) < 0) & allowed[window]
        if torch.numel(mask):
            canvas.paint_window(window, mask, canvas.new_instance(_LABEL["nucleus"]))
