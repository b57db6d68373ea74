import pytest
import torch

from medsam2.synthetic import ClipRecipe, RandomSource, make_scene, render
from medsam2.synthetic.rendering import STYLES


def border_and_inner_steps(image, labels):
    """Mean absolute step between neighbouring pixels, across label borders and inside labels."""
    steps = (image[..., 1:] - image[..., :-1]).abs()
    border = labels[..., 1:] != labels[..., :-1]
    return float(steps[border].mean()), float(steps[~border].mean())


@pytest.mark.parametrize("kind", ["body", "head", "limb", "heart", "generic", "cells"])
def test_image_steps_lie_on_label_borders(kind):
    source = RandomSource(torch.Generator().manual_seed(4))
    ratios = []
    for _ in range(4):
        slab = make_scene(kind, ClipRecipe(frames=3, size=64), source)
        across, inside = border_and_inner_steps(render(slab, source, "mr"), slab.labels)
        ratios.append(across / inside)
    assert sorted(ratios)[1] > 1.5


def test_most_touching_labels_differ_in_brightness():
    source = RandomSource(torch.Generator().manual_seed(9))
    differ = []
    for _ in range(6):
        slab = make_scene("generic", ClipRecipe(frames=3, size=64), source)
        image, labels = render(slab, source, "random"), slab.labels
        means = [float(image[labels == label].mean()) for label in labels.unique()]
        differ += [abs(a - b) > 0.03 for index, a in enumerate(means) for b in means[:index]]
    assert sum(differ) / len(differ) > 0.7


@pytest.mark.parametrize("style", STYLES)
def test_every_style_is_finite_and_in_range(style):
    source = RandomSource(torch.Generator().manual_seed(1))
    slab = make_scene("body", ClipRecipe(frames=2, size=64), source)
    image = render(slab, source, style)
    assert image.shape == ((2, 3, 64, 64) if style == "colour" else (2, 64, 64))
    assert bool(torch.isfinite(image).all())
    assert float(image.min()) >= 0
    assert float(image.max()) <= 1
    assert float(image.std()) > 0.01


def test_contrast_changes_between_images_of_some_sets():
    source = RandomSource(torch.Generator().manual_seed(2))
    slab = make_scene("heart", ClipRecipe(frames=3, size=64), source, ordered=False)
    shapes = set()
    spreads = []
    for _ in range(12):
        image = render(slab, source)
        shapes.add(image.ndim)
        spreads.append(float(image.flatten(1).mean(1).std()))
    assert max(spreads) > 3 * min(spreads)
