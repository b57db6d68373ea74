"""Measures of overlap."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from medsam2.errors import ShapeError


def dice(mask: NDArray[np.bool_], reference: NDArray[np.bool_]) -> float:
    """Give the Dice similarity coefficient, DSC: twice the overlap over the sum of both sizes (Dice 1945).

    Args:
        mask: Bool, any shape.
        reference: Bool, the same shape.

    Returns:
        0 (no overlap, also where one of the two is empty) to 1 (equal); NaN where both are empty, as there is then
        nothing to find.

    Raises:
        ShapeError: The arrays differ in shape, or are not bool.

    Example:
        >>> dice(np.array([True, True, False]), np.array([True, False, False]))
        0.6666666666666666
    """
    _check(mask, reference)
    sizes = int(np.count_nonzero(mask)) + int(np.count_nonzero(reference))
    return 2 * int(np.count_nonzero(mask & reference)) / sizes if sizes else math.nan


def iou(mask: NDArray[np.bool_], reference: NDArray[np.bool_]) -> float:
    """Give the intersection over union, also called Jaccard index (Jaccard 1901).

    Args:
        mask: Bool, any shape.
        reference: Bool, the same shape.

    Returns:
        As for `dice`: 0 to 1; NaN where both are empty.

    Raises:
        ShapeError: The arrays differ in shape, or are not bool.

    Example:
        >>> iou(np.array([True, True, False]), np.array([True, False, False]))
        0.5
    """
    _check(mask, reference)
    union = int(np.count_nonzero(mask | reference))
    return int(np.count_nonzero(mask & reference)) / union if union else math.nan


def _check(mask: NDArray[np.bool_], reference: NDArray[np.bool_]) -> None:
    if mask.dtype != np.bool_ or reference.dtype != np.bool_:
        raise ShapeError(f"the mask holds {mask.dtype}, the reference {reference.dtype}; expected bool for both.")
    if mask.shape != reference.shape:
        raise ShapeError(f"the mask has shape {mask.shape}, the reference {reference.shape}; expected the same.")
