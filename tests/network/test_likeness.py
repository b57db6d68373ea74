"""What looks like an object, drawn."""

import pytest
import torch

from medsam2.network import ImageFeatures, likeness
from medsam2.network.likeness import MOST_LIKE
from medsam2.network.outputs import SeenMask

OBJECT, GROUND = torch.eye(8)[0], torch.eye(8)[1]


def features_of(place, contrast=0.0):
    """A frame (side 16 cells of stride 4) that holds the object in a square of stride-8 cells, the ground elsewhere."""
    rows, columns = place
    map8 = GROUND[:, None, None].repeat(1, 8, 8)
    map8[:, rows, columns] = OBJECT[:, None, None]
    map8 = map8[None] + contrast
    return ImageFeatures(torch.zeros(1, 2, 16, 16), map8, torch.nn.functional.avg_pool2d(map8, 2))


def mask_of(place):
    logits = torch.full((1, 1, 16, 16), -10.0)
    rows, columns = (slice(2 * one.start, 2 * one.stop) for one in place)
    logits[..., rows, columns] = 10.0
    return logits


HERE, THERE = (slice(0, 4), slice(0, 4)), (slice(4, 8), slice(2, 6))


@pytest.mark.parametrize("contrast", [0.0, 5.0])
def test_what_looks_like_the_object_is_drawn_wherever_it_is(contrast):
    drawn = likeness(features_of(THERE, contrast), [SeenMask(mask_of(HERE), features=features_of(HERE))])
    assert drawn.shape == (1, 1, 16, 16)
    inside = mask_of(THERE) > 0
    assert (drawn[inside] > 0).float().mean() > 0.8  # interpolation rounds the corners
    assert (drawn[~inside] < 0).float().mean() > 0.9
    assert drawn.abs().max() <= MOST_LIKE


def test_what_looks_like_the_surroundings_is_drawn_as_such():
    ground_only = ImageFeatures(
        torch.zeros(1, 2, 16, 16), *(GROUND.view(1, 8, 1, 1).repeat(1, 1, n, n) for n in (8, 4))
    )
    drawn = likeness(ground_only, [SeenMask(mask_of(HERE), features=features_of(HERE))])
    assert (drawn <= 0).all()


def test_without_an_example_of_the_object_nothing_is_said():
    frame, empty = features_of(HERE), torch.full((1, 1, 16, 16), -10.0)
    assert not likeness(frame, []).any()
    assert not likeness(frame, [SeenMask(empty, features=frame)]).any()
    assert not likeness(frame, [SeenMask(mask_of(HERE))]).any()  # a network that keeps no features


def test_an_object_that_fills_the_frame_has_no_surroundings():
    frame = features_of(HERE)
    assert likeness(frame, [SeenMask(torch.full((1, 1, 16, 16), 10.0), features=frame)]).isfinite().all()


def test_features_learn_from_it():
    frame, example = features_of(THERE), features_of(HERE)
    frame.stride8.requires_grad_()
    likeness(frame, [SeenMask(mask_of(HERE), features=example)]).sum().backward()
    assert frame.stride8.grad.isfinite().all()
    assert frame.stride8.grad.any()
