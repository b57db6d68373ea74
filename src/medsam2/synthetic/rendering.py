"""From labels to images: a random contrast each time, after SynthSeg (Billot et al. 2023, section 3.1).

Each label draws a mean and textures; partial volume, bias, noise and artefacts follow. Beside SynthSeg's
uniform contrasts there are styles with the physics of a modality: CT (Hounsfield units and a display window:
soft tissues differ little), MR (T1, T2, mixtures), ultrasound, and colour.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from medsam2.synthetic.degradation import (
    add_artefacts,
    add_bias,
    add_noise,
    add_ribs,
    lose_resolution,
)
from medsam2.synthetic.fields import smooth_field
from medsam2.synthetic.filters import blur, mix_slices, stretch
from medsam2.synthetic.random_source import RandomSource
from medsam2.synthetic.slab import Slab, Structure
from medsam2.synthetic.tissues import TISSUES

STYLES = ("ct", "mr", "random", "ultrasound", "colour", "film")
_CT_WINDOWS = ((400, 40), (350, 50), (500, 60), (1500, -600), (1800, 400), (900, 100), (250, 60))  # width, level
_CT_WINDOW_WEIGHTS = (6, 4, 3, 1.5, 1, 1.5, 1)
_CT_BRAIN_WINDOWS = ((80, 40), (120, 45), (400, 40))
_TEXTURES = 4
CHANGED_SHARE = 0.4  # of unordered sets: each image has a contrast of its own


@dataclass(frozen=True)
class Palette:
    """What each label looks like on each frame.

    Attributes:
        mean: (T, L + 1) brightness.
        texture: (T, L + 1, 4) standard deviation of coarse, middle, fine and streaky texture.
        instance: Standard deviation of the brightness between instances of a label.
        family: Which noise and artefacts suit it.
    """

    mean: Tensor
    texture: Tensor
    instance: float
    family: str


def render(slab: Slab, source: RandomSource, style: str | None = None) -> Tensor:
    """Render a slab with a random contrast.

    Args:
        slab: Labels; a set that is not ordered may change its contrast between images.
        source: Randomness; its device must hold the slab.
        style: One of `STYLES`; by default one that suits the family, drawn at random.

    Returns:
        (T, S, S) float32 in [0, 1]; (T, 3, S, S) in the colour style.
    """
    if style is None and not slab.ordered and source.chance(CHANGED_SHARE):
        return _render_each(slab, source)
    style = style or draw_style(slab, source)
    palette = draw_palette(slab, source, style)
    image = paint_palette(slab, palette, source)
    if style == "colour":
        image = colourise(slab, image, source)
    elif style in ("mr", "random") and source.chance(0.7):
        image = stretch(image, source.uniform(0.0, 0.02), source.uniform(0.98, 1.0))
    if slab.kind == "projection":
        image = add_ribs(image, source)
    if style == "ultrasound":
        image = blur(image, source.uniform(0.0, 2.0))
    image = lose_resolution(image, source)
    if style != "ct" and source.chance(0.5):
        image = add_bias(image, source)
    image = add_artefacts(add_noise(image, source, palette.family), source, palette.family)
    return finish(image, source, style)


def _render_each(slab: Slab, source: RandomSource) -> Tensor:
    """Render every image of a set alone: contrast, noise and artefacts have nothing in common."""
    frames = slab.instances.split(1)
    images = [render(replace(slab, instances=frame), source, draw_style(slab, source)) for frame in frames]
    if all(image.ndim == 3 for image in images):
        return torch.cat(images)
    return torch.cat([image if image.ndim == 4 else image[:, None].expand(-1, 3, -1, -1) for image in images])


def draw_style(slab: Slab, source: RandomSource) -> str:
    """Draw a style that suits the family."""
    weights = _STYLE_WEIGHTS.get(slab.kind, (2.0, 2.0, 4.0, 0.3, 0.2, 0.2))
    return source.choice(STYLES, weights)


_STYLE_WEIGHTS: dict[str, tuple[float, ...]] = {
    "body": (6, 2, 2, 0.2, 0.1, 0),
    "head": (2, 6, 2, 0, 0.1, 0),
    "limb": (3, 4, 2, 0.5, 0.1, 0),
    "heart": (3, 3, 2, 1.5, 0.1, 0),
    "cells": (0.5, 0.5, 4, 0, 3, 2),
    "generic": (1.5, 1.5, 5, 1, 1, 0),
    "fundus": (0, 0, 0.5, 0, 9, 0.5),
    "skin": (0, 0, 0.3, 0, 9, 0.3),
    "nuclei": (0, 0, 3, 0, 5, 2),
    "ultrasound": (0, 0, 0.5, 9, 0, 0),
    "projection": (0, 0, 2, 0, 0, 8),
    "bones": (0, 0, 2, 0, 0, 8),
}


def draw_palette(slab: Slab, source: RandomSource, style: str) -> Palette:
    """Draw brightness and textures for each label; images of an unordered set vary a little."""
    frames = slab.instances.shape[0]
    drawn = torch.tensor(_label_table(slab.structures, source, style), device=source.device)
    table = drawn.expand(frames, -1, -1).clone()
    if not slab.ordered:
        shape = (frames, len(slab.structures))
        table[..., 0] += source.uniform(0, 0.06) * source.randn(*shape)
    return Palette(table[..., 0], table[..., 1:], source.uniform(0.0, 0.06), style)


def _label_table(structures: tuple[Structure, ...], source: RandomSource, style: str) -> list[list[float]]:
    means = _MEANS[style]
    strength = source.log_uniform(0.004, 0.05) if style == "ct" else source.log_uniform(0.008, 0.11)
    drawn = means(structures, source)
    if style == "random":
        strength *= max(drawn) - min(drawn)
    rows: list[list[float]] = []
    for structure, mean in zip(structures, drawn, strict=True):
        weight = strength * (TISSUES[structure.tissue].texture + 0.05)
        textures = [weight * source.uniform(0.0, 2.0) for _ in range(_TEXTURES)]
        rows.append([mean, *textures])
    return rows


def _ct_means(structures: tuple[Structure, ...], source: RandomSource) -> list[float]:
    brain = any(structure.tissue == "white" for structure in structures)
    windows, weights = (_CT_BRAIN_WINDOWS, (2, 1, 1)) if brain else (_CT_WINDOWS, _CT_WINDOW_WEIGHTS)
    window = source.choice(windows, weights)
    width, level = window[0] * source.uniform(0.8, 1.25), window[1] + source.uniform(-0.08, 0.08) * window[0]
    contrast = source.uniform(0.3, 1.2)
    units = [source.normal(*TISSUES[structure.tissue].ct) for structure in structures]
    soft = [50 + (unit - 50) * contrast if 20 < unit < 250 else unit for unit in units]
    return [min(max((unit - level) / width + 0.5, -0.3), 1.3) for unit in soft]


def _mr_means(structures: tuple[Structure, ...], source: RandomSource) -> list[float]:
    mix = source.uniform(-0.15, 1.15) if source.chance(0.3) else source.normal(source.choice((0.0, 1.0)), 0.12)
    spread = source.uniform(0.02, 0.12)
    tissues = [TISSUES[structure.tissue] for structure in structures]
    return [abs(t.t1 * (1 - mix) + t.t2 * mix + (source.normal(0, spread) if t.t1 else 0.0)) for t in tissues]


def _echo_means(structures: tuple[Structure, ...], source: RandomSource) -> list[float]:
    gain, spread = source.uniform(0.5, 1.1), source.uniform(0.03, 0.12)
    echoes = [TISSUES[structure.tissue].echo for structure in structures]
    return [max(gain * (echo + source.normal(0, spread)), 0.02) if echo else 0.0 for echo in echoes]


def _light_means(structures: tuple[Structure, ...], source: RandomSource) -> list[float]:
    if source.chance(0.2):
        return _random_means(structures, source)
    spread, gain = source.uniform(0.02, 0.1), source.uniform(0.7, 1.05)
    lights = [TISSUES[structure.tissue].light for structure in structures]
    return [max(gain * (light + (source.normal(0, spread) if light else 0.0)), 0.0) for light in lights]


def _random_means(structures: tuple[Structure, ...], source: RandomSource) -> list[float]:
    low = source.uniform(0.0, 0.3) if source.chance(0.3) else 0.0
    high = low + source.uniform(0.3, 0.7) if source.chance(0.3) else 1.0
    means = [source.uniform(low, high) for _ in structures]
    dark = source.chance(0.6)
    return [0.02 if dark and s.tissue == "air" else mean for s, mean in zip(structures, means, strict=True)]


_MEANS = {
    "ct": _ct_means,
    "mr": _mr_means,
    "random": _random_means,
    "ultrasound": _echo_means,
    "colour": _light_means,
    "film": _light_means,
}


def paint_palette(slab: Slab, palette: Palette, source: RandomSource) -> Tensor:
    """Brightness of each voxel before the scanner: (T, S, S) float32."""
    frames, size = slab.instances.shape[0], slab.instances.shape[-1]
    count = palette.mean.shape[1]
    instances = slab.instances.int()
    frame = torch.arange(frames, device=instances.device, dtype=torch.int32)[:, None, None]
    label = _look_up(slab.instance_labels.int(), instances) + frame * count
    offset = source.randn(len(slab.instance_labels)) * palette.instance
    offset[0] = 0.0
    image = _look_up(palette.mean.flatten(), label).add_(_look_up(offset, instances))
    image = mix_slices(blur(image, source.uniform(0.3, 0.8)), source.uniform(0.0, 0.2) if slab.ordered else 0.0)
    texture = palette.texture.reshape(-1, _TEXTURES)
    for index, field in enumerate(_texture_fields((frames, size, size), source)):
        image.addcmul_(_look_up(texture[:, index], label), field)
    return image


def _look_up(table: Tensor, index: Tensor) -> Tensor:
    return table.index_select(0, index.flatten()).view(index.shape)


def _texture_fields(shape: tuple[int, int, int], source: RandomSource) -> list[Tensor]:
    size = shape[-1]
    middle, fine = source.log_uniform(8, 24), size / source.uniform(2.0, 5.0)
    streaks = (source.uniform(2, 8), size / source.uniform(2, 5))
    along, across = streaks if source.chance(0.5) else streaks[::-1]
    return [
        smooth_field(source, shape, (2.0, 3.0, 3.0))[0],
        smooth_field(source, shape, (4.0, middle, middle))[0],
        smooth_field(source, shape, (float(shape[0]), fine, fine))[0],
        smooth_field(source, shape, (2.0, along, across))[0],
    ]


_COLOURS: dict[str, tuple[tuple[float, float, float], ...]] = {  # dark end, bright end
    "fundus": ((0.25, 0.05, 0.02), (1.0, 0.75, 0.35)),
    "skin": ((0.3, 0.15, 0.12), (0.98, 0.8, 0.7)),
    "nuclei": ((0.25, 0.1, 0.45), (0.98, 0.85, 0.93)),
}


def colourise(slab: Slab, image: Tensor, source: RandomSource) -> Tensor:
    """Give brightness a colour: a ramp between two colours and a tint for each label.

    Returns:
        (T, 3, S, S) float32.
    """
    dark, bright = _COLOURS.get(slab.kind, ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)))
    jitter = 0.12 if slab.kind in _COLOURS else 0.5
    ends = torch.tensor((dark, bright), device=image.device) + jitter * (source.rand(2, 3) - 0.5)
    ramp = ends[0, :, None, None] + image[:, None] * (ends[1] - ends[0])[:, None, None]
    tint = source.randn(len(slab.structures), 3) * source.log_uniform(0.01, 0.15)
    tint[0] = 0.0
    return ramp + blur(tint.T[:, slab.labels.long()].transpose(0, 1), 0.6)


def finish(image: Tensor, source: RandomSource, style: str) -> Tensor:
    """Value curve, inversion, clipping: what a display window makes of it."""
    if style == "ct":
        return image.clamp(0.0, 1.0)
    image = image.clamp(0.0, 1.0)
    if source.chance(0.5):
        image = image ** source.log_uniform(0.6, 1.6)
    if style in ("random", "film") and source.chance(0.3):
        image = 1.0 - image
    return image
