"""Where a frame looks like what was seen of an object on other frames: a first drawing of it where nothing else tells.

A linear classifier of the encoder's features is fitted to the remembered masks in closed form, and drawn on the frame.
Ridge regression has a derivative, so the features learn to be told apart by it (few-shot classification: Bertinetto et
al. 2019, "Meta-learning with differentiable closed-form solvers", section 3; video: Bhat et al. 2020, "Learning what to
learn for video object segmentation"). SAM 2 has no such thing: what its memory attention has to learn from very many
videos, a small network is told.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from medsam2.network.outputs import ImageFeatures, MemoryEntry, SeenMask

RIDGE = 3e-4
"""Penalty of the squared weights, where each level of the features has a mean square of 1 over its frame."""

PLACE = 0.2
"""How much the place in the frame counts beside the features: organs keep to theirs, lesions do not."""

BIAS = 0.1

BALANCE = 0.1
"""Of all weight, what the object and its surroundings get each, however small they are."""

MOST_LIKE = 6.0
"""Logits of a cell that is as like the object as those that were remembered; a drawn prompt is surer."""

LEAST_VARIANCE = 1e-6


def likeness(frame: ImageFeatures, memories: Sequence[MemoryEntry]) -> Tensor:
    """Draw where a frame looks like an object.

    Args:
        frame: of one frame, before any memory.
        memories: of the object (B = 1) on other frames; each is believed as far as its estimated IoU.

    Returns:
        (1, 1, 4h, 4w) float32 logits; 0, which says nothing, if no memory shows the object.
    """
    shape = frame.stride4.shape[-2:]
    known = [
        (one.mask, float(one.iou.detach()))
        for one in memories
        if one.mask is not None and one.mask.features is not None
    ]
    if not any(trust > 0 and bool((mask.logits > 0).any()) for mask, trust in known):
        return torch.zeros(1, 1, *shape, device=frame.stride4.device)
    # Least squares lose too much in half precision.
    with torch.autocast(frame.stride4.device.type, enabled=False):
        score = _classifier(known) @ _described(frame)
    return (MOST_LIKE * score).clamp(-MOST_LIKE, MOST_LIKE).view(1, 1, *shape)


def _classifier(known: Sequence[tuple[SeenMask, float]]) -> Tensor:
    """Weights (D,) that give 1 on cells of the object and -1 beside it, as nearly as they can."""
    cells = torch.cat([_described(mask.features) for mask, _ in known if mask.features is not None], dim=1)
    shares = [mask.logits.float().sigmoid().flatten() for mask, _ in known]
    inside = torch.cat(shares)
    trust = torch.cat([torch.full_like(one, believed) for one, (_, believed) in zip(shares, known, strict=True)])
    weights = _balanced(trust * inside, trust * (1 - inside))
    weighted = cells * weights
    penalty = RIDGE * torch.eye(len(cells), device=cells.device)
    aimed = weighted @ (2 * inside - 1)
    return torch.cholesky_solve(aimed[:, None], torch.linalg.cholesky(weighted @ cells.T + penalty))[:, 0]


def _balanced(inside: Tensor, outside: Tensor) -> Tensor:
    """Weights of cells (n,), of sum 1, of which the object and its surroundings have a least share each."""
    within, around = inside.sum(), outside.sum()
    share = BALANCE + (1 - 2 * BALANCE) * within / (within + around)
    return share * inside / within.clamp_min(LEAST_VARIANCE) + (1 - share) * outside / around.clamp_min(LEAST_VARIANCE)


def _described(frame: ImageFeatures) -> Tensor:
    """Features and place of each stride-4 cell of one frame, (D, cells)."""
    shape = (frame.stride4.shape[-2], frame.stride4.shape[-1])
    levels = [_level(one, shape) for one in (frame.stride4, frame.stride8, frame.stride16)]
    return torch.cat((*levels, PLACE * _places(frame, shape), levels[0].new_full((1, levels[0].shape[1]), BIAS)))


def _level(features: Tensor, shape: tuple[int, int]) -> Tensor:
    """One level (1, C, h, w), (C, cells): what all its cells share, such as the frame's contrast, tells nothing."""
    cells = F.interpolate(features.float(), shape, mode="bilinear")[0].flatten(1)
    cells = cells - cells.mean(1, keepdim=True)
    return cells * (cells.square().sum(0).mean() + LEAST_VARIANCE).rsqrt()


def _places(frame: ImageFeatures, shape: tuple[int, int]) -> Tensor:
    """Where in the whole frame each cell lies, x and y in [-1, 1], (2, cells)."""
    region = frame.regions[0] if frame.regions is not None else torch.tensor([0.0, 0.0, 1.0, 1.0])
    x0, y0, x1, y1 = region.to(frame.stride4.device, torch.float32)
    rows, columns = ((torch.arange(count, device=frame.stride4.device) + 0.5) / count for count in shape)
    y, x = torch.meshgrid(y0 + rows * (y1 - y0), x0 + columns * (x1 - x0), indexing="ij")
    return 2 * torch.stack((x.flatten(), y.flatten())) - 1
