"""The chest: lungs with their vessels, and the mediastinum with heart, great vessels and airway."""

from __future__ import annotations

import math

from torch import Tensor

from medsam2.synthetic.canvas import Canvas, Packing
from medsam2.synthetic.organs import inner_point, pack_organ
from medsam2.synthetic.shapes import Ellipsoid, Tube, paint_tree, vessel_tree
from medsam2.synthetic.trunk import LABEL, Trunk


def paint_chest(canvas: Canvas, trunk: Trunk) -> None:
    """Paint the lungs, what lies between them, and lesions of the lungs."""
    source = canvas.source
    lungs = _paint_lungs(canvas, trunk)
    _paint_mediastinum(canvas, trunk)
    for lung in lungs:
        if source.chance(0.6):
            inside = canvas.inside(lung)
            for _ in range(source.integer(1, 2)):
                radius = source.log_uniform(0.015, 0.12)
                ball = Ellipsoid(inner_point(canvas, inside), (radius, radius, radius * source.uniform(0.8, 1.3)))
                window = ball.window(canvas)
                bumpy = ball.level(canvas, window) + 0.3 * radius * canvas.field(12.0)[window]
                lesion = canvas.new_instance(LABEL["lesion"], lung)
                canvas.paint_window(window, (bumpy < 0) & inside[window], lesion)


def _paint_lungs(canvas: Canvas, trunk: Trunk) -> list[int]:
    source = canvas.source
    gap = source.uniform(0.1, 0.25)
    rough = canvas.field(4.0)
    lungs = []
    for side in (-1.0, 1.0):
        middle = source.uniform(-0.6, 0.6) * canvas.depth if source.chance(0.6) else 0.0
        height = source.uniform(0.25, 0.8) if middle else 9.0
        ball = Ellipsoid(
            (middle, source.uniform(-0.05, 0.05), side * (gap + trunk.width * 0.5)),
            (height, trunk.height * 0.95, trunk.width * source.uniform(0.42, 0.55)),
            boxiness=0.3,
        )
        level = ball.level(canvas) + 0.04 * rough * side
        inside = (level < 0) & (trunk.level < -0.008) & (canvas.x * side > gap * 0.35)
        lungs.append(canvas.paint(inside, LABEL["lung"]))
    _paint_lung_vessels(canvas, lungs, source.integer(3, 7))
    return lungs


def paint_lung_bases(canvas: Canvas, trunk: Trunk) -> None:
    """Lungs above a dome: they sink into the slab from its upper end."""
    source = canvas.source
    dome = 1.0 - 1.3 * (canvas.x / trunk.width) ** 2 - 0.9 * (canvas.y / trunk.height + 0.2) ** 2
    above = canvas.z - source.uniform(-0.5, 0.8) * canvas.depth > 0.35 * dome + 0.03 * canvas.field(4.0)
    near_wall = (
        (trunk.level < -0.01)
        & (trunk.level > -0.35)
        & (canvas.x.abs() > 0.12 + 0.05 * canvas.field(3.0) + 0.2 * (canvas.y / trunk.height).clamp(min=0.0))
    )
    lung = canvas.paint(above & near_wall, LABEL["lung"])
    _paint_lung_vessels(canvas, [lung], source.integer(2, 5))


def _paint_lung_vessels(canvas: Canvas, lungs: list[int], trees: int) -> None:
    source = canvas.source
    inside = canvas.inside(*lungs)
    for _ in range(trees):
        root = inner_point(canvas, inside)
        away = math.copysign(1.0, root[2])
        heading = (source.normal(0, 0.06), source.normal(0, 0.1), away * source.uniform(0.03, 0.12))
        tubes = vessel_tree(source, root, heading, source.uniform(0.012, 0.03), 5)
        paint_tree(canvas, tubes, LABEL["lung vessels"], lungs[0], inside)


def _paint_mediastinum(canvas: Canvas, trunk: Trunk) -> None:
    source = canvas.source
    rough = canvas.rough_field(5.0)
    packing = Packing(canvas, source.choice((0.0, 0.005, 0.012)))
    parts: list[tuple[str, Ellipsoid]] = []
    if source.chance(0.7):
        centre = (source.uniform(-1, 1) * (canvas.depth + 0.1), source.uniform(-0.35, 0.0) * trunk.height, 0.12)
        heart = Ellipsoid(centre, (0.35, 0.26, 0.28), source.uniform(-0.8, 0.8), boxiness=0.1)
        parts.append(("heart muscle", heart))
    else:
        for name, spot in (("aorta", (-0.2, 0.05)), ("vein", (-0.25, -0.15)), ("vein", (-0.35, 0.2))):
            parts.append((name, Ellipsoid((0, spot[0], spot[1]), (source.uniform(0.2, 2.0), 0.07, 0.08))))
    parts.append(("aorta", Ellipsoid((0, 0.5 * trunk.height, 0.14), (9.0, 0.065, 0.065))))
    parts.append(("oesophagus", Ellipsoid((0, 0.42 * trunk.height, 0.03), (9.0, 0.035, 0.045))))
    placed = [(name, pack_organ(canvas, packing, organ, name, rough)) for name, organ in parts]
    deep = packing.paint(trunk.level < -0.01)
    for name, part in placed:
        if name == "heart muscle":
            _fill_heart(canvas, part, deep)
    airway = canvas.new_instance(LABEL["airway"])
    split = source.uniform(-canvas.depth, canvas.depth)
    start = (3.0, 0.15 * trunk.height, 0.0)
    fork = (split, 0.15 * trunk.height, 0.0)
    radius = source.uniform(0.035, 0.055)
    Tube((start, fork), (radius, radius)).paint(canvas, airway)
    for side in (-1.0, 1.0):
        end = (split - 0.3, 0.2 * trunk.height, side * 0.4)
        Tube((fork, end), (radius * 0.8, radius * 0.5)).paint(canvas, airway)


def _fill_heart(canvas: Canvas, part: int, deep: Tensor) -> None:
    source = canvas.source
    field = canvas.field(4.5)
    wall = source.uniform(0.03, 0.06)
    chambers = canvas.inside(part) & (deep > wall) & (field.abs() > 0.2)
    canvas.paint(chambers & (field > 0), LABEL["heart chamber"], part)
    canvas.paint(chambers & (field < 0), LABEL["heart chamber"], part)
