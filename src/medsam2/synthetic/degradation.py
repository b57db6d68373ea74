"""What scanners do to an image: bias, noise, speckle, streaks, rings, motion, low resolution."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from medsam2.synthetic.fields import smooth_field
from medsam2.synthetic.filters import blur, blur_lines, coarsen
from medsam2.synthetic.random_source import RandomSource


def frames_of(image: Tensor) -> tuple[int, int, int]:
    """(T, H, W) of images with or without channels."""
    return (image.shape[0], image.shape[-2], image.shape[-1])


def spread_channels(field: Tensor, image: Tensor) -> Tensor:
    """Give a (T, H, W) field a channel axis if the images have one."""
    return field[:, None] if image.ndim == 4 else field


def add_bias(image: Tensor, source: RandomSource) -> Tensor:
    """Multiply by a smooth field (coil sensitivity, vignetting)."""
    cells = source.uniform(0.5, 2.5)
    field = smooth_field(source, frames_of(image), (0.5, cells, cells))[0]
    return image * spread_channels(torch.exp(field * source.uniform(0.05, 0.35)), image)


def add_gaussian_noise(image: Tensor, source: RandomSource, strength: float) -> Tensor:
    """Add white noise of a standard deviation."""
    return image + strength * source.randn(*image.shape)


def add_rician_noise(image: Tensor, source: RandomSource, strength: float) -> Tensor:
    """Noise of a magnitude image (Gudbjartsson and Patz 1995): never negative, brighter where signal is low."""
    real = image + strength * source.randn(*image.shape)
    return torch.hypot(real, strength * source.randn(*image.shape))


def add_speckle(image: Tensor, source: RandomSource, strength: float) -> Tensor:
    """Multiplicative noise with grains of one to three pixels (coherent imaging)."""
    grain = blur_lines(source.randn(*image.shape), source.uniform(0.4, 1.6), -1)
    grain = blur(grain, source.uniform(0.3, 0.8))
    grain = grain / grain.std().clamp(min=1e-4)
    return image * (1.0 + 2.0 * strength * grain).clamp(0.05, 3.0)


def add_echo(image: Tensor, source: RandomSource) -> Tensor:
    """Speckle of fully developed scatter, log-compressed, darker with depth.

    The envelope of blurred complex noise is Rayleigh distributed; the grains are wider than they are high
    (Wagner et al. 1983). A display shows its logarithm.
    """
    lateral, axial = source.uniform(0.8, 2.2), source.uniform(0.4, 1.0)
    parts = [blur_lines(blur_lines(source.randn(*image.shape), lateral, -1), axial, -2) for _ in range(2)]
    envelope = torch.hypot(*parts)
    envelope = envelope / envelope.mean().clamp(min=1e-4)
    depth = torch.linspace(0.0, 1.0, image.shape[-2], device=image.device)[:, None]
    damped = image - source.uniform(0.0, 0.3) * depth * image
    return (
        damped
        + source.uniform(0.06, 0.22)
        * torch.log(envelope + source.uniform(0.08, 0.3))
        * (damped + 0.1).clamp(0.0, 1.0) ** 0.5
    )


def add_correlated_noise(image: Tensor, source: RandomSource, strength: float) -> Tensor:
    """Blotchy noise as of a reconstruction kernel, with a share of fine noise."""
    noise = blur(source.randn(*image.shape), source.uniform(0.5, 1.3))
    noise = noise / noise.std().clamp(min=1e-4)
    return image + strength * noise


def add_streaks(image: Tensor, source: RandomSource) -> Tensor:
    """Bright and dark rays from a point (metal) or one end (beam hardening)."""
    frames, height, width = frames_of(image)
    y = torch.linspace(-1, 1, height, device=image.device)[:, None] - source.uniform(-0.6, 0.6)
    x = torch.linspace(-1, 1, width, device=image.device)[None, :] - source.uniform(-0.6, 0.6)
    angle, radius = torch.atan2(y, x), torch.hypot(y, x)
    rays = torch.zeros_like(angle)
    for _ in range(4):
        rays += torch.cos(source.integer(3, 24) * angle + source.uniform(0, 6.3))
    rays = rays / 3.0 * torch.exp(-radius * source.uniform(1.0, 4.0)) * source.uniform(0.05, 0.35)
    fade = torch.exp(-((torch.arange(frames, device=image.device) - source.uniform(0, frames)) ** 2) / 8.0)
    return image + spread_channels(rays * fade[:, None, None], image)


def add_ribs(image: Tensor, source: RandomSource) -> Tensor:
    """Bright arcs across a projection: overlapping bones that belong to no object."""
    if source.chance(0.3):
        return image
    _, height, width = frames_of(image)
    y = torch.linspace(-1, 1, height, device=image.device)[:, None]
    x = torch.linspace(-1, 1, width, device=image.device)[None, :].abs()
    slope, count = source.uniform(0.3, 1.0), source.uniform(3.0, 6.0)
    wave = torch.cos(2 * math.pi * count * (y - slope * (x - 0.45) ** 2 - source.uniform(-0.3, 0.3) * x))
    arcs = ((wave - source.uniform(0.2, 0.7)) * 6.0).clamp(0.0, 1.0)
    return image + arcs * (image > 0.08) * source.uniform(0.03, 0.15)


def add_rings(image: Tensor, source: RandomSource) -> Tensor:
    """Concentric rings of a detector fault, or Gibbs ripples around a centre."""
    _, height, width = frames_of(image)
    y = torch.linspace(-1, 1, height, device=image.device)[:, None] - source.uniform(-0.1, 0.1)
    x = torch.linspace(-1, 1, width, device=image.device)[None, :] - source.uniform(-0.1, 0.1)
    table = source.randn(96) * source.uniform(0.01, 0.05)
    return image + table[(torch.hypot(y, x) * 64).long().clamp(max=95)]


def add_ghosts(image: Tensor, source: RandomSource) -> Tensor:
    """Shifted faint copies along one axis (motion between phase-encoding steps)."""
    axis = source.choice((-1, -2))
    shift = max(1, int(image.shape[axis] * source.uniform(0.03, 0.3)))
    share = source.uniform(0.04, 0.15)
    copies = torch.roll(image, shift, axis) + torch.roll(image, -shift, axis)
    return image * (1 - share) + copies * share / 2


def add_stripes(image: Tensor, source: RandomSource) -> Tensor:
    """A regular wave over the image (interference, spikes in k-space)."""
    _, height, width = frames_of(image)
    turn, waves = source.uniform(0, math.pi), source.uniform(4, 40)
    y = torch.linspace(0, 1, height, device=image.device)[:, None]
    x = torch.linspace(0, 1, width, device=image.device)[None, :]
    wave = torch.sin(2 * math.pi * waves * (math.cos(turn) * x + math.sin(turn) * y))
    return image + wave * source.uniform(0.01, 0.05)


def shift_slices(image: Tensor, source: RandomSource) -> Tensor:
    """Let brightness and contrast wander a little from slice to slice."""
    extra = (1,) * (image.ndim - 1)
    gain = 1.0 + source.uniform(0.0, 0.06) * source.randn(image.shape[0], *extra)
    return image * gain + source.uniform(0.0, 0.02) * source.randn(image.shape[0], *extra)


def add_noise(image: Tensor, source: RandomSource, family: str) -> Tensor:
    """Add the noise that suits a family of modalities."""
    strength = source.log_uniform(0.004, 0.09)
    if family == "ultrasound":
        return add_echo(image, source)
    if family == "colour":
        strength *= 0.6
    if family == "ct":
        return add_correlated_noise(image, source, strength)
    if family == "mr":
        return add_rician_noise(image, source, strength * 0.7)
    noises = (add_gaussian_noise, add_correlated_noise, add_rician_noise, add_speckle)
    return source.choice(noises, (4, 3, 1, 2))(image, source, strength)


def add_artefacts(image: Tensor, source: RandomSource, family: str) -> Tensor:
    """Add, each with a small probability, what goes wrong in practice; nothing to a photograph."""
    if family == "colour":
        return image
    if source.chance({"ct": 0.1}.get(family, 0.02)):
        image = add_streaks(image, source)
    if source.chance(0.04):
        image = add_rings(image, source)
    if family != "ct" and source.chance(0.08):
        image = add_ghosts(image, source)
    if source.chance(0.03):
        image = add_stripes(image, source)
    if source.chance(0.2):
        image = shift_slices(image, source)
    return image


def lose_resolution(image: Tensor, source: RandomSource) -> Tensor:
    """Blur a little always, and resample from a coarser grid at times."""
    if source.chance(0.25):
        image = coarsen(image, source.uniform(1.0, 2.5))
    return blur(image, source.uniform(0.0, 0.9))
