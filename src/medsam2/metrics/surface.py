"""Distances between the surfaces of two masks, in mm, with MONAI (the extra `evaluate`).

MONAI finds the surfaces and the distances of their elements, spacing included; what is made of them is below. Masks
without a voxel have no surface, for which all of these measures follow one rule: where both are empty there is nothing
to measure (NaN); where one is, the distance is the longest there could be, the diagonal of the grid (as the BraTS
challenge counts a missed lesion), and no surface is within tolerance. So a mask that is missing never improves a mean.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medsam2.errors import ConfigurationError, MissingDependencyError, ShapeError

PERCENTILE = 95

Mask = NDArray[np.bool_]
Distances = NDArray[np.floating[Any]]


def require_monai() -> None:
    """Tell whether surfaces can be measured, without the seconds that importing MONAI takes.

    Raises:
        MissingDependencyError: MONAI is not installed.
    """
    if find_spec("monai") is None:
        raise MissingDependencyError(
            "hd95, nsd and assd need the package monai, which is not installed; pip install 'medsam2[evaluate]'"
        )


@dataclass(frozen=True, eq=False)
class SurfaceDistances:
    """Of each surface voxel of two masks, the distance to the other one's nearest surface voxel.

    A surface voxel is one of the mask's that has a face in common with what is not, or with the edge of the array.

    Attributes:
        from_mask: (N,) mm, from the mask's surface to the reference's.
        from_reference: (M,) mm, from the reference's surface to the mask's.
    """

    from_mask: Distances
    from_reference: Distances

    @classmethod
    def between(cls, mask: Mask, reference: Mask, spacing_mm: Sequence[float]) -> SurfaceDistances:
        """Measure two masks.

        Args:
            mask: (D, H, W) or (H, W) bool.
            reference: The same shape.
            spacing_mm: Distance of neighbouring elements along each axis of the array.

        Raises:
            ShapeError: The arrays differ in shape, are not bool, or spacing is not one number an axis.
            MissingDependencyError: MONAI is not installed.
        """
        _check(mask, reference, spacing_mm)
        if not (mask.any() and reference.any()):
            return cls(*_of_empty(mask, reference, spacing_mm))
        _, (from_mask, from_reference), _ = _measured(mask, reference, spacing_mm, areas=False)
        return cls(from_mask, from_reference)

    @property
    def hd95_mm(self) -> float:
        """The 95th percentile of the Hausdorff distance, mm: the larger one of both directions' percentiles.

        NaN where both masks are empty, the diagonal of the grid where one is.
        """
        if not self.from_mask.size:
            return math.nan
        return float(max(np.percentile(one, PERCENTILE) for one in (self.from_mask, self.from_reference)))

    @property
    def assd_mm(self) -> float:
        """The average symmetric surface distance, mm: the mean over the surface voxels of both masks.

        NaN where both masks are empty, the diagonal of the grid where one is.
        """
        both = np.concatenate((self.from_mask, self.from_reference))
        return float(both.mean()) if both.size else math.nan


def normalized_surface_dice(mask: Mask, reference: Mask, spacing_mm: Sequence[float], tolerance_mm: float) -> float:
    """Give the normalised surface Dice, NSD: the share of both surfaces that lies within a tolerance of the other.

    Surface elements lie between the voxels and count by their area (Nikolov et al. 2018, arXiv 1809.04430).

    Args:
        mask: (D, H, W) or (H, W) bool.
        reference: The same shape.
        spacing_mm: Distance of neighbouring elements along each axis of the array.
        tolerance_mm: Not negative; farther apart is wrong.

    Returns:
        0 (none, also where one mask is empty) to 1 (all); NaN where both are empty.

    Raises:
        ShapeError: The arrays differ in shape, are not bool, or spacing is not one number an axis.
        ConfigurationError: The tolerance is negative.
        MissingDependencyError: MONAI is not installed.
    """
    _check(mask, reference, spacing_mm)
    if not tolerance_mm >= 0:
        raise ConfigurationError(f"the tolerance is {tolerance_mm} mm; expected 0 or more")
    if not (mask.any() and reference.any()):
        return 0.0 if mask.any() or reference.any() else math.nan
    edges, distances, areas = _measured(mask, reference, spacing_mm, areas=True)
    sizes = [area[edge] for area, edge in zip(areas, edges, strict=True)]
    within = sum(float(size[far <= tolerance_mm].sum()) for size, far in zip(sizes, distances, strict=True))
    return within / sum(float(size.sum()) for size in sizes)


def _measured(
    mask: Mask, reference: Mask, spacing_mm: Sequence[float], areas: bool
) -> tuple[tuple[Mask, Mask], tuple[Distances, Distances], tuple[Distances, ...]]:
    """Surfaces, distances from each to the other, and areas: each first of the mask, then of the reference."""
    require_monai()
    from monai.metrics.utils import get_mask_edges, get_surface_distance  # here, as importing it takes seconds

    spacing = tuple(map(float, spacing_mm))
    one, other, *sizes = get_mask_edges(mask, reference, spacing=spacing if areas else None)
    distances = get_surface_distance(one, other, spacing=spacing), get_surface_distance(other, one, spacing=spacing)
    return (one, other), distances, tuple(sizes)


def _of_empty(mask: Mask, reference: Mask, spacing_mm: Sequence[float]) -> tuple[Distances, Distances]:
    if not mask.any() and not reference.any():
        return np.empty(0), np.empty(0)
    diagonal = np.array([float(np.linalg.norm(np.multiply(mask.shape, spacing_mm)))])
    return diagonal, diagonal


def _check(mask: Mask, reference: Mask, spacing_mm: Sequence[float]) -> None:
    if mask.dtype != np.bool_ or reference.dtype != np.bool_:
        raise ShapeError(f"the mask holds {mask.dtype}, the reference {reference.dtype}; expected bool for both.")
    if mask.shape != reference.shape or mask.ndim not in (2, 3):
        raise ShapeError(
            f"the mask has shape {mask.shape}, the reference {reference.shape}; expected the same (D, H, W) or (H, W)."
        )
    if len(spacing_mm) != mask.ndim or not min(spacing_mm) > 0:
        raise ShapeError(f"the spacing is {tuple(spacing_mm)} mm; expected {mask.ndim} numbers above 0.")
