"""Augmentation of clips (MedSAM-2 v2, section 4): turned, scaled and flipped; brighter, noisier, coarser."""

import math
from dataclasses import dataclass

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from medsam2.errors import ConfigurationError
from medsam2.training.draws import draw_between, happens

BLUR_TAPS = 3
"""Standard deviations that the kernel of a blur reaches to either side."""


@dataclass(frozen=True)
class Augmentation:
    """How clips are varied.

    The ranges are the paper's; how often each is applied is our choice, as is the strength of noise and blur.

    Attributes:
        chance: with which turning and scaling, and each change of intensities, is applied.
        turn_degrees: most that a clip is turned, to either side.
        scale: smallest and largest, where 2 shows things twice as large.
        flip: chance of a flip along each axis.
        noise: largest standard deviation, of intensities in [0, 1].
        blur_px: largest standard deviation, pixels.
        brightness: smallest and largest factor.
        invert: chance that black and white are swapped.
        low_resolution: smallest and largest factor by which pixels are made coarser.
        gamma: smallest and largest exponent.
    """

    chance: float = 0.3
    turn_degrees: float = 25.0
    scale: tuple[float, float] = (0.7, 1.4)
    flip: float = 0.5
    noise: float = 0.1
    blur_px: float = 1.0
    brightness: tuple[float, float] = (0.65, 1.2)
    invert: float = 0.05
    low_resolution: tuple[float, float] = (1.0, 2.0)
    gamma: tuple[float, float] = (0.7, 1.5)

    def __post_init__(self) -> None:
        for name in ("chance", "flip", "invert"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigurationError(f"'augmentation.{name}' is {getattr(self, name)}; expected a share, 0..1")
        for name in ("scale", "brightness", "low_resolution", "gamma"):
            low, high = getattr(self, name)
            if not 0 < low <= high:
                raise ConfigurationError(f"'augmentation.{name}' is {low}..{high}; expected two above 0, rising")


def augmented(
    images: Tensor, masks: Tensor, how: Augmentation, together: bool, generator: Generator
) -> tuple[Tensor, Tensor]:
    """Vary a clip.

    Args:
        images: (T, C, R, Cc) in [0, 1].
        masks: (O, T, R, Cc) bool.
        how: the ranges.
        together: all frames alike, as slices of a volume; else each picture by itself.
        generator: on the CPU; advanced.

    Returns:
        Images and masks of the same shapes.
    """
    if together:
        return _varied(images, masks, how, generator)
    parts = [_varied(images[t : t + 1], masks[:, t : t + 1], how, generator) for t in range(len(images))]
    return torch.cat([part[0] for part in parts]), torch.cat([part[1] for part in parts], dim=1)


def _varied(images: Tensor, masks: Tensor, how: Augmentation, generator: Generator) -> tuple[Tensor, Tensor]:
    for axis in (-2, -1):
        if happens(how.flip, generator):
            images, masks = images.flip(axis), masks.flip(axis)
    if happens(how.chance, generator):
        images, masks = _turned(images, masks, how, generator)
    return _recoloured(images, how, generator), masks


def _turned(images: Tensor, masks: Tensor, how: Augmentation, generator: Generator) -> tuple[Tensor, Tensor]:
    """Turned and scaled about the middle; what comes in from outside is black, and of no object."""
    angle = math.radians(draw_between(-how.turn_degrees, how.turn_degrees, generator))
    size = draw_between(*how.scale, generator)
    cosine, sine = math.cos(angle) / size, math.sin(angle) / size
    tall = images.shape[-2] / images.shape[-1]  # places are shares of either side
    theta = torch.tensor([[cosine, -sine * tall, 0.0], [sine / tall, cosine, 0.0]])
    grid = F.affine_grid(theta[None], [1, 1, *images.shape[-2:]], align_corners=False)
    turned = F.grid_sample(images, grid.expand(len(images), -1, -1, -1), align_corners=False)
    flat = masks.flatten(0, 1)[:, None].float()
    moved = F.grid_sample(flat, grid.expand(len(flat), -1, -1, -1), mode="nearest", align_corners=False)
    return turned, moved[:, 0].bool().unflatten(0, masks.shape[:2])


def _recoloured(images: Tensor, how: Augmentation, generator: Generator) -> Tensor:
    """Intensities in [0, 1] changed one way after another."""
    if happens(how.chance, generator):
        images = _blurred(images, draw_between(0, how.blur_px, generator))
    if happens(how.chance, generator):
        images = _coarse(images, draw_between(*how.low_resolution, generator))
    if happens(how.chance, generator):
        images = images * draw_between(*how.brightness, generator)
    if happens(how.chance, generator):
        images = images.clamp(0, 1) ** draw_between(*how.gamma, generator)
    if happens(how.invert, generator):
        images = 1 - images
    if happens(how.chance, generator):
        deviation = draw_between(0, how.noise, generator)
        images = images + deviation * torch.randn(images.shape, generator=generator)
    return images.clamp(0, 1)


def _blurred(images: Tensor, deviation: float) -> Tensor:
    reach = math.ceil(BLUR_TAPS * deviation)
    if not reach:
        return images
    taps = torch.exp(-0.5 * (torch.arange(-reach, reach + 1) / deviation) ** 2)
    kernel = (taps / taps.sum()).expand(images.shape[1], 1, -1)
    padded = F.pad(images, (reach, reach, reach, reach), mode="replicate")
    rows = F.conv2d(padded, kernel[:, :, None], groups=images.shape[1])
    return F.conv2d(rows, kernel[:, :, :, None], groups=images.shape[1])


def _coarse(images: Tensor, factor: float) -> Tensor:
    rows, columns = (max(round(side / factor), 1) for side in images.shape[-2:])
    small = F.interpolate(images, (rows, columns), mode="bilinear", align_corners=False, antialias=True)
    return F.interpolate(small, images.shape[-2:], mode="bilinear", align_corners=False)
