"""Scenes of walled tubes, close up."""

from __future__ import annotations

import torch

from medsam2.synthetic.canvas import Canvas, Extent
from medsam2.synthetic.random_source import RandomSource
from medsam2.synthetic.shapes import Tube, random_path, random_point
from medsam2.synthetic.slab import Slab
from medsam2.synthetic.trunk import LABEL, STRUCTURES


def paint_tubes(extent: Extent, source: RandomSource) -> Slab:
    """Paint winding walled tubes in fat: bowel loops or large vessels, close up."""
    canvas = Canvas(extent, source, warp=source.uniform(0.03, 0.08), warp_cells=3.0)
    canvas.paint(torch.ones(canvas.shape, dtype=torch.bool, device=source.device), LABEL["visceral fat"])
    kinds = (("bowel wall", "bowel content"), ("stomach wall", "stomach content"), ("aorta", "heart chamber"))
    for _ in range(source.integer(2, 6)):
        wall_name, lumen_name = source.choice(kinds)
        radius = source.uniform(0.06, 0.2)
        heading = (source.normal(0, 0.06), source.normal(0, 0.2), source.normal(0, 0.2))
        path = random_path(source, random_point(source, canvas), heading, source.integer(3, 7), 0.7)
        tube = Tube(tuple(path), tuple(radius * source.uniform(0.7, 1.2) for _ in path))
        wall = canvas.new_instance(LABEL[wall_name])
        tube.paint(canvas, wall)
        lumen = canvas.new_instance(LABEL[lumen_name], wall)
        tube.paint(canvas, lumen, inset=radius * source.uniform(0.12, 0.4))
    return canvas.finish(STRUCTURES, "body")
