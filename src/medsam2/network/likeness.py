"""Where a frame looks like what was seen of an object on other frames: a first drawing of it where nothing else tells.

Each cell is compared with those remembered cells of the object and of its surroundings that are most like it. That is
the global matching of video object segmentation (FEELVOS, Voigtlaender et al. 2019, section 3.4) with cosines. SAM 2
has no such thing: what its memory attention has to learn from very many videos, a small network is told.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from medsam2.network.outputs import ImageFeatures, SeenMask

NEAREST = 3
"""Remembered cells, of either kind, that a cell is compared with."""

SHARPNESS = 12.0
"""Logits between a cell that is as like the object as can be and as unlike its surroundings, and one as like both."""

MOST_LIKE = 6.0
"""Likeness is never surer than a drawn prompt (`DRAWN_LEVEL`)."""

INSIDE, OUTSIDE = 0.5, 0.1
"""Share of a cell that belongs to an object's mask, for a cell of it at least, for one of its surroundings at most."""


def likeness(frame: ImageFeatures, examples: Sequence[SeenMask]) -> Tensor:
    """Draw where a frame looks like an object.

    Args:
        frame: of one frame, before any memory.
        examples: masks of the object (B = 1) on other frames, with their features.

    Returns:
        (1, 1, 4h, 4w) logits; 0, which says nothing, if no example shows the object.
    """
    side = frame.stride4.shape[-1]
    known = [one for one in examples if one.features is not None]
    levels = [
        _compared(frame.stride16, [(one.features.stride16, one.logits) for one in known if one.features]),
        _compared(frame.stride8, [(one.features.stride8, one.logits) for one in known if one.features]),
    ]
    drawn = [F.interpolate(level[None, None], (side, side), mode="bilinear") for level in levels]
    return torch.stack(drawn).mean(0).clamp(-MOST_LIKE, MOST_LIKE)


def _compared(cells: Tensor, examples: Sequence[tuple[Tensor, Tensor]]) -> Tensor:
    """Logits (h, w) of features (1, C, h, w) from the same features and mask logits of other frames."""
    inside, outside = [], []
    for features, logits in examples:
        rows, columns = features.shape[-2:]
        share = F.adaptive_avg_pool2d((logits > 0).float(), (rows, columns)).flatten()
        described = _described(features)
        inside.append(described[:, share >= INSIDE])
        outside.append(described[:, share <= OUTSIDE])
    like, unlike = (torch.cat(one, dim=1) if one else cells.new_zeros(cells.shape[1], 0) for one in (inside, outside))
    if not like.shape[1]:
        return cells.new_zeros(cells.shape[-2:], dtype=torch.float32)
    own = _described(cells)
    return (SHARPNESS * (_nearest(own, like) - _nearest(own, unlike))).unflatten(0, cells.shape[-2:])


def _described(features: Tensor) -> Tensor:
    """Cells (C, h w) of unit length; what all cells of the frame share, such as its contrast, tells nothing."""
    flat = features[0].flatten(1).float()
    return F.normalize(flat - flat.mean(1, keepdim=True), dim=0)


def _nearest(own: Tensor, others: Tensor) -> Tensor:
    """Mean cosine of each cell (C, n) and the few most like it among others (C, m): (n,); 0 without others."""
    if not others.shape[1]:
        return own.new_zeros(own.shape[1])
    return (own.T @ others).topk(min(NEAREST, others.shape[1]), dim=1).values.mean(1)
