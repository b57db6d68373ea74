"""Clips for training: draw a family, paint it, render it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Generator

from medsam2.errors import ConfigurationError
from medsam2.synthetic.augmentation import augment_slab, scatter_slab
from medsam2.synthetic.body import paint_body
from medsam2.synthetic.canvas import Extent
from medsam2.synthetic.cells import paint_cells, paint_nuclei
from medsam2.synthetic.flat import paint_bones, paint_fundus, paint_projection, paint_skin, paint_ultrasound
from medsam2.synthetic.generic import paint_generic
from medsam2.synthetic.head import paint_head
from medsam2.synthetic.limb import paint_heart, paint_limb
from medsam2.synthetic.mapped import paint_brain_map, paint_nuclei_map
from medsam2.synthetic.random_source import RandomSource
from medsam2.synthetic.rendering import render
from medsam2.synthetic.slab import Clip, Slab, stack_unordered
from medsam2.synthetic.targets import has_target
from medsam2.synthetic.tubes import paint_tubes

Painter = Callable[[Extent, RandomSource], Slab]
FAMILIES: dict[str, Painter] = {
    "body": paint_body,
    "abdomen": partial(paint_body, region="abdomen"),
    "chest": partial(paint_body, region="chest"),
    "pelvis": partial(paint_body, region="pelvis"),
    "tubes": paint_tubes,
    "head": paint_head,
    "limb": paint_limb,
    "heart": paint_heart,
    "cells": paint_cells,
    "generic": paint_generic,
    "nuclei": paint_nuclei,
    "fundus": paint_fundus,
    "skin": paint_skin,
    "ultrasound": paint_ultrasound,
    "projection": paint_projection,
    "bones": paint_bones,
    "brain map": paint_brain_map,
    "nuclei map": paint_nuclei_map,
}
FLAT = ("fundus", "skin", "ultrasound", "projection", "bones", "nuclei map")  # no slices: always unordered
_ORDERED_WEIGHTS = {
    "abdomen": 2.5, "chest": 1.5, "pelvis": 1.0, "tubes": 0.7, "head": 3.0, "limb": 1.5, "heart": 1.5,
    "cells": 1.5, "generic": 3.0, "nuclei": 0.8, "brain map": 1.5,
}  # fmt: skip
_UNORDERED_WEIGHTS = {
    "body": 0.5, "abdomen": 1.2, "chest": 0.7, "pelvis": 0.5, "head": 1.0, "limb": 0.5, "heart": 0.8, "cells": 0.8,
    "generic": 2.0, "nuclei": 1.0, "fundus": 1.5, "skin": 1.5, "ultrasound": 1.5, "projection": 0.7, "bones": 0.4,
    "brain map": 0.6, "nuclei map": 0.6,
}  # fmt: skip
_ATTEMPTS = 8


@dataclass(frozen=True)
class ClipRecipe:
    """What kind of clips to make.

    Attributes:
        frames: Frames of a clip, T.
        size: Side S of a frame, pixels.
        kinds: Families to draw from (keys of `FAMILIES`); empty = all, weighted.
        unordered_share: Share of clips that are unordered sets of like images.
        thickness: Smallest and largest distance of two slices, in units of half the image's side, for eight
            frames; fewer lie further apart, so that objects begin and end inside short clips too.
    """

    frames: int = 8
    size: int = 128
    kinds: tuple[str, ...] = ()
    unordered_share: float = 0.3
    thickness: tuple[float, float] = (0.004, 0.12)

    def __post_init__(self) -> None:
        unknown = sorted(set(self.kinds) - set(FAMILIES))
        if unknown:
            raise ConfigurationError(f"unknown scene kinds {unknown}; choose among {sorted(FAMILIES)}")
        if self.frames < 1 or self.size < 16:
            raise ConfigurationError(f"a clip of {self.frames} frames of {self.size} px; need >= 1 and >= 16 px")


def draw_kind(recipe: ClipRecipe, source: RandomSource) -> tuple[str, bool]:
    """Draw a family and whether its images are ordered."""
    ordered = not source.chance(recipe.unordered_share)
    weights = _ORDERED_WEIGHTS if ordered else _UNORDERED_WEIGHTS
    allowed = [kind for kind in weights if kind in recipe.kinds] or list(recipe.kinds or weights)
    kind = source.choice(allowed, [weights.get(kind, 1.0) for kind in allowed])
    return kind, ordered and kind not in FLAT


def make_scene(kind: str, recipe: ClipRecipe, source: RandomSource, ordered: bool = True) -> Slab:
    """Paint one slab of a family.

    Args:
        kind: A key of `FAMILIES`.
        recipe: Size of the slab.
        source: Randomness and device.
        ordered: Slices of a volume, or one independent image a frame (always, for the flat families).

    Raises:
        ConfigurationError: The family is unknown.
    """
    if kind not in FAMILIES:
        raise ConfigurationError(f"unknown scene kind {kind!r}; choose among {sorted(FAMILIES)}")
    paint = FAMILIES[kind]
    thickness = source.log_uniform(*recipe.thickness) * math.sqrt(8.0 / max(recipe.frames, 2))
    if ordered and kind not in FLAT:
        return paint(Extent(recipe.frames, recipe.size, thickness), source)
    if kind in ("generic", "tubes") or (kind not in FLAT and source.chance(0.5)):
        return scatter_slab(paint(Extent(recipe.frames, recipe.size, 0.5 * thickness), source), source)
    single = Extent(1, recipe.size, thickness)
    return stack_unordered([paint(single, source) for _ in range(recipe.frames)])


def make_clip(recipe: ClipRecipe, generator: Generator, device: torch.device | str = "cpu") -> Clip:
    """Make one clip with something promptable in it, or, very rarely, without: `sample_targets` refuses that.

    Args:
        recipe: What kind of clip.
        generator: Origin of all randomness; advanced.
        device: Where the clip is made and lies.
    """
    source = RandomSource(generator, device)
    slab = augment_slab(make_scene(*_scene_arguments(recipe, source)), source)
    for _ in range(_ATTEMPTS):
        if has_target(slab):
            break
        slab = augment_slab(make_scene(*_scene_arguments(recipe, source)), source)
    return Clip(render(slab, source), slab.labels, slab.ordered, slab)


def _scene_arguments(recipe: ClipRecipe, source: RandomSource) -> tuple[str, ClipRecipe, RandomSource, bool]:
    kind, ordered = draw_kind(recipe, source)
    return kind, recipe, source, ordered
