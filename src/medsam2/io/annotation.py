"""What was drawn on a series before, by people or programs: masks, measured lines, points."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medsam2.errors import GeometryError
from medsam2.io.filling import fill_all
from medsam2.spatial import FloatArray, Geometry

OFF_SLICE = 0.1
"""An outline may lie this far from its slice, in slices: positions are rounded, and slices are not quite even."""


@dataclass(frozen=True, eq=False)
class Annotation:
    """One annotated object, in voxel indices of the scan.

    Attributes:
        name: What the file calls it; "" if it has no name.
        number: Its number in the file, from 1; None if it has none.
        mask: (D, H, W) bool; None if nothing was outlined.
        diameters: Measured lines, each (2, 3) as (i, j, k) of both ends; of an ellipse or rectangle, its two axes.
        points: Places inside the object, each (3,) as (i, j, k).
    """

    name: str
    number: int | None = None
    mask: NDArray[np.bool_] | None = None
    diameters: tuple[FloatArray, ...] = ()
    points: tuple[FloatArray, ...] = ()


@dataclass(frozen=True)
class AnnotationFile:
    """What a file holds.

    Attributes:
        kind: "DICOM SEG", "RTSTRUCT", "presentation state" or "structured report": what reports call the file, whose
            name may be that of the patient.
        annotations: The objects.
        notes: What was left out, one sentence each, for the user to see.
    """

    kind: str
    annotations: tuple[Annotation, ...]
    notes: tuple[str, ...] = ()


class Drawing:
    """Gathers what was drawn of one object.

    Args:
        name: Of the object.
        geometry: The grid of the scan.
        number: Of the object in its file.
    """

    def __init__(self, name: str, geometry: Geometry, number: int | None = None) -> None:
        self.name, self._geometry, self._number = name, geometry, number
        self._diameters: list[FloatArray] = []
        self._points: list[FloatArray] = []
        self._outlines: dict[tuple[int, bool], list[FloatArray]] = {}

    def add_line(self, ends: FloatArray) -> None:
        """Add a measured line, (2, 3) voxel indices."""
        self._diameters.append(ends)

    def add_points(self, points: FloatArray) -> None:
        """Add places inside the object, (N, 3) voxel indices."""
        self._points += list(points)

    def add_outline(self, points: FloatArray, exclusive: bool = False) -> None:
        """Add a closed line, (N, 3) voxel indices, all in one slice.

        Raises:
            GeometryError: It lies between slices, across them or outside the scan.
        """
        k = round(float(points[:, 2].mean()))
        depth = self._geometry.shape[0]
        if np.abs(points[:, 2] - k).max() > OFF_SLICE or not 0 <= k < depth:
            raise GeometryError(
                f"{self.name}: an outline lies at k = {points[:, 2].min():.2f}..{points[:, 2].max():.2f}; expected it "
                f"in one of the input's slices, 0..{depth - 1}. It may have been drawn on another series."
            )
        self._outlines.setdefault((k, exclusive), []).append(points[:, :2])

    def finished(self, mask: NDArray[np.bool_] | None = None) -> Annotation | None:
        """Give the object, None if nothing was drawn of it.

        Args:
            mask: (D, H, W), what was drawn besides.

        Raises:
            GeometryError: An outline reaches beyond the scan.
        """
        mask = self._filled() if mask is None else mask
        if mask is not None and not mask.any():
            mask = None
        if mask is None and not self._diameters and not self._points:
            return None
        return Annotation(self.name, self._number, mask, tuple(self._diameters), tuple(self._points))

    def _filled(self) -> NDArray[np.bool_] | None:
        if not self._outlines:
            return None
        mask = np.zeros(self._geometry.shape, np.bool_)
        rows, columns = self._geometry.shape[1:]
        for (k, exclusive), polygons in self._outlines.items():
            _check_inside(self.name, polygons, rows, columns)
            mask[k] |= fill_all(polygons, (rows, columns), exclusive)
        return mask


def _check_inside(name: str, polygons: Sequence[FloatArray], rows: int, columns: int) -> None:
    places = np.vstack(polygons)
    # The edge of the outermost pixels is half a pixel from their centres.
    if places.min() < -1 or (places > np.array([columns, rows])).any():
        raise GeometryError(f"{name}: an outline reaches beyond the input's {columns} x {rows} pixels.")
