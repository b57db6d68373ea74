"""From the masks of slices to one label map."""

import numpy as np
from numpy.typing import NDArray

from medsam2.spatial import Geometry, PlaneView
from medsam2.spatial.segmentation import LabelArray, label_dtype

SMALLEST_CLAIM = np.finfo(np.float16).smallest_subnormal
"""Rounded to float16, no logit above 0 may become 0."""

STRONGEST_CLAIM = 32.0
"""Of logits above this, which are certain beyond doubt, none is stronger than another."""

PROMPTED = 2 * STRONGEST_CLAIM
"""What a prompted slice adds to its claims: no slice that was reached by propagation beats them."""

DRAWN = np.float16(np.inf)
"""Claim of a voxel that the user drew: no prediction beats it."""


class LabelAssembly:
    """Writes the objects' masks into one label map, slice by slice.

    Where objects overlap, a voxel belongs to the one that the user drew there; else to one that the user prompted on
    this slice; else to the one with the highest mask logit; of equals, the first written stays. The memory needed does
    not grow with the number of objects.

    Args:
        geometry: of the volume.
        highest_label: the largest value that will be written.
    """

    def __init__(self, geometry: Geometry, highest_label: int) -> None:
        self.labels: LabelArray = np.zeros(geometry.shape, label_dtype(highest_label))  # type: ignore[assignment]
        self._claim = np.zeros(geometry.shape, np.float16)

    def write(self, view: PlaneView, frame: int, label: int, logits: NDArray[np.float32], prompted: bool) -> None:
        """Claim the voxels of a slice whose logits are above 0.

        Args:
            view: of the plane.
            frame: index of the slice in it.
            label: value to write.
            logits: (rows, columns) of the frame.
            prompted: the object was prompted on this slice.
        """
        claim = np.clip(logits, SMALLEST_CLAIM, STRONGEST_CLAIM) + (PROMPTED if prompted else 0)
        self._write(view, frame, label, np.where(logits > 0, claim, 0).astype(np.float16))

    def write_drawn(self, view: PlaneView, frame: int, label: int, mask: NDArray[np.bool_]) -> None:
        """Write a mask (rows, columns) that the user drew, to the pixel."""
        self._write(view, frame, label, np.where(mask, DRAWN, np.float16(0)))

    def _write(self, view: PlaneView, frame: int, label: int, claim: NDArray[np.float16]) -> None:
        best = view.to_frames(self._claim)[frame]
        wins = claim > best
        best[wins] = claim[wins]
        view.to_frames(self.labels)[frame][wins] = label
