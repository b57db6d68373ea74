"""Prompts as a user would give them, made from true masks, in batches and on any device."""

from dataclasses import dataclass

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from medsam2.engine.track import NetworkPrompt
from medsam2.network.outputs import PointKind

BOX_JITTER = 0.08
"""Standard deviation of a box's edges, as a share of its sides."""

DEPTH_CELL = 4
"""Pixels a side of the cells on which the depth inside a mask is measured."""

EROSION_STEPS = 10
"""Cells; deeper inside an object all places are equally good for a click."""


@dataclass(frozen=True)
class PromptMix:
    """How often the first prompt is of each kind; the rest are single clicks.

    Attributes:
        box: share of boxes.
        mask: share of drawn masks.
        central: share of the clicks that are in the object's middle; the rest lie anywhere in it.
    """

    box: float = 0.4
    mask: float = 0.2
    central: float = 0.5


def first_prompts(truth: Tensor, mix: PromptMix, generator: Generator) -> list[NetworkPrompt]:
    """One prompt for each of B objects.

    Args:
        truth: (B, S, S) bool, none of them empty.
        mix: the shares.
        generator: on the CPU; advanced.
    """
    kinds = torch.rand(len(truth), generator=generator)
    boxes = jittered_boxes(truth, generator)
    clicks = interior_points(truth, generator, mix.central)
    prompts = []
    for index, draw in enumerate(kinds.tolist()):
        if draw < mix.box:
            corners = torch.tensor([PointKind.BOX_FIRST, PointKind.BOX_LAST], device=truth.device)
            prompts.append(NetworkPrompt(boxes[index], corners))
        elif draw < mix.box + mix.mask:
            prompts.append(NetworkPrompt.from_mask(truth[index, None].float()))
        else:
            kind = torch.tensor([PointKind.POSITIVE], device=truth.device)
            prompts.append(NetworkPrompt(clicks[index, None], kind))
    return prompts


def jittered_boxes(truth: Tensor, generator: Generator) -> Tensor:
    """The corners of boxes drawn a little off around B masks (B, S, S): (B, 2, 2) as x, y, inside the image."""
    size = truth.shape[-1]
    low, high = [], []
    for axis in (-2, -1):  # over rows: the columns' extent (x), then the rows' (y)
        covered = truth.any(axis)
        first = covered.float().argmax(-1)
        last = size - 1 - covered.flip(-1).float().argmax(-1)
        low.append(first)
        high.append(last)
    corners = torch.stack((torch.stack(low, -1), torch.stack(high, -1)), dim=1).float()
    sides = (corners[:, 1] - corners[:, 0] + 1)[:, None]
    noise = torch.randn(corners.shape, generator=generator).clamp(-2, 2).to(truth.device)
    jittered = corners + noise * BOX_JITTER * sides
    return jittered.sort(dim=1).values.clamp(0, size - 1)  # a box one pixel wide may have turned inside out


def interior_points(mask: Tensor, generator: Generator, central: float) -> Tensor:
    """A point in each of B masks (B, S, S): in the middle of its thickest part, or anywhere: (B, 2) as x, y.

    An empty mask gives the corner (0, 0).
    """
    anywhere = torch.rand(mask.shape, generator=generator).to(mask.device)
    wants_middle = (torch.rand(len(mask), generator=generator) < central).to(mask.device)
    score = torch.where(wants_middle[:, None, None], depth(mask) + 0.5 * anywhere, anywhere)
    place = torch.where(mask, score + 1, 0).flatten(1).argmax(1)
    return torch.stack((place % mask.shape[-1], place // mask.shape[-1]), dim=-1).float()


def depth(mask: Tensor) -> Tensor:
    """How deep inside its mask each pixel lies, about, in cells of four pixels: (B, S, S) bool -> float.

    Erosion on the coarse grid: exact distances are not needed for a place to click, and cost more than the network.
    """
    inside = F.avg_pool2d(mask.float()[:, None], DEPTH_CELL)
    total = inside.clone()
    for _ in range(EROSION_STEPS):
        inside = -F.max_pool2d(-F.pad(inside, (1, 1, 1, 1)), 3, stride=1)
        total += inside
    return F.interpolate(total, mask.shape[-2:], mode="bilinear")[:, 0]


def corrective_clicks(truth: Tensor, logits: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
    """A click in the middle of the larger kind of error of B masks.

    Args:
        truth: (B, S, S) bool.
        logits: (B, S / 4, S / 4) of the answer to correct.
        generator: on the CPU; advanced.

    Returns:
        Points (B, 1, 2) as x, y and kinds (B, 1): positive in a missed part, negative in a wrong one.
    """
    answer = F.interpolate(logits[:, None].float(), truth.shape[-2:], mode="bilinear")[:, 0] > 0
    missed, wrong = truth & ~answer, answer & ~truth
    deeper_missed = depth(missed).flatten(1).amax(1) >= depth(wrong).flatten(1).amax(1)
    error = torch.where(deeper_missed[:, None, None], missed, wrong)
    nothing = ~error.flatten(1).any(1)  # a perfect answer is confirmed by a click in the object
    error = torch.where(nothing[:, None, None], truth, error)
    kinds = torch.where(deeper_missed | nothing, int(PointKind.POSITIVE), int(PointKind.NEGATIVE))
    return interior_points(error, generator, central=1.0)[:, None], kinds[:, None]
