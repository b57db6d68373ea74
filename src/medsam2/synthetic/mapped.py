"""Scenes painted from two real label maps, bent and turned anew each time: a brain, and nuclei (see `maps/`)."""

from __future__ import annotations

import math
from functools import cache
from importlib import resources

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from medsam2.synthetic import cells
from medsam2.synthetic.canvas import Canvas, Extent
from medsam2.synthetic.random_source import RandomSource
from medsam2.synthetic.shapes import Ellipsoid, random_point
from medsam2.synthetic.slab import Slab, Structure

BRAIN_STRUCTURES = (
    Structure("outside", "air"),
    Structure("grey matter", "grey"),
    Structure("white matter", "white"),
    Structure("fluid and deep brain", "csf"),
    Structure("tumour", "enhancing"),
    Structure("oedema", "oedema"),
)
_BRAIN = {structure.name: label for label, structure in enumerate(BRAIN_STRUCTURES)}

BRAIN_MM = 2.0
"""Side of the brain map's voxels."""

NUCLEI_SIDE = (110.0, 420.0)
"""Smallest and largest side of the piece of the nuclei's map that is shown, its pixels."""

_PLANES = {"axial": (2, 1, 0), "coronal": (1, 2, 0), "sagittal": (0, 2, 1)}
"""Axes of the brain map (right, front, up) along slices, rows and columns."""


def paint_brain_map(extent: Extent, source: RandomSource) -> Slab:
    """Paint a brain without its skull, in any of the three planes, a little oblique, with a tumour in some."""
    canvas = Canvas(extent, source, warp=source.uniform(0.02, 0.06), warp_cells=source.uniform(2.0, 5.0))
    labels = _brain_labels(canvas, source.choice(list(_PLANES)))
    brain = [
        canvas.paint(labels == label, label) for label in map(_BRAIN.get, ("grey matter", "white matter")) if label
    ]
    canvas.paint(labels == _BRAIN["fluid and deep brain"], _BRAIN["fluid and deep brain"])
    if source.chance(0.4):
        _paint_tumour(canvas, tuple(brain))
    return canvas.finish(BRAIN_STRUCTURES, "head")


def paint_nuclei_map(extent: Extent, source: RandomSource) -> Slab:
    """Paint a piece of the map of nuclei, on every slice the same, as it shrinks and grows."""
    canvas = Canvas(extent, source, warp=source.uniform(0.01, 0.05), warp_cells=source.uniform(4.0, 9.0))
    nuclei = _map("nuclei").to(source.device)
    half = 0.5 * source.log_uniform(*NUCLEI_SIDE) / nuclei.shape[0] * 2.0
    middle = source.uniform(half - 1.0, 1.0 - half), source.uniform(half - 1.0, 1.0 - half)
    grid = torch.stack((middle[1] + half * canvas.x, middle[0] + half * canvas.y), dim=-1)
    found = _nearest(nuclei[None, None].expand(extent.frames, 1, -1, -1), grid)[:, 0]
    identity = torch.zeros(int(nuclei.max()) + 1, dtype=torch.int16, device=source.device)
    label = cells.STRUCTURES.index(Structure("nucleus", "nucleus"))
    for nucleus in found.unique().tolist():
        identity[nucleus] = canvas.new_instance(label) if nucleus else 0
    canvas.instances = identity[found.long()]
    return canvas.finish(cells.STRUCTURES, "nuclei")


def _brain_labels(canvas: Canvas, plane: str) -> Tensor:
    """The brain's labels on the canvas, (T, S, S) int16; 0 outside."""
    source, brain = canvas.source, _map("brain").to(canvas.source.device)
    millimetres = source.uniform(80.0, 115.0)
    height = source.uniform(-45.0, 45.0)
    places = torch.stack((canvas.z, canvas.y, canvas.x), dim=-1) @ _tilt(source).T
    along, down, across = (millimetres * one for one in places.unbind(-1))
    order = _PLANES[plane]
    axes: list[Tensor] = [along] * 3
    # Rows run downwards: against front and up.
    axes[order[0]], axes[order[1]], axes[order[2]] = along + height, -down, source.sign() * across
    halves = [BRAIN_MM * count / 2.0 for count in brain.shape]
    grid = torch.stack([axes[axis] / halves[axis] for axis in (2, 1, 0)], dim=-1)
    return _nearest(brain[None, None], grid[None])[0, 0]


def _paint_tumour(canvas: Canvas, hosts: tuple[int, ...]) -> None:
    """An enhancing core in oedema, both of them within the brain."""
    source, radius = canvas.source, canvas.source.log_uniform(0.08, 0.3)
    centre = random_point(source, canvas, 0.5)
    brain = canvas.inside(*hosts)
    for name, size in (("oedema", 1.0), ("tumour", source.uniform(0.4, 0.8))):
        shape = Ellipsoid(centre, (radius * size, radius * size, radius * size * source.uniform(0.7, 1.3)))
        canvas.overlay((shape.level(canvas) < 0) & brain, _BRAIN[name], hosts)


def _tilt(source: RandomSource) -> Tensor:
    """A rotation by small angles about all three axes, (3, 3)."""
    turn = torch.eye(3)
    for axis in range(3):
        angle = source.normal(0.0, 0.15)
        first, second = (one for one in range(3) if one != axis)
        one = torch.eye(3)
        one[first, first] = one[second, second] = math.cos(angle)
        one[first, second], one[second, first] = -math.sin(angle), math.sin(angle)
        turn = turn @ one
    return turn.to(source.device)


def _nearest(labels: Tensor, grid: Tensor) -> Tensor:
    """Look labels up at places in [-1, 1], the last axis of the map first; 0 beyond it."""
    found = F.grid_sample(labels.float(), grid.float(), mode="nearest", padding_mode="zeros", align_corners=False)
    return found.to(torch.int16)


@cache
def _map(name: str) -> Tensor:
    with resources.files("medsam2.synthetic.maps").joinpath(f"{name}.npz").open("rb") as file:
        return torch.from_numpy(np.load(file, allow_pickle=False)["labels"])
