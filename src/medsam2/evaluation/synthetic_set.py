"""The fixed set of unseen synthetic anatomy, made when it is asked for.

Every case has a seed of its own, so that a smaller set is part of the larger one. Training seeds its generators with
small numbers (1000 a process + 7919 a step); those here begin at 0xE7A1 << 32, where no training comes by. The
pictures' last bits may differ between processors, as torch's sums do; the labels do not.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from medsam2.datasets.cases import Case, CaseSet, CaseSource
from medsam2.errors import ConfigurationError, ShapeError
from medsam2.spatial import Geometry, Segmentation, Volume
from medsam2.synthetic import Clip, ClipRecipe, make_clip, sample_targets

SEED = 0xE7A1 << 32
"""Of the first volume; the next ones count up."""

FIRST_UNORDERED = 1 << 16
"""Added to the seed of unordered sets, so that their number and that of the volumes do not matter to one another."""

RETRY = 1 << 24
"""Added to the seed where a scene holds no structure worth prompting."""

ATTEMPTS = 8

VOLUME_FAMILIES = ("abdomen", "head", "chest", "generic", "limb", "heart", "pelvis", "cells", "tubes", "nuclei")
SET_FAMILIES = (
    "skin", "fundus", "ultrasound", "abdomen", "nuclei", "projection", "generic", "bones", "head", "cells",
)  # fmt: skip

THICKNESS = (0.06, 0.14)
"""Of slices, see `ClipRecipe`: a volume is 1 to 2 times as long as half its side; objects begin and end in it."""

FEWEST_PIXELS = 96 / 256**2
"""Share of the slice that a structure fills where it is largest, at least: six cells of the masks' grid at 256 px."""

FEWEST_SLICES = 3
"""That a structure of a volume spans."""

SCATTERED = 0.25
"""A structure that fills less of the rows and columns where it occurs is scattered: one of them a case at most, as
people rarely prompt them."""

DRAWN = 16
"""Structures drawn of a scene to choose from."""


@dataclass(frozen=True)
class SyntheticSettings:
    """Size of the synthetic set; the default is the set that scores are compared on.

    Attributes:
        volumes: ordered volumes of 24, 28 or 32 slices.
        sets: unordered sets.
        size: side of a slice, pixels.
        frames: slices of the shortest volume; others have 4 or 8 more.
        pictures: of an unordered set.
        structures: to score of each case, at most.
    """

    volumes: int = 24
    sets: int = 10
    size: int = 256
    frames: int = 24
    pictures: int = 8
    structures: int = 3

    def __post_init__(self) -> None:
        if self.volumes < 0 or self.sets < 0 or self.volumes + self.sets < 1:
            raise ConfigurationError(f"{self.volumes} volumes and {self.sets} sets; expected at least one of them")


def unseen_synthetic_set(settings: SyntheticSettings | None = None) -> CaseSet:
    """The cases, volumes and unordered sets mixed evenly."""
    how = settings or SyntheticSettings()
    volumes = [((n + 0.5) / how.volumes, _source(n, how, ordered=True)) for n in range(how.volumes)]
    sets = [((n + 0.5) / how.sets, _source(n, how, ordered=False)) for n in range(how.sets)]
    mixed = sorted(volumes + sets, key=lambda placed: placed[0])
    facts = {"seed": SEED, "size": how.size, "volumes": how.volumes, "unordered_sets": how.sets}
    return CaseSet("synthetic", tuple(source for _, source in mixed), facts)


def _source(number: int, settings: SyntheticSettings, ordered: bool) -> CaseSource:
    families = VOLUME_FAMILIES if ordered else SET_FAMILIES
    family = families[number % len(families)]
    name = f"{'volume' if ordered else 'set'}-{number:02d}-{family}"
    seed = SEED + number + (0 if ordered else FIRST_UNORDERED)
    frames = settings.frames + 4 * (number % 3) if ordered else settings.pictures
    recipe = ClipRecipe(frames, settings.size, (family,), 0.0 if ordered else 1.0, THICKNESS)
    return CaseSource(name, partial(_make, name, recipe, seed, settings.structures))


def _make(name: str, recipe: ClipRecipe, seed: int, structures: int) -> Case:
    for attempt in range(ATTEMPTS):
        generator = torch.Generator().manual_seed(seed + attempt * RETRY)
        clip = make_clip(recipe, generator)
        try:
            drawn = sample_targets(clip, DRAWN, generator).masks
        except ShapeError:  # nothing large enough in it
            continue
        chosen = _choose(drawn, structures, clip.ordered)
        if chosen:
            return _case(name, clip, chosen)
    raise ShapeError(f"{name}: {ATTEMPTS} scenes held no structure worth prompting; another size may")


def _choose(drawn: Tensor, count: int, ordered: bool) -> list[Tensor]:
    """Up to `count` structures (T, S, S) that do not overlap: those first that are absent on some slice."""
    worth = [mask for mask in drawn if _is_worth_prompting(mask, ordered)]
    chosen: list[Tensor] = []
    for mask in sorted(worth, key=_is_on_every_slice):
        overlaps = any(bool((mask & other).any()) for other in chosen)
        too_many = _is_scattered(mask) and any(map(_is_scattered, chosen))
        if not overlaps and not too_many:
            chosen.append(mask)
    return chosen[:count]


def _is_on_every_slice(mask: Tensor) -> bool:
    return bool(mask.flatten(1).any(1).all())


def _is_worth_prompting(mask: Tensor, ordered: bool) -> bool:
    areas = mask.flatten(1).sum(1)
    large = float(areas.max()) >= FEWEST_PIXELS * mask[0].numel()
    return large and (not ordered or int((areas > 0).sum()) >= FEWEST_SLICES)


def _is_scattered(mask: Tensor) -> bool:
    largest = mask[int(mask.flatten(1).sum(1).argmax())]
    around = int(largest.any(0).sum()) * int(largest.any(1).sum())
    return int(largest.sum()) < SCATTERED * around


def _case(name: str, clip: Clip, structures: list[Tensor]) -> Case:
    """The clip as a user's file would come: plain intensities, windowed by the segmenter and by nothing else."""
    labels = np.zeros(clip.labels.shape, np.uint8)
    for label, mask in enumerate(structures, start=1):
        labels[mask.numpy()] = label
    frames, rows, columns = labels.shape
    geometry = Geometry((frames, rows, columns), np.eye(4))
    names = {label: f"object {label}" for label in range(1, len(structures) + 1)}
    images = clip.images.numpy()
    if images.ndim == 4:  # colours; files hold them as bytes, channels last
        images = np.ascontiguousarray((images * 255).round().astype(np.uint8).transpose(0, 2, 3, 1))
    return Case(name, Volume(images, geometry), Segmentation(labels, geometry, names), names, clip.ordered)
