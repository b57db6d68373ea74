"""Between frames of any size and the network's square: the only interpolation in medsam2.

SAM 2 stretches a frame to a square, without keeping its aspect ratio and without padding; places in a frame
scale by S / columns and S / rows. "SAM 2" is its published code, github.com/facebookresearch/sam2.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

MASK_THRESHOLD = 0.5


def resize_image(image: Tensor, size: int) -> Tensor:
    """Stretch images to the network's square, as SAM 2's image predictor does: bilinear with antialiasing.

    Args:
        image: (N, C, R, Cc) floats: N images of C channels, R rows and Cc columns.
        size: S, pixels.

    Returns:
        (N, C, S, S).
    """
    return _interpolate(image, (size, size), antialias=True)


def resize_logits(logits: Tensor, shape: tuple[int, int]) -> Tensor:
    """Stretch mask logits to a frame, as SAM 2 does with its output: bilinear without antialiasing.

    Args:
        logits: (..., h, w) floats.
        shape: Rows and columns of the frame.

    Returns:
        (..., rows, columns).
    """
    stacked = logits.reshape(-1, 1, *logits.shape[-2:])
    return _interpolate(stacked, shape, antialias=False).reshape(*logits.shape[:-2], *shape)


def move_logits(logits: Tensor, seen: Tensor, wanted: Tensor, outside: float) -> Tensor:
    """Look at mask logits of one part of a frame through another part, bilinearly.

    Args:
        logits: (B, C, h, w).
        seen: (B, 4) what they show: x0, y0, x1, y1 as shares of the frame.
        wanted: (B, 4) what to look at instead.
        outside: logit of what was not seen.

    Returns:
        (B, C, h, w) float32: in bfloat16 places would be off by cells.
    """
    scale = (wanted[:, 2:] - wanted[:, :2]) / (seen[:, 2:] - seen[:, :2])
    centre = (wanted[:, 2:] + wanted[:, :2] - seen[:, 2:] - seen[:, :2]) / (seen[:, 2:] - seen[:, :2])
    theta = torch.cat((torch.diag_embed(scale), centre[..., None]), dim=-1).float()
    grid = functional.affine_grid(theta, list(logits.shape), align_corners=False)
    return functional.grid_sample(logits.float() - outside, grid, align_corners=False) + outside


def resize_mask(mask: Tensor, size: int) -> Tensor:
    """Stretch mask prompts to the network's square, as SAM 2's video predictor does.

    Bilinear with antialiasing; a pixel belongs to the mask if at least half of it does.

    Args:
        mask: (..., R, C) bool.
        size: S, pixels.

    Returns:
        (..., S, S) bool.
    """
    stacked = mask.reshape(-1, 1, *mask.shape[-2:]).float()
    resized = _interpolate(stacked, (size, size), antialias=True) >= MASK_THRESHOLD
    return resized.reshape(*mask.shape[:-2], size, size)


def _interpolate(image: Tensor, shape: tuple[int, int], *, antialias: bool) -> Tensor:
    if image.shape[-2:] == shape:
        return image
    if image.shape[0] == 0:
        return image.new_empty(*image.shape[:-2], *shape)
    return functional.interpolate(image, shape, mode="bilinear", align_corners=False, antialias=antialias)
