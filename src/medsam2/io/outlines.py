"""Outlines of masks along the edges of their pixels, without holes.

An outline that runs between the pixels has every pixel's centre half a pixel away from it, so any program that fills
it gets the same mask back; and its area is that of the mask. A contour through pixel centres, as OpenCV draws, has
neither. A hole is joined to the outline around it by a channel of no width (a keyhole), which runs between pixels too,
so that one closed line says all, whether it is filled by the even-odd rule or by its winding number.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Corner = tuple[int, int]
"""(x, y) of a corner of pixels: pixel (row r, column c) has its corners at x = c and c + 1, y = r and r + 1."""

Edges = dict[Corner, set[int]]
"""Edges between mask and background: from which corner, in which of `STEPS`, with the mask on the right."""

STEPS: tuple[Corner, ...] = ((1, 0), (0, 1), (-1, 0), (0, -1))
"""Directions in which an outline can go, each a right turn from the one before (y points down)."""


def outlines(mask: NDArray[np.bool_]) -> list[NDArray[np.int64]]:
    """Draw the outlines of a mask's parts.

    Pixels that touch at a corner only are parts of their own.

    Args:
        mask: (rows, columns) bool.

    Returns:
        One closed line for each part, the last corner joined to the first: (N, 2) as (x, y), whole numbers, corners of
        pixels; a pixel's centre is at + 0.5.
    """
    edges = _edges(mask)
    rings = _rings(edges)
    outer = [ring for ring in rings if _twice_area(ring) > 0]
    holes = [ring for ring in rings if _twice_area(ring) < 0]
    # A hole's channel leads to something that reaches further left, which must have its own channel by then.
    for hole in sorted(holes, key=min):
        _join(outer, hole, edges)
    return [_without_straight_corners(ring) for ring in outer]


def _edges(mask: NDArray[np.bool_]) -> Edges:
    padded = np.pad(mask, 1)
    starts = (  # of the pixel's upper, right, lower and left edge, if what is beyond is background
        (np.roll(padded, 1, 0), (0, 0)),
        (np.roll(padded, -1, 1), (1, 0)),
        (np.roll(padded, -1, 0), (1, 1)),
        (np.roll(padded, 1, 1), (0, 1)),
    )
    edges: Edges = {}
    for direction, (beyond, (right, down)) in enumerate(starts):
        rows, columns = np.nonzero(padded & ~beyond)
        for corner in zip((columns - 1 + right).tolist(), (rows - 1 + down).tolist(), strict=True):
            edges.setdefault(corner, set()).add(direction)
    return edges


def _rings(edges: Edges) -> list[list[Corner]]:
    """Follow the edges until each has been passed."""
    rings = []
    passed: set[tuple[Corner, int]] = set()
    for corner, directions in edges.items():
        for direction in directions:
            if (corner, direction) not in passed:
                ring = _ring(edges, corner, direction)
                passed.update(ring)
                rings.append([place for place, _ in ring])
    return rings


def _ring(edges: Edges, corner: Corner, direction: int) -> list[tuple[Corner, int]]:
    """Follow edges until they close: the corners, and the direction taken from each."""
    ring: list[tuple[Corner, int]] = []
    while not ring or (corner, direction) != ring[0]:
        ring.append((corner, direction))
        corner = (corner[0] + STEPS[direction][0], corner[1] + STEPS[direction][1])
        # Where two parts touch there are two ways on; a right turn stays with the own part.
        direction = next(way for turn in (1, 0, 3) if (way := (direction + turn) % 4) in edges[corner])
    return ring


def _twice_area(ring: list[Corner]) -> int:
    """Positive around mask, negative around a hole."""
    x, y = np.array(ring).T
    return int(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1)))


def _join(rings: list[list[Corner]], hole: list[Corner], edges: Edges) -> None:
    """Dig a channel to the left of a hole's leftmost corner, and make the hole a part of the ring that it meets.

    To the left of that corner both pixels are mask, so the channel goes through mask, and the corner where it ends
    belongs to one ring and is passed once.
    """
    start = hole.index(min(hole))
    x, y = hole[start]
    x -= 1
    while (x, y) not in edges:
        x -= 1
    ring = next(ring for ring in rings if (x, y) in ring)
    end = ring.index((x, y))
    ring[end:end] = [(x, y), *hole[start:], *hole[: start + 1]]


def _without_straight_corners(ring: list[Corner]) -> NDArray[np.int64]:
    points = np.array(ring, dtype=np.int64)
    before, after = points - np.roll(points, 1, axis=0), np.roll(points, -1, axis=0) - points
    return points[np.any(np.sign(before) != np.sign(after), axis=1)]
