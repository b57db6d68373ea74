"""Overlap counted slice by slice, so that no whole mask need be kept, and slices without the object can be judged."""

from __future__ import annotations

import math
from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

from medsam2.errors import InputError, ShapeError


class SliceOverlap:
    """Pixels of a mask, of its reference and of both, on each slice of a volume; slices not told of have no mask.

    Args:
        reference: (T, R, C) bool, the reference on all T slices.

    Raises:
        ShapeError: The reference is not (T, R, C) bool.

    Example:
        >>> reference = np.zeros((3, 2, 2), bool)
        >>> reference[1] = True
        >>> overlap = SliceOverlap(reference)
        >>> overlap.add(1, np.array([[True, True], [True, True]]), reference[1])
        >>> overlap.add(2, np.array([[True, False], [False, False]]), reference[2])
        >>> round(overlap.dice, 3), overlap.false_share(), overlap.missed_share()
        (0.889, 0.5, 0.0)
        >>> overlap.missed_share(leave_out=[1]), overlap.dice_without([1])
        (nan, nan)
    """

    def __init__(self, reference: NDArray[np.bool_]) -> None:
        if reference.ndim != 3 or reference.dtype != np.bool_:
            raise ShapeError(f"the reference is {reference.dtype} {reference.shape}; expected bool (T, R, C).")
        self.reference: NDArray[np.int64] = np.count_nonzero(reference, axis=(1, 2)).astype(np.int64)
        self.mask, self.shared = np.zeros_like(self.reference), np.zeros_like(self.reference)

    def add(self, frame: int, mask: NDArray[np.bool_], reference: NDArray[np.bool_]) -> None:
        """Count one slice; told of again, it is counted afresh.

        Args:
            frame: Its index.
            mask: (R, C) bool.
            reference: (R, C) bool, the reference of the same slice.

        Raises:
            ShapeError: The two differ in shape.
            InputError: There is no such slice.
        """
        if mask.shape != reference.shape:
            raise ShapeError(f"the mask has shape {mask.shape}, the reference {reference.shape}; expected the same.")
        if not 0 <= frame < len(self.reference):
            raise InputError(f"slice {frame} was counted; expected 0..{len(self.reference) - 1}.")
        self.mask[frame] = np.count_nonzero(mask)
        self.shared[frame] = np.count_nonzero(mask & reference)

    @property
    def dice(self) -> float:
        """Of the whole volume, as `medsam2.metrics.dice`: NaN where mask and reference are both empty."""
        sizes = int(self.mask.sum() + self.reference.sum())
        return 2 * int(self.shared.sum()) / sizes if sizes else math.nan

    def dice_without(self, leave_out: Collection[int]) -> float:
        """Of the other slices together; NaN where the object is on none of them.

        Args:
            leave_out: Slices that are not judged, as they were prompted.
        """
        judged = self._all_but(leave_out)
        reference, mask, shared = (int(one[judged].sum()) for one in (self.reference, self.mask, self.shared))
        return 2 * shared / (reference + mask) if reference else math.nan

    def false_share(self) -> float:
        """Of the slices without the object, the share that has a mask; NaN where the object is on every slice."""
        return _share(self.mask > 0, self.reference == 0)

    def missed_share(self, leave_out: Collection[int] = ()) -> float:
        """Of the slices with the object, the share that has no mask; NaN where there is no such slice.

        Args:
            leave_out: Slices that are not judged, as they were prompted.
        """
        return _share(self.mask == 0, (self.reference > 0) & self._all_but(leave_out))

    def _all_but(self, leave_out: Collection[int]) -> NDArray[np.bool_]:
        return ~np.isin(np.arange(len(self.reference)), list(leave_out))


def _share(event: NDArray[np.bool_], among: NDArray[np.bool_]) -> float:
    return float(np.mean(event[among])) if among.any() else math.nan
