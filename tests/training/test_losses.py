"""Losses against values worked out by hand, and against PyTorch's own."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from medsam2.network import MaskPrediction
from medsam2.training.losses import (
    ABSENT_WEIGHT,
    DICE_WEIGHT,
    FOCAL_WEIGHT,
    IOU_WEIGHT,
    LIKENESS_WEIGHT,
    SCORE_WEIGHT,
    SECOND_CHOICE_WEIGHT,
    SMALLEST_AREA,
    consensus_loss,
    focal,
    frame_loss,
    hard_iou,
    likeness_loss,
    soft_dice,
)

MANY = 20.0
"""A logit that is as good as certain."""


def masks(*cells, side=4, inside=1.0, outside=0.0):
    """(1, len(cells), side, side): each mask is the number of cells that are `inside`, from the top left."""
    flat = torch.full((len(cells), side * side), outside)
    for row, count in enumerate(cells):
        flat[row, :count] = inside
    return flat.view(1, len(cells), side, side)


def prediction(*cells, iou=(0.5, 0.5, 0.5, 0.5), score=0.0):
    """Four candidates, certain, of so many cells at stride 4."""
    logits = masks(*cells, inside=MANY, outside=-MANY)
    return MaskPrediction(logits, torch.tensor([iou]), torch.zeros(1, 4, 8), torch.tensor([score]))


def truth(cells):
    """(1, 16, 16) bool of as many whole stride-4 cells."""
    return masks(cells)[0].repeat_interleave(4, -1).repeat_interleave(4, -2) > 0


AMBIGUOUS, CLEAR = torch.tensor([True]), torch.tensor([False])
SLICE, IMAGE = torch.tensor([True]), torch.tensor([False])


def test_focal_of_an_undecided_pixel():
    # p = 1/2 everywhere: (1/2)^2 ln 2 a pixel; one pixel of the object.
    value = focal(torch.zeros(1, 1, 4, 4), masks(1))
    assert value.shape == (1, 1)
    assert value.item() == pytest.approx(16 * 0.25 * math.log(2) / (1 + SMALLEST_AREA))


def test_focal_of_known_probabilities():
    logits = torch.tensor([[[[math.log(3.0), -math.log(3.0)]]]])  # p = 3/4 and 1/4
    target = torch.tensor([[[[1.0, 1.0]]]])
    by_hand = (0.25**2 * -math.log(0.75) + 0.75**2 * -math.log(0.25)) / (2 + SMALLEST_AREA)
    assert focal(logits, target).item() == pytest.approx(by_hand)


def test_focal_of_hard_targets_is_that_of_lin():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(3, 2, 5, 6, generator=generator)
    target = (torch.rand(3, 2, 5, 6, generator=generator) < 0.4).float()
    probability = logits.sigmoid()
    right = torch.where(target > 0, probability, 1 - probability)
    expected = (-((1 - right) ** 2) * right.log()).sum((-2, -1)) / (target.sum((-2, -1)) + SMALLEST_AREA)
    torch.testing.assert_close(focal(logits, target), expected)


def test_focal_is_least_where_the_logits_say_the_soft_target():
    target = torch.full((1, 1, 2, 2), 0.3)
    best = torch.full_like(target, math.log(0.3 / 0.7)).requires_grad_()
    focal(best, target).sum().backward()
    assert focal(best, target).item() == pytest.approx(0)
    assert best.grad.abs().max() < 1e-6


@pytest.mark.parametrize(
    ("mask", "reference", "dice"), [(4, 4, 1.0), (0, 0, 1.0), (4, 0, 1 / 5), (0, 4, 1 / 5), (8, 4, 9 / 13)]
)
def test_soft_dice_by_hand(mask, reference, dice):
    assert soft_dice(masks(mask), masks(reference)).item() == pytest.approx(dice)


def test_soft_dice_of_halves():
    # 2 * (1/2 * 4) + 1 over (1/2 * 16) + 4 + 1
    assert soft_dice(torch.full((1, 1, 4, 4), 0.5), masks(4)).item() == pytest.approx(5 / 13)


@pytest.mark.parametrize(
    ("mask", "reference", "iou"), [(4, 4, 1.0), (0, 0, 1.0), (4, 0, 0.0), (0, 4, 0.0), (8, 4, 0.5), (3, 12, 0.25)]
)
def test_hard_iou_by_hand(mask, reference, iou):
    assert hard_iou(masks(mask, inside=1e-3, outside=-1e-3), masks(reference)).item() == pytest.approx(iou)


def test_hard_iou_of_a_soft_truth_takes_the_half():
    logits = torch.ones(1, 1, 1, 3)
    assert hard_iou(logits, torch.tensor([[[[0.5, 0.49, 1.0]]]])).item() == pytest.approx(2 / 3)


@settings(deadline=None)
@given(st.integers(0, 16), st.integers(0, 16))
def test_hard_iou_is_symmetric_and_a_share(first, second):
    one = hard_iou(masks(first, outside=-1.0), masks(second)).item()
    assert one == hard_iou(masks(second, outside=-1.0), masks(first)).item()
    assert 0 <= one <= 1


def mask_cost(cells, reference):
    """Focal and Dice of a certain mask, where one lies within the other."""
    wrong = abs(cells - reference)
    focal_part = wrong * MANY / (reference + SMALLEST_AREA)
    dice_part = 1 - (2 * min(cells, reference) + 1) / (cells + reference + 1)
    return FOCAL_WEIGHT * focal_part + DICE_WEIGHT * dice_part


def test_a_clear_prompt_calls_for_the_first_candidate():
    loss = frame_loss(prediction(6, 4, 8, 2), truth(4), SLICE, CLEAR)
    expected = mask_cost(6, 4) + SECOND_CHOICE_WEIGHT * mask_cost(4, 4)
    assert loss.mask.item() == pytest.approx(expected, rel=1e-4)
    assert loss.dice.item() == pytest.approx(8 / 10)


def test_an_ambiguous_prompt_calls_for_the_best_of_the_others():
    loss = frame_loss(prediction(6, 12, 5, 2, iou=(0.9, 0.1, 0.2, 0.8)), truth(4), SLICE, AMBIGUOUS)
    expected = mask_cost(5, 4) + SECOND_CHOICE_WEIGHT * mask_cost(6, 4)
    assert loss.mask.item() == pytest.approx(expected, rel=1e-4)
    # Inference would take the last by its estimate: IoU 1/2 where 4/5 was to be had.
    assert loss.dice.item() == pytest.approx(2 / 3)
    assert loss.regret.item() == pytest.approx(4 / 5 - 1 / 2)


def test_estimates_learn_the_true_iou_of_every_candidate():
    loss = frame_loss(prediction(4, 8, 16, 2, iou=(0.9, 0.5, 0.5, 0.0)), truth(4), SLICE, CLEAR)
    assert loss.iou.item() == pytest.approx((0.1 + 0 + 0.25 + 0.5) / 4)
    assert torch.isnan(loss.regret).all()


@pytest.mark.parametrize(("cells", "score"), [(4, 1.5), (0, 1.5), (4, -0.5), (0, -0.5)])
@pytest.mark.parametrize("ordered", [SLICE, IMAGE])
def test_the_object_score_is_judged_by_cross_entropy(cells, score, ordered):
    loss = frame_loss(prediction(4, 4, 4, 4, score=score), truth(cells), ordered, CLEAR)
    weight = ABSENT_WEIGHT if ordered and not cells else 1.0
    assert loss.score.item() == pytest.approx(weight * math.log1p(math.exp(-score if cells else score)))


def test_where_the_object_is_absent_the_masks_do_not_learn_and_their_estimates_should_be_zero():
    answer = prediction(4, 4, 4, 4, score=2.0)
    logits = answer.logits.requires_grad_()
    loss = frame_loss(answer, truth(0), SLICE, AMBIGUOUS)
    assert (loss.mask.item(), loss.iou.item()) == (0, pytest.approx(answer.iou.mean().item()))
    assert torch.isnan(loss.dice).all()
    loss.total().backward()
    assert not logits.grad.any()


def test_the_total_is_weighted_and_the_mean_over_objects():
    both = MaskPrediction(
        *(torch.cat(pair) for pair in zip(*map(fields, (prediction(6, 4, 8, 2), prediction(3, 5, 5, 5))), strict=True))
    )
    truths, kinds = torch.cat((truth(4), truth(5))), torch.cat((CLEAR, AMBIGUOUS))
    together = frame_loss(both, truths, SLICE.expand(2), kinds)
    assert together.mask.shape == together.iou.shape == together.score.shape == (2,)
    expected = together.mask + IOU_WEIGHT * together.iou + SCORE_WEIGHT * together.score
    assert together.total().item() == pytest.approx(expected.mean().item())
    alone = (
        frame_loss(prediction(6, 4, 8, 2), truth(4), SLICE, CLEAR).total(),
        frame_loss(prediction(3, 5, 5, 5), truth(5), SLICE, AMBIGUOUS).total(),
    )
    assert together.total().item() == pytest.approx((sum(alone) / 2).item(), rel=1e-5)


def fields(answer):
    return answer.logits, answer.iou, answer.tokens, answer.object_score


def test_truth_is_averaged_over_the_cells_of_the_logits():
    part = torch.zeros(1, 16, 16, dtype=torch.bool)
    part[0, :2, :4] = True  # half of the first cell
    logits = torch.full((1, 4, 4, 4), -MANY)
    logits[..., 0, 0] = 0.0
    answer = MaskPrediction(logits, torch.ones(1, 4), torch.zeros(1, 4, 8), torch.zeros(1))
    loss = frame_loss(answer, part, SLICE, CLEAR)
    dice = (2 * 0.25 + 1) / (0.5 + 0.5 + 1)
    assert loss.mask.item() == pytest.approx((1 + SECOND_CHOICE_WEIGHT) * DICE_WEIGHT * (1 - dice), rel=1e-4)


def test_losses_are_finite_and_have_gradients_at_extreme_logits():
    generator = torch.Generator().manual_seed(0)
    logits = (1e3 * torch.randn(2, 4, 4, 4, generator=generator)).requires_grad_()
    score = torch.tensor([500.0, -500.0], requires_grad=True)
    answer = MaskPrediction(logits, torch.rand(2, 4, generator=generator), torch.zeros(2, 4, 8), score)
    loss = frame_loss(answer, torch.cat((truth(0), truth(7))), SLICE.expand(2), torch.tensor([True, False])).total()
    loss.backward()
    assert loss.isfinite()
    assert logits.grad.isfinite().all()
    assert score.grad.isfinite().all()


def test_bfloat16_predictions_are_judged_in_float32():
    answer = prediction(6, 4, 8, 2)
    half = MaskPrediction(*(one.to(torch.bfloat16) for one in fields(answer)))
    loss = frame_loss(half, truth(4), SLICE, CLEAR)
    assert loss.mask.dtype == loss.iou.dtype == loss.score.dtype == torch.float32
    torch.testing.assert_close(loss.total(), frame_loss(answer, truth(4), SLICE, CLEAR).total(), rtol=1e-3, atol=1e-3)


def test_cross_entropy_under_the_focal_weight_is_pytorch_s():
    generator = torch.Generator().manual_seed(1)
    logits, target = torch.randn(1, 1, 6, 6, generator=generator), torch.rand(1, 1, 6, 6, generator=generator)
    entropy = F.binary_cross_entropy(logits.sigmoid(), target, reduction="none")
    expected = ((logits.sigmoid() - target) ** 2 * entropy).sum() / (target.sum() + SMALLEST_AREA)
    torch.testing.assert_close(focal(logits, target)[0, 0], expected)


def test_the_consensus_is_judged_as_one_mask():
    # Three of four candidates see the first two cells: their mean does, too.
    told = prediction(2, 2, 2, 0, iou=(0.2, 0.4, 0.6, 0.8), score=1.0)
    loss = consensus_loss(told, truth(2), SLICE)
    one = prediction(2, 2, 2, 2, iou=(0.5,) * 4, score=1.0)
    weaker = MaskPrediction(one.logits.where(one.logits < 0, MANY / 2), one.iou, one.tokens, one.object_score)
    alone = frame_loss(weaker, truth(2), SLICE, CLEAR)
    assert loss.mask.item() == pytest.approx(alone.mask.item() / (1 + SECOND_CHOICE_WEIGHT))
    assert loss.iou.item() == pytest.approx(0.5)  # estimated .5 on average, true 1
    assert loss.score.item() == pytest.approx(alone.score.item())
    assert loss.dice.item() == 1
    assert loss.regret.isnan().all()


def test_a_consensus_on_a_frame_without_the_object():
    loss = consensus_loss(prediction(2, 2, 2, 2, iou=(0.25,) * 4, score=-1.0), truth(0), SLICE)
    assert loss.mask.item() == 0
    assert loss.iou.item() == pytest.approx(0.25)  # a mask of nothing has an IoU of 0
    assert loss.dice.isnan().all()


def test_a_first_drawing_is_judged_by_cross_entropy_and_dice():
    drawn = torch.cat([masks(2, inside=MANY, outside=-MANY), masks(0, outside=-MANY)])  # right; and right to be empty
    loss, dice = likeness_loss(drawn, torch.cat([truth(2), truth(0)]))
    assert loss.tolist() == pytest.approx([0.0, 0.0], abs=1e-4)
    assert dice[0].item() == 1
    assert dice[1].isnan()
    undecided, _ = likeness_loss(torch.zeros_like(drawn), torch.cat([truth(2), truth(0)]))
    soft = (2 * 2 * 0.5 + 1) / (16 * 0.5 + 2 + 1)
    expected = [LIKENESS_WEIGHT * (math.log(2) + 1 - soft), LIKENESS_WEIGHT * math.log(2)]
    assert undecided.tolist() == pytest.approx(expected)
