"""Prompts made from ground truth, as a user might give them: for evaluation, demonstration and training.

Segmentation itself never imports this module.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from medsam2.errors import ConfigurationError, PromptError, ShapeError
from medsam2.prompts.prompt_types import MaskArray
from medsam2.prompts.slice_prompts import FrameBox, FramePoint

EIGHT_CONNECTED = np.ones((3, 3), dtype=bool)


def box_around(mask: MaskArray, jitter: int = 0, generator: np.random.Generator | None = None) -> FrameBox:
    """Draw the smallest box around a mask, or one whose sides are a little off.

    Args:
        mask: (rows, columns) bool, not empty.
        jitter: Each side is moved in or out by a uniform whole number of pixels up to this; the box stays in
            the image and keeps at least one pixel.
        generator: Draws the jitter.

    Raises:
        PromptError: The mask is empty.
        ConfigurationError: There is a jitter and no generator, or it is negative.
    """
    if jitter < 0 or (jitter and generator is None):
        raise ConfigurationError(f"jitter is {jitter} pixels; expected 0, or more together with a generator.")
    rows, columns = np.nonzero(_not_empty(mask))
    sides = np.array([columns.min(), rows.min(), columns.max(), rows.max()])
    if generator is not None:
        sides = sides + generator.integers(-jitter, jitter + 1, size=4)
    last = np.array(mask.shape[::-1]) - 1
    (xa, ya), (xb, yb) = np.clip(sides.reshape(2, 2), 0, last).tolist()
    return FrameBox(min(xa, xb), min(ya, yb), max(xa, xb), max(ya, yb))


def first_click(mask: MaskArray) -> FramePoint:
    """Click the pixel of a mask that is farthest from its edge; the image's border counts as edge.

    SAM 2 is evaluated with such clicks (Ravi et al. 2024, arXiv 2408.00714). Of several pixels, the first by
    row and column is taken.

    Args:
        mask: (rows, columns) bool, not empty.

    Raises:
        PromptError: The mask is empty.
    """
    y, x = _deepest_pixel(_not_empty(mask))
    return FramePoint(x, y)


def random_click(mask: MaskArray, generator: np.random.Generator) -> FramePoint:
    """Click any pixel of a mask, each with the same probability.

    Args:
        mask: (rows, columns) bool, not empty.
        generator: Draws the pixel.

    Raises:
        PromptError: The mask is empty.
    """
    pixels = np.argwhere(_not_empty(mask))
    y, x = pixels[generator.integers(len(pixels))].tolist()
    return FramePoint(x, y)


def corrective_click(truth: MaskArray, prediction: MaskArray) -> FramePoint | None:
    """Click into the largest error: positive where the object was missed, negative where there is none.

    The largest 8-connected component of either kind of error is clicked where it is deepest. Of components of
    one size a miss comes first, then the first by row and column.

    Args:
        truth: (rows, columns) bool.
        prediction: (rows, columns) bool.

    Returns:
        The click, None if the masks are equal.

    Raises:
        ShapeError: The masks differ in shape.
    """
    if truth.shape != prediction.shape:
        raise ShapeError(f"the prediction has shape {prediction.shape}, the truth {truth.shape}; expected the same.")
    missed, false_positive = _largest_component(truth & ~prediction), _largest_component(prediction & ~truth)
    positive = missed.size >= false_positive.size
    error = missed if positive else false_positive
    if error.size == 0:
        return None
    y, x = _deepest_pixel(error.mask)
    return FramePoint(x, y, positive)


@dataclass(frozen=True, eq=False)
class _Component:
    mask: MaskArray
    size: int


def _largest_component(mask: MaskArray) -> _Component:
    labels, _ = ndimage.label(mask, structure=EIGHT_CONNECTED)
    sizes: NDArray[np.int64] = np.bincount(labels.ravel(), minlength=2)[1:]
    largest = int(sizes.argmax())
    return _Component(labels == largest + 1, int(sizes[largest]))


def _deepest_pixel(mask: MaskArray) -> tuple[int, int]:
    depth = ndimage.distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]
    y, x = np.unravel_index(int(np.argmax(depth)), mask.shape)
    return int(y), int(x)


def _not_empty(mask: MaskArray) -> MaskArray:
    if not mask.any():
        raise PromptError("the mask is empty, so there is nothing to prompt; choose a slice that shows the object.")
    return mask
