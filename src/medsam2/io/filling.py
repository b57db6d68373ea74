"""Filling outlines: which pixels lie inside a closed line."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from medsam2.spatial import FloatArray

Pixels = NDArray[np.bool_]

ON_LINE_PIXELS = 0.02
"""A pixel's centre this near a line lies on it. Programs that draw lines through pixel centres mean the pixel to belong
to the object; coordinates that were rounded to hundredths of a millimetre move less."""


def fill(polygon: FloatArray, shape: tuple[int, int], with_line: bool = True) -> Pixels:
    """Fill a closed line by the even-odd rule.

    Args:
        polygon: (N, 2) as (column, row), pixel centres at integers; the last point is joined to the first.
        shape: Rows and columns of the picture.
        with_line: Whether pixels on the line belong to what it encloses.

    Returns:
        (rows, columns), True where a pixel's centre lies inside.

    Example:
        >>> fill(np.array([[0.5, 0.5], [2.5, 0.5], [2.5, 1.5], [0.5, 1.5]]), (3, 4)).astype(int)[1].tolist()
        [0, 1, 1, 0]
    """
    rows, columns = shape
    mask = np.zeros(shape, np.bool_)
    edges = np.hstack([polygon, np.roll(polygon, -1, axis=0)])
    first = max(0, math.ceil(polygon[:, 1].min() - ON_LINE_PIXELS))
    last = min(rows - 1, math.floor(polygon[:, 1].max() + ON_LINE_PIXELS))
    for row in range(first, last + 1):
        inside = _inside(edges, row, columns)
        on_line = _on_line(edges, row, columns)
        mask[row] = inside | on_line if with_line else inside & ~on_line
    return mask


def fill_all(polygons: list[FloatArray], shape: tuple[int, int], exclusive: bool = False) -> Pixels:
    """Fill the closed lines of one object in one slice.

    A line that lies wholly inside what others enclose is a hole; lines that cross are united.

    Args:
        polygons: Each (N, 2) as (column, row).
        shape: Rows and columns of the picture.
        exclusive: Whether a pixel belongs to the object if an odd number of lines goes round it
            (CLOSEDPLANAR_XOR, PS3.3, C.8.8.6.3).
    """
    mask = np.zeros(shape, np.bool_)
    done: list[Pixels] = []
    largest_first = sorted(polygons, key=lambda polygon: abs(_twice_area(polygon)), reverse=True)
    for polygon in largest_first:
        filled = fill(polygon, shape)
        if any(np.array_equal(filled, other) for other in done):
            continue
        done.append(filled)
        is_inside = bool(filled.any() and not (filled & ~mask).any())
        if exclusive or is_inside:
            mask ^= fill(polygon, shape, with_line=not is_inside)
        else:
            mask |= filled
    return mask


def _inside(edges: FloatArray, row: int, columns: int) -> Pixels:
    x0, y0, x1, y1 = edges[(edges[:, 1] <= row) != (edges[:, 3] <= row)].T
    crossings = np.sort(x0 + (row - y0) * (x1 - x0) / (y1 - y0))
    passed = np.searchsorted(crossings, np.arange(columns), side="right")
    inside: Pixels = passed % 2 == 1
    return inside


def _on_line(edges: FloatArray, row: int, columns: int) -> Pixels:
    lower, upper = edges[:, [1, 3]].min(axis=1), edges[:, [1, 3]].max(axis=1)
    near = (lower <= row + ON_LINE_PIXELS) & (upper >= row - ON_LINE_PIXELS)
    on_line = np.zeros(columns, np.bool_)
    for start_x, start_y, end_x, end_y in edges[near].tolist():
        if abs(end_y - start_y) <= ON_LINE_PIXELS:
            left, right = sorted((start_x, end_x))
        else:
            share = min(max((row - start_y) / (end_y - start_y), 0.0), 1.0)
            left = right = start_x + share * (end_x - start_x)
        first, last = math.ceil(left - ON_LINE_PIXELS), math.floor(right + ON_LINE_PIXELS)
        on_line[max(first, 0) : max(last + 1, 0)] = True
    return on_line


def _twice_area(polygon: FloatArray) -> float:
    x, y = polygon.T
    return float(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1)))
