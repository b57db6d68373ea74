"""Scenes of the trunk: its frame, and one region in it."""

from __future__ import annotations

from medsam2.synthetic.abdomen import paint_abdomen
from medsam2.synthetic.canvas import Canvas, Extent
from medsam2.synthetic.chest import paint_chest
from medsam2.synthetic.pelvis import paint_pelvis
from medsam2.synthetic.random_source import RandomSource
from medsam2.synthetic.slab import Slab
from medsam2.synthetic.trunk import STRUCTURES, paint_spine, paint_wall


def paint_body(extent: Extent, source: RandomSource, region: str | None = None) -> Slab:
    """Paint a chest, an abdomen or a pelvis; by default any of them."""
    canvas = Canvas(extent, source, warp=source.uniform(0.02, 0.06), warp_cells=source.uniform(2.0, 4.5))
    region = region or source.choice(("abdomen", "chest", "pelvis"), (5, 3, 2))
    trunk = paint_wall(canvas, region)
    if region == "chest":
        paint_chest(canvas, trunk)
    elif region == "pelvis":
        paint_pelvis(canvas, trunk)
    else:
        paint_abdomen(canvas, trunk)
    paint_spine(canvas, trunk)
    return canvas.finish(STRUCTURES, "body")
