"""Parts of a frame to look at: the network sees an object at much the same size, whether it is a lesion or a liver."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

LEAST_SIDE = 32
"""Pixels of a frame that are looked at in each direction, at least: fewer hold too little around an object."""


@dataclass(frozen=True)
class Region:
    """A rectangle of a frame's pixels; what lies beyond `x1`, `y1` is the first that is not in it.

    Attributes:
        x0: first column.
        y0: first row.
        x1: last column + 1.
        y1: last row + 1.
    """

    x0: int
    y0: int
    x1: int
    y1: int

    @classmethod
    def whole(cls, shape: tuple[int, int]) -> Region:
        """All of a frame of (rows, columns)."""
        return cls(0, 0, shape[1], shape[0])

    @classmethod
    def around(cls, box: tuple[float, float, float, float], factor: float, shape: tuple[int, int]) -> Region:
        """A square around an object, cut and shifted to lie within the frame.

        Args:
            box: x0, y0, x1, y1 of the object's outermost pixels, which belong to it.
            factor: side of the square, in units of the box's longer side.
            shape: rows and columns of the frame.
        """
        x0, y0, x1, y1 = box
        side = max(round(factor * (max(x1 - x0, y1 - y0) + 1)), LEAST_SIDE)
        left, right = _span((x0 + x1 + 1) / 2, side, shape[1])
        top, bottom = _span((y0 + y1 + 1) / 2, side, shape[0])
        return cls(left, top, right, bottom)

    @property
    def shape(self) -> tuple[int, int]:
        """Its rows and columns."""
        return self.y1 - self.y0, self.x1 - self.x0

    def extent(self, mask: Tensor) -> tuple[float, float, float, float] | None:
        """The box x0, y0, x1, y1, in pixels of the frame, around a mask (h, w) that shows the region; None if empty."""
        rows, columns = mask.any(1).nonzero()[:, 0].tolist(), mask.any(0).nonzero()[:, 0].tolist()
        if not rows:
            return None
        tall, wide = self.shape[0] / mask.shape[0], self.shape[1] / mask.shape[1]
        first_x, last_x = self.x0 + columns[0] * wide, self.x0 + (columns[-1] + 1) * wide - 1
        first_y, last_y = self.y0 + rows[0] * tall, self.y0 + (rows[-1] + 1) * tall - 1
        return first_x, first_y, last_x, last_y

    def shares(self, shape: tuple[int, int]) -> tuple[float, float, float, float]:
        """Its edges x0, y0, x1, y1 as shares of a frame of (rows, columns)."""
        rows, columns = shape
        return self.x0 / columns, self.y0 / rows, self.x1 / columns, self.y1 / rows


def _span(centre: float, side: int, length: int) -> tuple[int, int]:
    """`side` of `length` pixels around a centre, shifted inwards where they would stick out."""
    first = min(max(round(centre - side / 2), 0), max(length - side, 0))
    return first, min(first + side, length)
