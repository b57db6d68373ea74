"""What a prediction is judged by while training (SAM 2, appendix D: focal and Dice, IoU and object score)."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from medsam2.network import MaskPrediction, agree_on_mask

FOCAL_POWER = 2.0
FOCAL_WEIGHT = 0.3
"""With more, what is uncertain stays below one half, and masks come out too small; Dice makes up its mind."""

SMALLEST_AREA = 16.0
"""Cells of the stride-4 grid that count at the least when the focal loss is divided by an object's size."""

DICE_WEIGHT = 1.0
IOU_WEIGHT = 2.0
SCORE_WEIGHT = 1.5
ABSENT_WEIGHT = 3.0
"""In clips most frames hold the object, in scans most do not: a slice without it counts for this many. An image of a
set counts once."""

REGRET_WEIGHT = 1.0
REGRET_SHARPNESS = 12.0
"""Of the soft choice among candidates by their estimates: two that differ by .1 share their chances 3 to 1."""

SECOND_CHOICE_WEIGHT = 0.3
"""Share with which the candidates that the prompt does not call for learn: the predictor falls back on them."""


LIKENESS_WEIGHT = 1.0


@dataclass(frozen=True)
class FrameLoss:
    """The losses of B objects on one frame, each (B,), not yet weighted.

    Attributes:
        mask: focal and Dice of the masks, 0 where the object is absent.
        iou: absolute error of the estimated IoU, mean over the candidates; where the object is absent, a mask that is
            not empty has an IoU of 0 (SAM 2 leaves these out; but the estimate decides what is remembered).
        score: cross-entropy of the object score, absence weighted.
        choice: IoU that a soft choice by estimate loses against the best candidate; 0 where absent or clear. Estimates
            may err little and still rank wrongly; this trains the rank.
        dice: Dice overlap of the mask that inference would choose, for the log; NaN where the object is absent.
        regret: IoU lost by choosing by estimate instead of by truth, for the log; NaN where absent or clear.
    """

    mask: Tensor
    iou: Tensor
    score: Tensor
    choice: Tensor
    dice: Tensor
    regret: Tensor

    def total(self) -> Tensor:
        """The weighted sum, mean over the objects."""
        estimates = IOU_WEIGHT * self.iou + REGRET_WEIGHT * self.choice
        return (self.mask + estimates + SCORE_WEIGHT * self.score).mean()


def frame_loss(prediction: MaskPrediction, truth: Tensor, ordered: Tensor, ambiguous: Tensor) -> FrameLoss:
    """Judge the four candidates of B objects.

    Args:
        prediction: what the decoder said.
        truth: (B, S, S) bool.
        ordered: (B,) bool, a slice of a volume; else an image of a set.
        ambiguous: (B,) bool, the prompt leaves open which of candidates 1..3 is meant; else it calls for candidate 0.
    """
    soft_truth = _on_grid(truth, prediction.logits)
    present = truth.flatten(1).any(1)
    per_mask = _mask_loss(prediction.logits, soft_truth)
    best_of_three, clear = per_mask[:, 1:].amin(1), per_mask[:, 0]
    first = torch.where(ambiguous, best_of_three, clear)
    second = torch.where(ambiguous, clear, best_of_three)
    iou = hard_iou(prediction.logits, soft_truth)
    return FrameLoss(
        mask=torch.where(present, first + SECOND_CHOICE_WEIGHT * second, 0.0),
        iou=(prediction.iou.float() - iou).abs().mean(1),
        score=_presence_loss(prediction.object_score.float(), present, ordered),
        choice=torch.where(present & ambiguous, _expected_regret(prediction.iou[:, 1:].float(), iou[:, 1:]), 0.0),
        **_for_the_log(prediction, iou, present, ambiguous),
    )


def consensus_loss(prediction: MaskPrediction, truth: Tensor, ordered: Tensor) -> FrameLoss:
    """Judge the mean of the candidates of B objects, where nothing is ambiguous.

    Args:
        prediction: what the decoder said.
        truth: (B, S, S) bool.
        ordered: (B,) bool, a slice of a volume; else an image of a set.
    """
    agreed = agree_on_mask(prediction)
    logits = agreed.logits[:, None]
    soft_truth = _on_grid(truth, logits)
    present = truth.flatten(1).any(1)
    iou = hard_iou(logits, soft_truth)[:, 0]
    nothing = torch.full_like(iou, torch.nan)
    return FrameLoss(
        mask=torch.where(present, _mask_loss(logits, soft_truth)[:, 0], 0.0),
        iou=(agreed.iou.float() - iou).abs(),
        score=_presence_loss(prediction.object_score.float(), present, ordered),
        choice=torch.zeros_like(iou),
        dice=torch.where(present, 2 * iou / (1 + iou), nothing),
        regret=nothing,
    )


def likeness_loss(drawn: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
    """Judge what looked like B objects: cross-entropy, and Dice where they are there.

    Args:
        drawn: (B, 1, 4h, 4w) logits.
        truth: (B, S, S) bool.

    Returns:
        The weighted loss of each, (B,), and for the log the Dice of the hard masks, NaN where the object is absent.
    """
    soft_truth = _on_grid(truth, drawn)
    present = truth.flatten(1).any(1)
    entropy = F.binary_cross_entropy_with_logits(drawn, soft_truth, reduction="none").mean((1, 2, 3))
    missed = 1 - soft_dice(drawn.sigmoid(), soft_truth)[:, 0]
    iou = hard_iou(drawn, soft_truth)[:, 0]
    dice = torch.where(present, 2 * iou / (1 + iou), torch.nan)
    return LIKENESS_WEIGHT * (entropy + torch.where(present, missed, 0.0)), dice


def _on_grid(truth: Tensor, logits: Tensor) -> Tensor:
    """Shares of each cell of the masks' grid that the truth (B, S, S) fills, for all candidates, (B, M, 4h, 4w)."""
    side = truth.shape[-1] // logits.shape[-1]
    return F.avg_pool2d(truth.float()[:, None], side).expand(-1, logits.shape[1], -1, -1)


def _mask_loss(logits: Tensor, soft_truth: Tensor) -> Tensor:
    """Focal and Dice loss of each candidate, (B, M)."""
    logits = logits.float()
    return FOCAL_WEIGHT * focal(logits, soft_truth) + DICE_WEIGHT * (1 - soft_dice(logits.sigmoid(), soft_truth))


def _presence_loss(score: Tensor, present: Tensor, ordered: Tensor) -> Tensor:
    """Cross-entropy of the object score, (B,); slices without the object weigh more."""
    weight = torch.where(ordered & ~present, ABSENT_WEIGHT, 1.0)
    return F.binary_cross_entropy_with_logits(score, present.float(), weight, reduction="none")


def _expected_regret(estimates: Tensor, iou: Tensor) -> Tensor:
    """IoU that a soft choice by the estimates loses on average: (B, M), (B, M) -> (B,)."""
    chances = (REGRET_SHARPNESS * estimates).softmax(1)
    return (chances * (iou.amax(1, keepdim=True) - iou)).sum(1)


def _for_the_log(prediction: MaskPrediction, iou: Tensor, present: Tensor, ambiguous: Tensor) -> dict[str, Tensor]:
    guess = prediction.iou[:, 1:].argmax(1, keepdim=True) + 1
    chosen = torch.where(ambiguous, iou.gather(1, guess)[:, 0], iou[:, 0])
    nothing = torch.full_like(chosen, torch.nan)
    return {
        "dice": torch.where(present, 2 * chosen / (1 + chosen), nothing),
        "regret": torch.where(present & ambiguous, iou[:, 1:].amax(1) - chosen, nothing),
    }


def focal(logits: Tensor, truth: Tensor) -> Tensor:
    """Focal loss with soft targets (Lin et al. 2017; Li et al. 2020 for soft ones): (B, M, H, W) -> (B, M).

    Summed over the image and divided by the object's area, so that a lesion weighs as much as a liver (SAM 2 takes the
    mean over the image, which all but forgets small objects).
    """
    entropy = F.binary_cross_entropy_with_logits(logits, truth, reduction="none")
    total = ((logits.sigmoid() - truth).abs() ** FOCAL_POWER * entropy).sum((-2, -1))
    return total / (truth.sum((-2, -1)) + SMALLEST_AREA)


def soft_dice(probability: Tensor, truth: Tensor) -> Tensor:
    """Dice overlap of soft masks (Milletari et al. 2016), (B, M, H, W) -> (B, M); one pixel is added to either side."""
    overlap = (probability * truth).sum((-2, -1))
    return (2 * overlap + 1) / (probability.sum((-2, -1)) + truth.sum((-2, -1)) + 1)


def hard_iou(logits: Tensor, truth: Tensor) -> Tensor:
    """Intersection over union of the masks at threshold 0, (B, M, H, W) -> (B, M); 1 if both are empty."""
    mask, reference = logits > 0, truth >= 0.5
    both = (mask & reference).sum((-2, -1)).float()
    either = (mask | reference).sum((-2, -1)).float()
    return torch.where(either > 0, both / either.clamp_min(1), 1.0)
