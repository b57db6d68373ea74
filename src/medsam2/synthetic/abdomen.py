"""The abdomen: its organs, bowel loops, mesenteric vessels."""

from __future__ import annotations

from medsam2.synthetic.canvas import Canvas, Packing
from medsam2.synthetic.chest import paint_lung_bases
from medsam2.synthetic.organs import fill_organs, pack_bowel, pack_organ, place_organ
from medsam2.synthetic.shapes import Point, paint_tree, vessel_tree
from medsam2.synthetic.trunk import LABEL, Trunk

_ORGANS: tuple[tuple[str, tuple[float, float], Point], ...] = (  # name, (y, x) share of the cavity, radii
    ("liver", (-0.15, -0.5), (0.55, 0.36, 0.36)),
    ("liver", (-0.4, -0.1), (0.35, 0.2, 0.3)),
    ("spleen", (0.2, 0.72), (0.3, 0.2, 0.13)),
    ("kidney cortex", (0.5, -0.45), (0.3, 0.13, 0.12)),
    ("kidney cortex", (0.5, 0.45), (0.3, 0.13, 0.12)),
    ("stomach wall", (-0.35, 0.45), (0.35, 0.18, 0.25)),
    ("pancreas", (0.0, 0.05), (0.12, 0.06, 0.28)),
    ("gallbladder", (-0.3, -0.35), (0.14, 0.09, 0.08)),
    ("aorta", (0.42, 0.08), (9.0, 0.06, 0.06)),
    ("vein", (0.4, -0.14), (9.0, 0.06, 0.075)),
    ("adrenal gland", (0.3, 0.3), (0.1, 0.05, 0.03)),
    ("adrenal gland", (0.3, -0.3), (0.1, 0.05, 0.03)),
)


def paint_abdomen(canvas: Canvas, trunk: Trunk) -> None:
    """Paint the abdominal organs, in some scenes with the lungs above them."""
    source = canvas.source
    rough = canvas.rough_field(source.uniform(4.0, 8.0))
    _paint_mesentery(canvas, trunk)
    packing = Packing(canvas, source.choice((0.0, 0.004, 0.01, 0.02)))
    placed: list[tuple[str, int]] = []
    for name, spot, radii in _ORGANS:
        if source.chance(0.88):
            placed.append((name, pack_organ(canvas, packing, place_organ(canvas, trunk, spot, radii), name, rough)))
    placed += pack_bowel(canvas, trunk, packing, rough, source.integer(5, 22))
    deep = packing.paint(trunk.level < -0.01)
    fill_organs(canvas, placed, deep)
    if source.chance(0.35):
        paint_lung_bases(canvas, trunk)


def _paint_mesentery(canvas: Canvas, trunk: Trunk) -> None:
    """Small vessels that run through the fat between the organs."""
    source = canvas.source
    inside = trunk.level < -0.02
    for _ in range(source.integer(0, 4)):
        root = (source.uniform(-1, 1) * canvas.depth, source.uniform(-0.3, 0.4), source.uniform(-0.4, 0.4))
        heading = (source.normal(0, 0.04), source.normal(0, 0.1), source.normal(0, 0.1))
        tubes = vessel_tree(source, root, heading, source.uniform(0.01, 0.022))
        paint_tree(canvas, tubes, LABEL["vein"], trunk.cavity, inside)
