"""The voxel grid of a scan and where it lies in the patient."""

from __future__ import annotations

import operator
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from medsam2.errors import GeometryError, ShapeError

FloatArray = NDArray[np.float64]

MINIMUM_INDEPENDENCE = 1e-6
"""Least volume spanned by the three unit voxel axes: 1 if they are orthogonal, 0 if they lie in a plane."""

GRID_TOLERANCE_VOXELS = 0.01
"""Two grids are the same if no corner moves by more than this share of the smallest spacing: far above what
float32 headers and decimal text lose, far below what changes a mask."""


@dataclass(frozen=True, eq=False)
class Geometry:
    """Shape of a voxel grid and its affine to patient coordinates.

    Attributes:
        shape: (D, H, W): slices, rows, columns of the array, which are the file's axes (k, j, i).
        affine: (4, 4), read-only; maps the voxel index (i, j, k, 1) to (x, y, z, 1) in LPS millimetres.

    Raises:
        GeometryError: The shape is not three positive integers, or the affine is not an invertible affine.

    Example:
        >>> geometry = Geometry((10, 20, 30), np.diag([0.5, 0.5, 2.0, 1.0]))
        >>> geometry.spacing_mm
        (0.5, 0.5, 2.0)
        >>> geometry.describe()
        '30 x 20 x 10 voxels of 0.50 x 0.50 x 2.00 mm'
    """

    shape: tuple[int, int, int]
    affine: FloatArray

    def __post_init__(self) -> None:
        object.__setattr__(self, "shape", _checked_shape(self.shape))
        object.__setattr__(self, "affine", _checked_affine(self.affine))

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Distance of neighbouring voxel centres along (i, j, k), mm."""
        i, j, k = np.linalg.norm(self.affine[:3, :3], axis=0).tolist()
        return i, j, k

    @property
    def voxel_volume_ml(self) -> float:
        """Volume of one voxel, ml."""
        return float(abs(np.linalg.det(self.affine[:3, :3]))) / 1000.0

    @property
    def size_ijk(self) -> tuple[int, int, int]:
        """Number of voxels along (i, j, k): the shape reversed."""
        depth, height, width = self.shape
        return width, height, depth

    def index_to_lps(self, index: ArrayLike) -> FloatArray:
        """Map voxel indices to the patient.

        Args:
            index: (N, 3) as (i, j, k); fractions allowed.

        Returns:
            (N, 3) points in LPS mm.
        """
        return triples(index, "voxel indices") @ self.affine[:3, :3].T + self.affine[:3, 3]

    def lps_to_index(self, points: ArrayLike) -> FloatArray:
        """Map points of the patient to voxel indices.

        Args:
            points: (N, 3) in LPS mm.

        Returns:
            (N, 3) indices as (i, j, k), not rounded.
        """
        offset = triples(points, "points") - self.affine[:3, 3]
        return np.linalg.solve(self.affine[:3, :3], offset.T).T.astype(np.float64, copy=False)

    def contains(self, index: ArrayLike) -> NDArray[np.bool_]:
        """Tell which indices have their nearest voxel inside the grid.

        Args:
            index: (N, 3) as (i, j, k); voxel centres are at integers, so voxel 0 reaches from -0.5 to 0.5.

        Returns:
            (N,) True where inside.
        """
        point = triples(index, "voxel indices")
        inside = (point >= -0.5) & (point < np.array(self.size_ijk) - 0.5)
        return np.asarray(inside.all(axis=1))

    def same_grid(self, other: Geometry, tolerance_mm: float | None = None) -> bool:
        """Tell whether two grids have the same shape and lie at the same place, e.g. a mask's and its scan's.

        Args:
            other: The grid to compare with.
            tolerance_mm: How far a corner may be off; None: `GRID_TOLERANCE_VOXELS` of the smallest spacing.
        """
        if self.shape != other.shape:
            return False
        if tolerance_mm is None:
            tolerance_mm = GRID_TOLERANCE_VOXELS * min(self.spacing_mm)
        # The difference of two affine maps is affine, so it is largest at a corner.
        corners = np.array(list(product(*((0, n - 1) for n in self.size_ijk))))
        distance = np.linalg.norm(self.index_to_lps(corners) - other.index_to_lps(corners), axis=1)
        return bool(distance.max() <= tolerance_mm)

    def describe(self) -> str:
        """Give size and spacing in (i, j, k) order, for messages."""
        size = " x ".join(str(n) for n in self.size_ijk)
        spacing = " x ".join(_format_mm(value) for value in self.spacing_mm)
        return f"{size} voxels of {spacing} mm"


def triples(values: ArrayLike, what: str) -> FloatArray:
    """Return values as a float array of shape (N, 3).

    Raises:
        ShapeError: The values are not rows of three numbers.
    """
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 2 or array.shape[1] != 3:
        raise ShapeError(f"{what} have shape {array.shape}; expected (N, 3), one row a point.")
    return array


def _format_mm(value: float) -> str:
    return f"{value:.2f}" if value >= 0.1 else f"{value:.3g}"


def _checked_shape(shape: Any) -> tuple[int, int, int]:
    try:
        depth, height, width = (operator.index(n) for n in shape)
    except (TypeError, ValueError) as error:
        raise GeometryError(f"shape is {shape!r}; expected three integers (D, H, W).") from error
    if min(depth, height, width) < 1:
        raise GeometryError(f"shape is {(depth, height, width)}; expected (D, H, W), each at least 1.")
    return depth, height, width


def _checked_affine(affine: ArrayLike) -> FloatArray:
    matrix = np.array(affine, dtype=np.float64)
    if matrix.shape != (4, 4):
        raise GeometryError(f"the affine has shape {matrix.shape}; expected (4, 4).")
    if not np.isfinite(matrix).all():
        raise GeometryError("the affine holds NaN or infinity; expected finite numbers. Repair the file's header.")
    if not np.array_equal(matrix[3], (0, 0, 0, 1)):
        raise GeometryError(f"the affine's last row is {matrix[3].tolist()}; expected [0, 0, 0, 1].")
    _check_independent_axes(matrix[:3, :3])
    matrix.flags.writeable = False
    return matrix


def _check_independent_axes(linear: FloatArray) -> None:
    spacing = np.linalg.norm(linear, axis=0)
    # The determinant of unit axes does not depend on the unit of length, unlike that of the affine.
    if spacing.min() <= 0 or abs(np.linalg.det(linear / spacing)) < MINIMUM_INDEPENDENCE:
        raise GeometryError(
            "the affine is singular: two voxel axes run in the same direction, or one has no length. "
            "Expected three independent axes; repair the file's header."
        )
