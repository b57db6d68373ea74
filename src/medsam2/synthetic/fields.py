"""Smooth random fields: coarse noise interpolated by cubic B-splines.

The three axes are interpolated one after another by a small matrix each, so a field costs a few operations a
voxel whatever its smoothness, on CPU and GPU alike.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from medsam2.synthetic.random_source import RandomSource

Shape = tuple[int, int, int]
_AXIS_DEVIATION = 0.7  # standard deviation of a cubic B-spline's weighted sum of unit noise, on average


def spline_matrix(points: int, cells: float, phase: float, device: torch.device) -> Tensor:
    """Weights of the cubic B-spline coefficients at evenly spaced points.

    Args:
        points: Number of points, spread over the whole axis.
        cells: Spline cells the axis spans; more cells, rougher fields.
        phase: Shift of the knots in cells, in [0, 1), so that knots do not always sit at the same pixels.
        device: Device of the result.

    Returns:
        (points, coefficients); each row sums to one.
    """
    position = torch.linspace(0.0, max(cells, 1e-3), points, device=device) + phase
    count = int(cells + phase) + 4
    distance = (position[:, None] - torch.arange(count, device=device)[None] + 1.0).abs()
    inner = 2.0 / 3.0 - distance**2 + distance**3 / 2.0
    outer = (2.0 - distance).clamp(min=0.0) ** 3 / 6.0
    return torch.where(distance < 1.0, inner, outer)


def smooth_field(source: RandomSource, shape: Shape, cells: tuple[float, float, float], count: int = 1) -> Tensor:
    """Random fields of about zero mean and unit deviation.

    Args:
        source: Randomness and device.
        shape: (T, H, W).
        cells: Spline cells along each axis; the size of a blob is about one cell.
        count: Number of independent fields.

    Returns:
        (count, T, H, W) float32.
    """
    matrices = [
        spline_matrix(points, span, source.uniform(), source.device) / _AXIS_DEVIATION
        for points, span in zip(shape, cells, strict=True)
    ]
    coarse = source.randn(count, *(matrix.shape[1] for matrix in matrices))
    field = torch.einsum("tz,czyx->ctyx", matrices[0], coarse)
    field = torch.einsum("hy,ctyx->cthx", matrices[1], field)
    return field @ matrices[2].T


def octave_field(
    source: RandomSource, shape: Shape, cells: tuple[float, float, float], weights: Sequence[float] = (1.0, 0.5, 0.25)
) -> Tensor:
    """Sum of fields, each with twice the cells of the one before: a rough, natural surface.

    Returns:
        (T, H, W) float32 of about unit deviation.
    """
    norm = sum(weight**2 for weight in weights) ** 0.5
    total = torch.zeros(shape, device=source.device)
    for octave, weight in enumerate(weights):
        scaled = (cells[0] * 2**octave, cells[1] * 2**octave, cells[2] * 2**octave)
        total += smooth_field(source, shape, scaled)[0] * (weight / norm)
    return total
