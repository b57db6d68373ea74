"""The pelvis: its organs and vessels, and the hips."""

from __future__ import annotations

from medsam2.synthetic.canvas import Canvas, Packing
from medsam2.synthetic.organs import fill_organs, pack_bowel, pack_organ, paint_lesions, place_organ
from medsam2.synthetic.shapes import Ellipsoid, Point
from medsam2.synthetic.trunk import LABEL, Trunk

_ORGANS: tuple[tuple[str, tuple[float, float], Point], ...] = (  # name, (y, x) share of the cavity, radii
    ("bladder", (-0.25, 0.0), (0.28, 0.24, 0.28)),
    ("uterus or prostate", (0.15, 0.0), (0.2, 0.15, 0.2)),
    ("bowel wall", (0.5, 0.0), (9.0, 0.11, 0.12)),
    ("vein", (-0.1, 0.55), (9.0, 0.05, 0.06)),
    ("vein", (-0.1, -0.55), (9.0, 0.05, 0.06)),
    ("aorta", (-0.2, 0.5), (9.0, 0.045, 0.045)),
    ("aorta", (-0.2, -0.5), (9.0, 0.045, 0.045)),
)


def paint_pelvis(canvas: Canvas, trunk: Trunk) -> None:
    """Paint the pelvic organs and vessels, and the hips over them."""
    source = canvas.source
    rough = canvas.rough_field(source.uniform(4.0, 7.0))
    packing = Packing(canvas, source.choice((0.0, 0.005, 0.012)))
    placed = []
    for name, spot, radii in _ORGANS:
        if source.chance(0.9):
            placed.append((name, pack_organ(canvas, packing, place_organ(canvas, trunk, spot, radii), name, rough)))
    placed += pack_bowel(canvas, trunk, packing, rough, source.integer(0, 6))
    deep = packing.paint(trunk.level < -0.01)
    fill_organs(canvas, placed, deep)
    uterus = [part for name, part in placed if name == "uterus or prostate"]
    for part in uterus:
        paint_lesions(canvas, part, source.integer(0, 2))
    for side in (-1.0, 1.0):
        _paint_hip(canvas, trunk, side)


def _paint_hip(canvas: Canvas, trunk: Trunk, side: float) -> None:
    """Iliac plate or acetabulum with the femoral head."""
    source = canvas.source
    edge = source.uniform(0.012, 0.022)
    field = canvas.field(5.0)
    spot = (source.uniform(-0.6, 0.6) * canvas.depth, source.uniform(-0.1, 0.15), side * (trunk.width - 0.02))
    shape = Ellipsoid(spot, (0.6, 0.25, 0.06), side * source.uniform(0.3, 0.8), boxiness=0.15)
    plate = shape.level(canvas) + 0.012 * field
    bone = canvas.paint(plate < 0, LABEL["bone cortex"])
    canvas.paint(plate < -edge, LABEL["bone marrow"], bone)
    if source.chance(0.7):
        radius = source.uniform(0.09, 0.13)
        head = (source.uniform(-1, 1) * canvas.depth, source.uniform(-0.1, 0.1), side * (trunk.width + 0.06))
        ball = Ellipsoid(head, (radius * 1.2, radius, radius)).level(canvas)
        femur = canvas.paint(ball < 0, LABEL["bone cortex"])
        canvas.paint(ball < -edge, LABEL["bone marrow"], femur)
