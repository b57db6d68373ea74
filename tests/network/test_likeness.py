"""What looks like an object, drawn."""

from dataclasses import replace

import pytest
import torch

from medsam2.network import ImageFeatures, MemoryEntry, likeness
from medsam2.network.likeness import MOST_LIKE, RIDGE, _balanced, _described
from medsam2.network.outputs import SeenMask

OBJECT, GROUND = torch.eye(8)[0], torch.eye(8)[1]


def features_of(place, contrast=0.0):
    """A frame (side 16 cells of stride 4) that holds the object in a square of stride-8 cells, the ground elsewhere."""
    rows, columns = place
    map8 = GROUND[:, None, None].repeat(1, 8, 8)
    map8[:, rows, columns] = OBJECT[:, None, None]
    map8 = map8[None] + contrast
    return ImageFeatures(torch.zeros(1, 2, 16, 16), map8, torch.nn.functional.avg_pool2d(map8, 2))


def remembered(logits, features, iou=1.0):
    """A memory of which only the mask is looked at."""
    nothing = torch.zeros(1)
    return MemoryEntry(nothing, nothing, torch.tensor([iou]), nothing, 0, mask=SeenMask(logits, features=features))


def mask_of(place):
    logits = torch.full((1, 1, 16, 16), -10.0)
    rows, columns = (slice(2 * one.start, 2 * one.stop) for one in place)
    logits[..., rows, columns] = 10.0
    return logits


HERE, THERE = (slice(0, 4), slice(0, 4)), (slice(4, 8), slice(2, 6))


@pytest.mark.parametrize("contrast", [0.0, 5.0])
def test_what_looks_like_the_object_is_drawn_wherever_it_is(contrast):
    drawn = likeness(features_of(THERE, contrast), [remembered(mask_of(HERE), features_of(HERE))])
    assert drawn.shape == (1, 1, 16, 16)
    inside = mask_of(THERE) > 0
    assert (drawn[inside] > 0).float().mean() > 0.8  # interpolation rounds the corners
    assert (drawn[~inside] < 0).float().mean() > 0.9
    assert drawn.abs().max() <= MOST_LIKE


def test_what_looks_like_the_surroundings_is_drawn_as_such():
    ground_only = ImageFeatures(
        torch.zeros(1, 2, 16, 16), *(GROUND.view(1, 8, 1, 1).repeat(1, 1, n, n) for n in (8, 4))
    )
    drawn = likeness(ground_only, [remembered(mask_of(HERE), features_of(HERE))])
    assert (drawn <= 0).all()


def test_without_an_example_of_the_object_nothing_is_said():
    frame, empty = features_of(HERE), torch.full((1, 1, 16, 16), -10.0)
    assert not likeness(frame, []).any()
    assert not likeness(frame, [remembered(empty, frame)]).any()
    assert not likeness(frame, [remembered(mask_of(HERE), None)]).any()  # a network that keeps no features


def test_an_object_that_fills_the_frame_has_no_surroundings():
    frame = features_of(HERE)
    assert likeness(frame, [remembered(torch.full((1, 1, 16, 16), 10.0), frame)]).isfinite().all()


def test_features_learn_from_it():
    frame, example = features_of(THERE), features_of(HERE)
    frame.stride8.requires_grad_()
    likeness(frame, [remembered(mask_of(HERE), example)]).sum().backward()
    assert frame.stride8.grad.isfinite().all()
    assert frame.stride8.grad.any()


def test_a_memory_is_believed_as_far_as_its_estimate():
    here, there = features_of(HERE), features_of(THERE)
    right, wrong = remembered(mask_of(HERE), here), mask_of((slice(0, 8), slice(6, 8)))  # ground taken for the object

    def drawn(iou):
        return likeness(there, [right, remembered(wrong, there, iou)])

    torch.testing.assert_close(drawn(0.0), likeness(there, [right]), atol=1e-3, rtol=0.0)
    object_cells = mask_of(THERE) > 0
    assert drawn(0.9)[object_cells].mean() < drawn(0.1)[object_cells].mean()
    assert not likeness(there, [remembered(mask_of(HERE), here, 0.0)]).any()


def test_of_what_looks_the_same_the_usual_place_is_likelier():
    blank = ImageFeatures(torch.zeros(1, 2, 16, 16), torch.zeros(1, 8, 8, 8), torch.zeros(1, 8, 4, 4))
    drawn = likeness(blank, [remembered(mask_of(HERE), blank)])
    assert drawn[..., :8, :8].mean() > drawn[..., 8:, 8:].mean()


def test_places_are_those_of_the_frame_not_of_the_region():
    blank = ImageFeatures(torch.zeros(1, 2, 16, 16), torch.zeros(1, 8, 8, 8), torch.zeros(1, 8, 4, 4))
    left, right = (replace(blank, regions=torch.tensor([edges])) for edges in ([0.0, 0, 0.5, 1], [0.5, 0, 1.0, 1]))
    far_left = [remembered(mask_of((slice(0, 8), slice(0, 2))), left)]
    assert likeness(left, far_left).mean() > likeness(right, far_left).mean()


def test_the_classifier_solves_the_weighted_least_squares(generator):
    cells, inside = torch.randn(1, 3, 8, 8, generator=generator), torch.rand(1, 1, 8, 8, generator=generator)
    frame = ImageFeatures(cells, torch.randn(1, 4, 4, 4, generator=generator), torch.randn(1, 5, 2, 2))
    described, share = _described(frame).double(), inside.flatten().double()
    weights = _balanced(share, 1 - share)
    rows = torch.cat((described.T * weights.sqrt()[:, None], RIDGE**0.5 * torch.eye(len(described))))
    aims = torch.cat((weights.sqrt() * (2 * share - 1), torch.zeros(len(described))))
    solution = torch.linalg.lstsq(rows, aims[:, None]).solution[:, 0]
    drawn = likeness(frame, [remembered(inside.logit(), frame)])
    expected = (MOST_LIKE * solution @ described).clamp(-MOST_LIKE, MOST_LIKE).view(1, 1, 8, 8)
    torch.testing.assert_close(drawn.double(), expected, atol=1e-3, rtol=1e-3)


def test_half_precision_around_it_changes_nothing():
    memories, frame = [remembered(mask_of(HERE), features_of(HERE))], features_of(THERE)
    with torch.autocast("cpu", torch.bfloat16):
        drawn = likeness(frame, memories)
    assert torch.equal(drawn, likeness(frame, memories))
