"""Scenes of no particular anatomy: nested smooth shapes, blobs, polygons, tubes, layers."""

from __future__ import annotations

import torch
from torch import Tensor

from medsam2.synthetic.canvas import Canvas, Extent, Packing
from medsam2.synthetic.random_source import RandomSource
from medsam2.synthetic.shapes import (
    Ellipsoid,
    Tube,
    paint_tree,
    polygon_level,
    random_path,
    random_point,
    vessel_tree,
)
from medsam2.synthetic.slab import Slab, Structure

_LABELS = 24
STRUCTURES = (Structure("outside", "air"), *(Structure(f"matter {label}", "matter") for label in range(1, _LABELS + 1)))


def paint_generic(extent: Extent, source: RandomSource) -> Slab:
    """Paint a random number of random shapes over a random ground."""
    canvas = Canvas(extent, source, warp=source.uniform(0.03, 0.12), warp_cells=source.uniform(2.0, 6.0))
    label = _paint_ground(canvas)
    painters = source.choice(
        (
            (_paint_ellipsoids, _paint_ellipsoids, _paint_polygon),
            (_paint_noise_blobs, _paint_ellipsoids),
            (_paint_nested, _paint_tubes),
            (_paint_nested, _paint_ellipsoids, _paint_noise_blobs),
            (_paint_polygon, _paint_tubes, _paint_nested),
            (_paint_packed, _paint_tubes),
            (_paint_packed, _paint_nested),
        )
    )
    for painter in painters:
        label = painter(canvas, label)
    return canvas.finish(STRUCTURES, "generic")


def _next(label: int) -> int:
    return label % _LABELS + 1


def _paint_ground(canvas: Canvas) -> int:
    """Leave the ground empty, fill it, layer it, or paint a body-like outline."""
    source = canvas.source
    choice = source.choice(("empty", "filled", "body", "layers"), (2, 2, 3, 1))
    if choice == "empty":
        return 1
    everywhere = torch.ones(canvas.shape, dtype=torch.bool, device=source.device)
    if choice == "filled":
        canvas.paint(everywhere, 1)
        return 2
    if choice == "body":
        radii = (source.uniform(0.6, 3.0), source.uniform(0.6, 0.95), source.uniform(0.6, 0.95))
        level = Ellipsoid((0, 0, 0), radii, boxiness=source.uniform(-0.1, 1.0)).level(canvas)
        level = level + 0.05 * canvas.rough_field(3.0)
        canvas.paint(level < 0, 1)
        if source.chance(0.5):
            canvas.paint(level < -source.uniform(0.02, 0.1), 2, 1)
        return 3
    height = canvas.y + 0.15 * canvas.rough_field(2.0)
    for label in range(1, source.integer(2, 6)):
        canvas.paint(height > source.uniform(-0.9, 0.9), label)
    return 6


def _random_ellipsoid(canvas: Canvas, low: float, high: float) -> Ellipsoid:
    source = canvas.source
    radius = source.log_uniform(low, high)
    radii = (
        radius * source.uniform(0.5, 1.5),
        radius * source.uniform(0.45, 1.4),
        radius * source.uniform(0.45, 1.4),
    )
    tilt = (source.normal(0, 0.4), source.normal(0, 0.4))
    spot = random_point(source, canvas, 0.8)
    return Ellipsoid(spot, radii, source.uniform(0, 3.14), tilt, source.uniform(-0.35, 1.0))


def _nest(canvas: Canvas, level: Tensor, label: int, depth: int, size: float) -> int:
    """Paint a shape and smaller ones inside it, each at a greater depth; return the next label."""
    source = canvas.source
    field = canvas.field(source.uniform(3.0, 9.0))
    parent, inset = 0, 0.0
    for _ in range(depth):
        parent = canvas.paint(level < -inset, label, parent)
        inset += size * source.uniform(0.08, 0.4)
        level = level + 0.1 * size * source.uniform(0, 1) * field
        label = _next(label)
    return label


def _paint_nested(canvas: Canvas, label: int) -> int:
    source = canvas.source
    for _ in range(source.integer(1, 3)):
        shape = _random_ellipsoid(canvas, 0.15, 0.6)
        size = min(shape.radii[1:])
        rough = 0.25 * size * source.uniform(0.2, 1.5) * canvas.rough_field(source.uniform(2.0, 6.0))
        label = _nest(canvas, shape.level(canvas) + rough, label, source.integer(1, 4), size)
    return label


def _paint_ellipsoids(canvas: Canvas, label: int) -> int:
    source = canvas.source
    rough = canvas.rough_field(source.uniform(3.0, 9.0))
    for _ in range(source.integer(2, 8)):
        shape = _random_ellipsoid(canvas, 0.05, 0.4)
        window = shape.window(canvas)
        bumps = source.uniform(0, 0.35) * min(shape.radii[1:]) * source.sign()
        mask = shape.level(canvas, window) + bumps * rough[window] < 0
        canvas.paint_window(window, mask, canvas.new_instance(label))
        label = _next(label) if source.chance(0.7) else label
    return label


def _paint_packed(canvas: Canvas, label: int) -> int:
    """Shapes that share borders."""
    source = canvas.source
    packing = Packing(canvas, source.choice((0.0, 0.005, 0.02)))
    rough = canvas.rough_field(source.uniform(3.0, 8.0))
    for _ in range(source.integer(4, 16)):
        shape = _random_ellipsoid(canvas, 0.1, 0.45)
        window = shape.window(canvas)
        level = shape.level(canvas, window) + 0.2 * min(shape.radii[1:]) * rough[window] * source.uniform(-1, 1)
        packing.add(window, level, canvas.new_instance(label))
        label = _next(label) if source.chance(0.8) else label
    packing.paint()
    return label


def _paint_noise_blobs(canvas: Canvas, label: int) -> int:
    source = canvas.source
    field = canvas.rough_field(source.uniform(2.0, 7.0))
    threshold, parent = source.uniform(0.3, 1.2), 0
    for _ in range(source.integer(1, 3)):
        parent = canvas.paint(field > threshold, label, parent)
        threshold += source.uniform(0.2, 0.7)
        label = _next(label)
    return label


def _paint_polygon(canvas: Canvas, label: int) -> int:
    source = canvas.source
    for _ in range(source.integer(1, 2)):
        spot, radius = random_point(source, canvas), source.uniform(0.1, 0.5)
        level = polygon_level(canvas, spot, radius, source.integer(3, 7), source.uniform(0, 3))
        label = _nest(canvas, level, label, source.integer(1, 2), radius)
    return label


def _paint_tubes(canvas: Canvas, label: int) -> int:
    source = canvas.source
    for _ in range(source.integer(1, 4)):
        radius = source.log_uniform(0.015, 0.12)
        heading = (source.normal(0, 0.08), source.normal(0, 0.2), source.normal(0, 0.2))
        start = random_point(source, canvas)
        if source.chance(0.4):
            paint_tree(canvas, vessel_tree(source, start, heading, radius), label)
        else:
            path = random_path(source, start, heading, source.integer(3, 8), 0.6)
            tube = Tube(tuple(path), tuple(radius * source.uniform(0.6, 1.3) for _ in path))
            wall = canvas.new_instance(label)
            tube.paint(canvas, wall)
            if radius > 0.05 and source.chance(0.5):
                label = _next(label)
                tube.paint(canvas, canvas.new_instance(label, wall), inset=radius * source.uniform(0.2, 0.5))
        label = _next(label)
    return label
