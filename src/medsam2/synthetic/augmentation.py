"""One slab, many clips: flips, turns, crops and reversal of painted labels."""

from __future__ import annotations

import math
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor

from medsam2.synthetic.fields import smooth_field
from medsam2.synthetic.random_source import RandomSource
from medsam2.synthetic.slab import Slab


def augment_slab(slab: Slab, source: RandomSource) -> Slab:
    """Turn, scale, shift, flip and reverse a slab; an unordered one frame by frame.

    Returns:
        A slab of the same size, with the same tables.
    """
    instances = slab.instances
    if source.chance(0.6):
        instances = _turn(instances, source, not slab.ordered, slab.kind in _FILL_THE_IMAGE)
    if source.chance(0.5):
        instances = instances.flip(-1)
    if slab.kind in _NO_UP_OR_DOWN and source.chance(0.7):
        instances = torch.rot90(instances, source.integer(0, 3), (-2, -1))
    if slab.ordered and source.chance(0.5):
        instances = instances.flip(0)
    return replace(slab, instances=instances.contiguous())


# What lies beyond the border of these images is more of the same.
_FILL_THE_IMAGE = ("cells", "nuclei", "generic", "skin", "heart", "fundus", "projection", "bones")
_NO_UP_OR_DOWN = ("cells", "nuclei", "generic", "skin", "limb", "heart", "fundus")


def scatter_slab(slab: Slab, source: RandomSource) -> Slab:
    """Make an unordered set of one subject: its slices in any order, each in a pose and shape of its own."""
    order = sorted(range(slab.instances.shape[0]), key=lambda _: source.uniform())
    shuffled = slab.instances[order]
    instances = _turn(shuffled, source, True, slab.kind in _FILL_THE_IMAGE, source.uniform(0.02, 0.08))
    return replace(slab, instances=instances, ordered=False)


def _turn(instances: Tensor, source: RandomSource, each: bool, mirrored: bool, bend: float = 0.0) -> Tensor:
    """Sample the slab on turned, scaled, shifted and bent grids, taking the nearest voxel.

    Args:
        instances: (T, S, S) int16.
        source: Randomness.
        each: One pose for every frame, rather than one for all.
        mirrored: Whether the image goes on, mirrored, beyond its border, rather than with background.
        bend: Deviation of a smooth displacement of each frame, in units of half the side.
    """
    frames, height, width = instances.shape
    rows = [_affine_row(source) for _ in range(frames)] if each else [_affine_row(source)] * frames
    theta = torch.tensor(rows, device=instances.device).view(frames, 2, 3)
    grid = F.affine_grid(theta, [frames, 1, height, width], align_corners=False)
    if bend:
        shift = smooth_field(source, (frames, height, width), (2.0 * frames, 3.0, 3.0), 2)
        grid = grid + bend * shift.permute(1, 2, 3, 0)
    beyond = "reflection" if mirrored else "zeros"
    moved = F.grid_sample(instances[:, None].float(), grid, mode="nearest", padding_mode=beyond, align_corners=False)
    return moved[:, 0].to(torch.int16)


def _affine_row(source: RandomSource) -> list[float]:
    angle = source.normal(0, source.choice((0.08, 0.3)))
    scale, stretch = source.log_uniform(0.55, 1.1), source.uniform(0.9, 1.1)
    room = 0.12 + max(0.0, 1.0 - scale) * 0.6
    cos, sin = math.cos(angle) * scale, math.sin(angle) * scale
    shift = source.uniform(-room, room), source.uniform(-room, room)
    return [cos * stretch, -sin, shift[0], sin * stretch, cos, shift[1]]
