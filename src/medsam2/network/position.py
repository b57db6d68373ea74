"""Where a token is: sinusoids for grids and times, random Fourier features for clicks, rotations for attention."""

import math
from functools import lru_cache

import torch
from torch import Tensor, nn

BASE = 10000.0
"""Longest wavelength of all sinusoids ("Attention is all you need", section 3.5; SAM 2 keeps it)."""


def _wavelengths(count: int, device: torch.device) -> Tensor:
    """(count,) wavelengths in pairs: one for a sine and the same for a cosine."""
    index = torch.arange(count, dtype=torch.float32, device=device)
    return BASE ** (2 * (index // 2) / count)


@lru_cache(maxsize=32)
@torch.inference_mode(mode=False)  # what is kept must serve training too
def grid_sinusoids(channels: int, height: int, width: int, device: torch.device) -> Tensor:
    """Sinusoidal position of each cell of a grid, as SAM 2 normalises it: (1, channels, height, width).

    Half of the channels encode the row, half the column; positions run from just above 0 to 2 pi.
    """
    half = channels // 2

    def axis(cells: int) -> Tensor:
        steps = torch.arange(1, cells + 1, dtype=torch.float32, device=device)
        angle = (steps / (cells + 1e-6) * 2 * math.pi)[:, None] / _wavelengths(half, device)
        return torch.stack((angle[:, 0::2].sin(), angle[:, 1::2].cos()), dim=2).flatten(1)

    rows = axis(height)[:, None, :].expand(height, width, half)
    columns = axis(width)[None, :, :].expand(height, width, half)
    return torch.cat((rows, columns), dim=-1).permute(2, 0, 1)[None].contiguous()


def time_sinusoids(times: Tensor, channels: int) -> Tensor:
    """Sinusoids of relative times (...,) -> (..., channels): all sines, then all cosines."""
    angle = times[..., None] / _wavelengths(channels // 2, times.device)
    return torch.cat((angle.sin(), angle.cos()), dim=-1)


class FourierPosition(nn.Module):
    """Random Fourier features of points in the unit square (SAM, appendix A; Tancik et al. 2020)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("frequencies", torch.randn(2, channels // 2))
        self.frequencies: Tensor

    def forward(self, points: Tensor) -> Tensor:
        """Encode (..., 2) points as x, y in [0, 1] to (..., channels), in float32."""
        # Not as a matrix product, which autocast would round to bfloat16.
        angle = 2 * math.pi * ((2 * points.float() - 1)[..., None] * self.frequencies.float()).sum(-2)
        return torch.cat((angle.sin(), angle.cos()), dim=-1)

    def grid(self, height: int, width: int) -> Tensor:
        """Encode the centres of a grid's cells: (1, channels, height, width)."""
        device = self.frequencies.device
        y = (torch.arange(height, device=device, dtype=torch.float32) + 0.5) / height
        x = (torch.arange(width, device=device, dtype=torch.float32) + 0.5) / width
        points = torch.stack((x[None, :].expand(height, width), y[:, None].expand(height, width)), dim=-1)
        return self(points).permute(2, 0, 1)[None]


@lru_cache(maxsize=32)
@torch.inference_mode(mode=False)
def rotary_angles(channels: int, height: int, width: int, device: torch.device) -> Tensor:
    """The axial rotary embedding (Heo et al. 2024, arXiv 2403.13298) as unit complex numbers, (h * w, channels / 2).

    The first half of the channel pairs turns with the column, the second half with the row.
    """
    frequencies = BASE ** -(torch.arange(0, channels, 4, dtype=torch.float32, device=device) / channels)
    cell = torch.arange(height * width, device=device)
    columns = (cell % width).float()
    rows = torch.div(cell, width, rounding_mode="floor").float()
    angle = torch.cat((torch.outer(columns, frequencies), torch.outer(rows, frequencies)), dim=-1)
    return torch.complex(angle.cos(), angle.sin())


def rotate(x: Tensor, angles: Tensor) -> Tensor:
    """Turn neighbouring channel pairs of (..., tokens, C) by `angles`, in float32.

    When `x` holds several grids one after the other, the same angles serve each of them. A pair is one complex number:
    the same in real numbers reads every other channel, and takes thirty times as long on a CPU.
    """
    grids = x.shape[-2] // angles.shape[0]
    pairs = torch.view_as_complex(x.float().unflatten(-2, (grids, angles.shape[0])).unflatten(-1, (-1, 2)))
    return torch.view_as_real(pairs * angles).flatten(-2).flatten(-3, -2).to(x.dtype)
