"""Image operations of the renderer: blur, resampling, value curves. Images are (T, H, W) or (T, C, H, W)."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor


def gaussian_kernel(sigma: float, device: torch.device) -> Tensor:
    """A normalised Gaussian that reaches to 2.5 sigma."""
    radius = max(1, math.ceil(2.5 * sigma))
    offset = torch.arange(-radius, radius + 1, device=device, dtype=torch.float32)
    kernel = torch.exp(-0.5 * (offset / max(sigma, 1e-3)) ** 2)
    return kernel / kernel.sum()


def blur(image: Tensor, sigma: float) -> Tensor:
    """Blur in the plane by a Gaussian of `sigma` pixels."""
    if sigma < 0.2:
        return image
    return blur_lines(blur_lines(image, sigma, -1), sigma, -2)


def blur_lines(image: Tensor, sigma: float, axis: int) -> Tensor:
    """Blur along rows (axis -1) or columns (axis -2) by a Gaussian of `sigma` pixels, edges repeated."""
    kernel = gaussian_kernel(sigma, image.device)
    radius = min(len(kernel) // 2, image.shape[axis] - 1)
    kernel = kernel[len(kernel) // 2 - radius : len(kernel) // 2 + radius + 1]
    flat = image.reshape(-1, 1, *image.shape[-2:])
    along_rows = axis == -1
    pad = (radius, radius, 0, 0) if along_rows else (0, 0, radius, radius)
    weight = kernel.view(1, 1, 1, -1) if along_rows else kernel.view(1, 1, -1, 1)
    return F.conv2d(F.pad(flat, pad, mode="replicate"), weight / weight.sum()).view_as(image)


def mix_slices(image: Tensor, share: float) -> Tensor:
    """Mix each slice with its two neighbours (thick slices); `share` goes to each neighbour."""
    if image.shape[0] == 1:
        return image
    before = torch.cat((image[:1], image[:-1]))
    after = torch.cat((image[1:], image[-1:]))
    return image * (1 - 2 * share) + (before + after) * share


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
