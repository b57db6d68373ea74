"""Views of a volume in the three anatomical planes.

A view turns the voxels the way a radiologist sees them, by permuting and flipping array axes and never by
interpolation, so that the same anatomy gives the same frames in whatever orientation a file stores it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from itertools import product
from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from medsam2.errors import GeometryError, ShapeError
from medsam2.spatial.geometry import FloatArray, Geometry, triples

Scalar = TypeVar("Scalar", bound=np.generic)

THICK_SLICE_RATIO = 1.25
"""A spacing this many times the next one marks the axis along which the scan was acquired slice by slice."""

COSINE_DECIMALS = 6
"""Cosines equal to this many decimals are a tie, so that rounding in a header cannot turn a view."""


class Plane(StrEnum):
    """The plane in which the slices lie."""

    AXIAL = "axial"
    CORONAL = "coronal"
    SAGITTAL = "sagittal"


# World axes are 0 = L, 1 = P, 2 = S. For each plane: (world axis, direction) of frames, rows and columns.
_DIRECTIONS: dict[Plane, tuple[tuple[int, int], tuple[int, int], tuple[int, int]]] = {
    Plane.AXIAL: ((2, +1), (1, +1), (0, +1)),
    Plane.CORONAL: ((1, +1), (2, -1), (0, +1)),
    Plane.SAGITTAL: ((0, +1), (2, -1), (1, +1)),
}


@dataclass(frozen=True, eq=False)
class PlaneView:
    """How the frames of one plane lie in a volume: T frames of R rows and C columns.

    Left and right are the patient's.

    - Axial: frames run inferior to superior, rows anterior to posterior, columns right to left.
    - Coronal: frames run anterior to posterior, rows superior to inferior, columns right to left.
    - Sagittal: frames run right to left, rows superior to inferior, columns anterior to posterior.

    Attributes:
        plane: The plane of the frames.
        geometry: The grid of the volume.
        voxel_axes: The voxel axis (0, 1, 2 for i, j, k) that the frames, the rows and the columns run along.
        flipped: Whether the frames, the rows and the columns run against their voxel axis.

    Example:
        >>> view = PlaneView.of(Geometry((4, 5, 6), np.diag([1.0, 1.0, -3.0, 1.0])), Plane.CORONAL)
        >>> view.frame_count, view.frame_shape, view.frame_spacing_mm, view.flipped
        (5, (4, 6), (3.0, 1.0), (False, False, False))
    """

    plane: Plane
    geometry: Geometry
    voxel_axes: tuple[int, int, int]
    flipped: tuple[bool, bool, bool]

    @classmethod
    def of(cls, geometry: Geometry, plane: Plane) -> PlaneView:
        """Make the canonical view; an oblique grid is seen along its axes nearest to the patient's."""
        nearest = _nearest_voxel_axes(geometry)
        frames, rows, columns = ((*nearest[world], direction) for world, direction in _DIRECTIONS[plane])
        return cls(
            plane=plane,
            geometry=geometry,
            voxel_axes=(frames[0], rows[0], columns[0]),
            flipped=(frames[1] != frames[2], rows[1] != rows[2], columns[1] != columns[2]),
        )

    @property
    def voxel_axis(self) -> int:
        """Voxel axis along which the frames are stacked: 0, 1, 2 for i, j, k."""
        return self.voxel_axes[0]

    @property
    def frame_count(self) -> int:
        """Number of frames T."""
        return self.geometry.size_ijk[self.voxel_axes[0]]

    @property
    def frame_shape(self) -> tuple[int, int]:
        """Rows and columns of a frame."""
        size = self.geometry.size_ijk
        return size[self.voxel_axes[1]], size[self.voxel_axes[2]]

    @property
    def frame_spacing_mm(self) -> tuple[float, float]:
        """Distance of neighbouring rows and of neighbouring columns, mm."""
        spacing = self.geometry.spacing_mm
        return spacing[self.voxel_axes[1]], spacing[self.voxel_axes[2]]

    @property
    def slice_spacing_mm(self) -> float:
        """Distance of neighbouring frames along their voxel axis, mm."""
        return self.geometry.spacing_mm[self.voxel_axis]

    def slice_index(self, frame: int) -> int:
        """Give the index, in the file, of the slice along `voxel_axis` that is a frame."""
        return self.frame_count - 1 - frame if self.flipped[0] else frame

    def frame_number(self, slice_index: int) -> int:
        """Give the frame that a slice of the file is: the inverse of `slice_index`."""
        return self.slice_index(slice_index)

    def to_frames(self, array: NDArray[Scalar]) -> NDArray[Scalar]:
        """See a volume's array as frames.

        Args:
            array: (D, H, W) or (D, H, W, 3).

        Returns:
            (T, R, C) or (T, R, C, 3), a view of the array.

        Raises:
            ShapeError: The array is not on the view's grid.
        """
        self._check(array, self.geometry.shape, "(D, H, W)")
        return array.transpose(*self._array_axes, *range(3, array.ndim))[self._flips]

    def from_frames(self, frames: NDArray[Scalar]) -> NDArray[Scalar]:
        """Put frames back into the axes of the volume: the inverse of `to_frames`.

        Args:
            frames: (T, R, C) or (T, R, C, 3).

        Returns:
            (D, H, W) or (D, H, W, 3), a view of the frames.

        Raises:
            ShapeError: The frames are not those of the view's grid.
        """
        self._check(frames, (self.frame_count, *self.frame_shape), "(T, R, C)")
        inverse = [self._array_axes.index(axis) for axis in range(3)]
        return frames[self._flips].transpose(*inverse, *range(3, frames.ndim))

    def to_frame_coordinates(self, index: ArrayLike) -> FloatArray:
        """Map voxel indices to places in frames.

        Args:
            index: (N, 3) as (i, j, k); fractions allowed.

        Returns:
            (N, 3) as (t, x, y): frame, column, row; pixel centres at integers.
        """
        frames_rows_columns = self._turned(triples(index, "voxel indices")[:, self.voxel_axes])
        return frames_rows_columns[:, [0, 2, 1]]

    def to_index(self, coordinates: ArrayLike) -> FloatArray:
        """Map places in frames to voxel indices: the inverse of `to_frame_coordinates`.

        Args:
            coordinates: (N, 3) as (t, x, y): frame, column, row.

        Returns:
            (N, 3) as (i, j, k).
        """
        frames_rows_columns = triples(coordinates, "frame coordinates")[:, [0, 2, 1]]
        index = np.empty_like(frames_rows_columns)
        index[:, self.voxel_axes] = self._turned(frames_rows_columns)
        return index

    @property
    def _array_axes(self) -> tuple[int, int, int]:
        """Array axis of frames, rows and columns: arrays are (k, j, i)."""
        frames, rows, columns = self.voxel_axes
        return 2 - frames, 2 - rows, 2 - columns

    @property
    def _flips(self) -> tuple[slice, ...]:
        return tuple(slice(None, None, -1 if flip else 1) for flip in self.flipped)

    def _turned(self, positions: FloatArray) -> FloatArray:
        """Count from the other end along flipped axes: (N, 3) frames, rows, columns; its own inverse."""
        last = np.array((self.frame_count, *self.frame_shape)) - 1.0
        return np.where(self.flipped, last - positions, positions)

    def _check(self, array: NDArray[Scalar], expected: tuple[int, ...], letters: str) -> None:
        if array.ndim not in (3, 4) or array.shape[:3] != expected:
            raise ShapeError(
                f"the array has shape {array.shape}; the {self.plane} view expects {letters} = {expected}."
            )


def plane_of_voxel_axis(geometry: Geometry, axis: int) -> Plane:
    """Give the plane whose slices are stacked along a voxel axis (0, 1, 2 for i, j, k).

    Raises:
        GeometryError: There is no such axis.
    """
    if axis not in (0, 1, 2):
        raise GeometryError(f"voxel axis is {axis}; expected 0, 1 or 2 for i, j, k.")
    views = (PlaneView.of(geometry, plane) for plane in Plane)
    return next(view.plane for view in views if view.voxel_axis == axis)


def acquisition_plane(geometry: Geometry) -> Plane:
    """Give the plane in which the scan was taken.

    That is across the only axis with one voxel, else across the axis whose spacing is at least
    `THICK_SLICE_RATIO` times the others', else axial.
    """
    single = [axis for axis, size in enumerate(geometry.size_ijk) if size == 1]
    if len(single) == 1:
        return plane_of_voxel_axis(geometry, single[0])
    spacing = np.array(geometry.spacing_mm)
    _, second, largest = np.sort(spacing)
    if largest >= THICK_SLICE_RATIO * second:
        return plane_of_voxel_axis(geometry, int(spacing.argmax()))
    return Plane.AXIAL


def _nearest_voxel_axes(geometry: Geometry) -> dict[int, tuple[int, int]]:
    """Assign each world axis (L, P, S) its voxel axis and +1 or -1, whether they run the same way.

    Greedy on the largest |cosine|. Ties go to the first world axis, then to the voxel axis that leans to the
    positive side of the others: a rule on the anatomy alone, so that the order of a file's axes is immaterial
    even at 45 degrees.
    """
    cosines = (geometry.affine[:3, :3] / geometry.spacing_mm).round(COSINE_DECIMALS)
    sign = np.where(cosines < 0, -1, 1)

    def preference(pair: tuple[int, int]) -> tuple[float, int, list[float]]:
        world, voxel = pair
        leaning: list[float] = (cosines[:, voxel] * sign[pair]).tolist()
        return abs(float(cosines[pair])), -world, leaning

    nearest: dict[int, tuple[int, int]] = {}
    free = set(product(range(3), range(3)))
    while free:
        world, voxel = max(free, key=preference)
        nearest[world] = voxel, int(sign[world, voxel])
        free = {(w, v) for w, v in free if w != world and v != voxel}
    return nearest
