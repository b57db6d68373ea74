"""What is measured of a volume's mask besides its Dice, where it is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from medsam2.errors import ConfigurationError
from medsam2.metrics import SurfaceDistances, iou, normalized_surface_dice, require_monai
from medsam2.prompts.prompt_types import MaskArray

DEFAULT_TOLERANCE_MM = 2.0
"""Of the CVPR 2025 challenge "Interactive 3D Biomedical Image Segmentation"."""


class VolumeMetric(StrEnum):
    """What can be measured; the names are those of the command's flag, and the endings of the columns."""

    DICE = "dice"
    IOU = "iou"
    HD95 = "hd95"
    NSD = "nsd"
    ASSD = "assd"


_OF_SURFACES = {VolumeMetric.HD95, VolumeMetric.NSD, VolumeMetric.ASSD}


@dataclass(frozen=True)
class VolumeMetrics:
    """The metrics of a run; Dice is always measured.

    Attributes:
        chosen: by name.
        tolerance_mm: of NSD, not negative.

    Raises:
        ConfigurationError: the tolerance is negative.
        MissingDependencyError: a chosen one needs a package that is not installed.
    """

    chosen: tuple[VolumeMetric, ...] = (VolumeMetric.DICE,)
    tolerance_mm: float = DEFAULT_TOLERANCE_MM

    def __post_init__(self) -> None:
        if not self.tolerance_mm >= 0:
            raise ConfigurationError(f"the tolerance is {self.tolerance_mm} mm; expected 0 or more")
        if _OF_SURFACES & set(self.chosen):
            require_monai()

    @property
    def need_masks(self) -> bool:
        """Whether whole masks have to be kept; for Dice, counts are enough."""
        return set(self.chosen) != {VolumeMetric.DICE}

    def measure(self, mask: MaskArray, truth: MaskArray, spacing_mm: Sequence[float]) -> dict[VolumeMetric, float]:
        """All that was chosen but Dice.

        Args:
            mask: (T, R, C).
            truth: (T, R, C).
            spacing_mm: of slices, rows and columns.
        """
        found = {}
        if VolumeMetric.IOU in self.chosen:
            found[VolumeMetric.IOU] = iou(mask, truth)
        if VolumeMetric.NSD in self.chosen:
            found[VolumeMetric.NSD] = normalized_surface_dice(mask, truth, spacing_mm, self.tolerance_mm)
        if {VolumeMetric.HD95, VolumeMetric.ASSD} & set(self.chosen):
            distances = SurfaceDistances.between(mask, truth, spacing_mm)
            both = {VolumeMetric.HD95: distances.hd95_mm, VolumeMetric.ASSD: distances.assd_mm}
            found |= {metric: value for metric, value in both.items() if metric in self.chosen}
        return found


DICE_ALONE = VolumeMetrics()


class PackedMask:
    """A mask of a volume, kept slice by slice at a bit a voxel; slices not told of are empty.

    Args:
        shape: (T, R, C).
    """

    def __init__(self, shape: tuple[int, int, int]) -> None:
        self.shape = shape
        self._slices: dict[int, NDArray[np.uint8]] = {}

    def put(self, frame: int, mask: MaskArray) -> None:
        """Keep a slice; one that is told of again takes the place of the former.

        Args:
            frame: its index.
            mask: (R, C).
        """
        self._slices[frame] = np.packbits(mask)

    def whole(self) -> MaskArray:
        """The mask, (T, R, C) bool."""
        _, rows, columns = self.shape
        mask = np.zeros(self.shape, bool)
        for frame, packed in self._slices.items():
            mask[frame] = np.unpackbits(packed, count=rows * columns).reshape(rows, columns)
        return mask
