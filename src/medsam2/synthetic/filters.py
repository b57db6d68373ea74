"""Image operations of the renderer: blur, resampling, value curves. Images are (T, H, W) or (T, C, H, W)."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor


def gaussian_weights(sigma: float) -> list[float]:
    """Weights of a normalised Gaussian, from the middle outwards, as far as 2.5 sigma."""
    reach = max(1, math.ceil(2.5 * sigma))
    side = [math.exp(-0.5 * (offset / max(sigma, 1e-3)) ** 2) for offset in range(reach + 1)]
    total = side[0] + 2.0 * sum(side[1:])
    return [weight / total for weight in side]


def blur(image: Tensor, sigma: float) -> Tensor:
    """Blur in the plane by a Gaussian of `sigma` pixels."""
    if sigma < 0.2:
        return image
    return blur_lines(blur_lines(image, sigma, -1), sigma, -2)


def blur_lines(image: Tensor, sigma: float, axis: int) -> Tensor:
    """Blur along rows (axis -1) or columns (axis -2) by a Gaussian of `sigma` pixels, edges repeated.

    Sums of shifted copies: for these short kernels ten times as fast on a CPU as a convolution.
    """
    weights, length = gaussian_weights(sigma), image.shape[axis]
    reach = len(weights) - 1
    ends = [image.narrow(axis, at, 1).expand(*_with(image.shape, axis, reach)) for at in (0, length - 1)]
    padded = torch.cat((ends[0], image, ends[1]), axis)
    blurred = padded.narrow(axis, reach, length) * weights[0]
    for offset, weight in enumerate(weights[1:], start=1):
        blurred.add_(padded.narrow(axis, reach - offset, length), alpha=weight)
        blurred.add_(padded.narrow(axis, reach + offset, length), alpha=weight)
    return blurred


def _with(shape: torch.Size, axis: int, length: int) -> list[int]:
    sizes = list(shape)
    sizes[axis] = length
    return sizes


def mix_slices(image: Tensor, share: float) -> Tensor:
    """Mix each slice with its two neighbours (thick slices); `share` goes to each neighbour."""
    if image.shape[0] == 1:
        return image
    before = torch.cat((image[:1], image[:-1]))
    after = torch.cat((image[1:], image[-1:]))
    return (image * (1 - 2 * share)).add_(before, alpha=share).add_(after, alpha=share)


def coarsen(image: Tensor, factor: float) -> Tensor:
    """Lose resolution: down by `factor` by area, up again bilinearly."""
    height, width = image.shape[-2:]
    flat = image.reshape(-1, 1, height, width)
    small = F.interpolate(flat, (max(8, round(height / factor)), max(8, round(width / factor))), mode="area")
    return F.interpolate(small, (height, width), mode="bilinear", align_corners=False).view_as(image)


def stretch(image: Tensor, low: float, high: float) -> Tensor:
    """Map the quantiles `low` and `high` of each image set to 0 and 1 (a sample of the pixels decides)."""
    sample = image.flatten()[:: max(1, image.numel() // 4096)].sort().values
    bottom = sample[int(low * (len(sample) - 1))]
    top = sample[int(high * (len(sample) - 1))]
    return ((image - bottom) / (top - bottom).clamp(min=1e-3)).clamp(0.0, 1.0)
