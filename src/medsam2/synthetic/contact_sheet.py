"""A picture of many clips, to look at what the network is taught."""

from __future__ import annotations

import torch
from torch import Tensor

from medsam2.synthetic.slab import Clip
from medsam2.synthetic.targets import Targets

_COLOURS = ((1.0, 0.2, 0.2), (0.2, 1.0, 0.3), (0.3, 0.6, 1.0), (1.0, 0.9, 0.2), (1.0, 0.3, 1.0), (0.2, 1.0, 1.0))


def outlines(mask: Tensor) -> Tensor:
    """Inner border of masks (..., H, W), by the four neighbours."""
    eroded = mask.clone()
    eroded[..., 1:, :] &= mask[..., :-1, :]
    eroded[..., :-1, :] &= mask[..., 1:, :]
    eroded[..., :, 1:] &= mask[..., :, :-1]
    eroded[..., :, :-1] &= mask[..., :, 1:]
    return mask & ~eroded


def draw_clip(clip: Clip, targets: Targets | None = None) -> Tensor:
    """Frames of a clip side by side, targets outlined.

    Returns:
        (S, T * S, 3) uint8.
    """
    images = clip.images if clip.images.ndim == 4 else clip.images[:, None].expand(-1, 3, -1, -1)
    picture = images.clone()
    for index in range(0 if targets is None else len(targets.masks)):
        colour = torch.tensor(_COLOURS[index % len(_COLOURS)], device=picture.device)[None, :, None, None]
        border = outlines(targets.masks[index])[:, None]  # type: ignore[union-attr]
        picture = torch.where(border, colour, picture)
    row = torch.cat(tuple(picture), dim=2).permute(1, 2, 0)
    return (row * 255).round().clamp(0, 255).to(torch.uint8)


def contact_sheet(rows: list[Tensor], gap: int = 2) -> Tensor:
    """Stack rows of equal width.

    Args:
        rows: Pictures (S, W, 3) uint8, as `draw_clip` makes them.
        gap: Black pixels between rows.

    Returns:
        (H, W, 3) uint8 on the CPU.
    """
    parts: list[Tensor] = []
    for row in rows:
        parts += [row.cpu(), torch.zeros(gap, row.shape[1], 3, dtype=torch.uint8)]
    return torch.cat(parts[:-1])
