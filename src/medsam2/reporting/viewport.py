"""Which part of a frame a picture shows, and how large."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from medsam2.prompts.prompt_types import MaskArray

FloatPicture = NDArray[np.float32]
Patch = tuple[slice, slice]

MARGIN_SHARE = 0.35
"""Of the size of an object, left free on each side of it."""

MINIMUM_PIXELS = 24
"""A crop shows at least this many pixels of the frame along its shorter side, if the frame has them."""


@dataclass(frozen=True)
class Region:
    """A rectangle of a frame, from edge to edge: a frame of C columns and R rows reaches from 0, 0 to C, R.

    Attributes:
        left: First column's left edge.
        top: First row's upper edge.
        right: Last column's right edge.
        bottom: Last row's lower edge.
    """

    left: float
    top: float
    right: float
    bottom: float

    @property
    def columns(self) -> float:
        """Width in pixels of the frame."""
        return self.right - self.left

    @property
    def rows(self) -> float:
        """Height in pixels of the frame."""
        return self.bottom - self.top

    def union(self, other: Region) -> Region:
        """Give the smallest region around both."""
        return Region(
            min(self.left, other.left),
            min(self.top, other.top),
            max(self.right, other.right),
            max(self.bottom, other.bottom),
        )


@dataclass(frozen=True)
class Viewport:
    """A region of a frame, stretched to a picture.

    Attributes:
        region: What is shown; inside the frame.
        width: Of the picture, pixels.
        height: Of the picture, pixels.

    Example:
        >>> Viewport(Region(0, 0, 4, 4), 40, 40).to_picture(0, 3)
        (5.0, 35.0)
    """

    region: Region
    width: int
    height: int

    @property
    def scale(self) -> tuple[float, float]:
        """Pixels of the picture to one row and to one column of the frame."""
        return self.height / self.region.rows, self.width / self.region.columns

    def to_picture(self, x: float, y: float) -> tuple[float, float]:
        """Find a place of the frame.

        Args:
            x: Column, pixel centres at integers.
            y: Row.

        Returns:
            x and y in the picture, from its left and upper edge.
        """
        rows, columns = self.scale
        return (x + 0.5 - self.region.left) * columns, (y + 0.5 - self.region.top) * rows

    def part(self, region: Region, margin: int) -> tuple[Viewport, Patch]:
        """Give the part of the picture that shows a region and some pixels around it.

        Args:
            region: Of the frame; it may reach beyond what is shown.
            margin: Pixels of the picture.

        Returns:
            The part as a viewport of its own, and its rows and columns in the picture; empty if nothing is shown.
        """
        left, top = self.to_picture(region.left - 0.5, region.top - 0.5)
        right, bottom = self.to_picture(region.right - 0.5, region.bottom - 0.5)
        rows = _pixels(top - margin, bottom + margin, self.height)
        columns = _pixels(left - margin, right + margin, self.width)
        down, across = self.scale
        shown = Region(
            left=self.region.left + columns.start / across,
            top=self.region.top + rows.start / down,
            right=min(self.region.left + columns.stop / across, self.region.right),
            bottom=min(self.region.top + rows.stop / down, self.region.bottom),
        )
        return Viewport(shown, columns.stop - columns.start, rows.stop - rows.start), (rows, columns)

    def stretch(self, frame: NDArray[Any], border: int = 0) -> FloatPicture:
        """Stretch a frame to the picture, bicubic; where the picture has fewer pixels, it is antialiased.

        Args:
            frame: (rows, columns) float32, or (rows, columns, 3) uint8.
            border: Pixels that were added to the frame on each side.

        Returns:
            (height, width) or (height, width, 3).
        """
        region, (rows, columns) = self.region, frame.shape[:2]
        # Rounding must not lead beyond the last pixel, which Pillow refuses.
        right, bottom = min(region.right + border, columns), min(region.bottom + border, rows)
        box = (region.left + border, region.top + border, right, bottom)
        image = Image.fromarray(np.ascontiguousarray(frame))
        resized = image.resize((self.width, self.height), Image.Resampling.BICUBIC, box=box)
        return np.asarray(resized, dtype=np.float32)


def fit(aspect: float, width: float, height: float) -> tuple[int, int]:
    """Give width and height of the largest picture of an aspect (width over height) within limits."""
    wide = min(width, height * aspect)
    return max(2, round(wide)), max(2, round(wide / aspect))


def whole_frame(shape: tuple[int, int]) -> Region:
    """Give the region of all rows and columns of a frame."""
    rows, columns = shape
    return Region(0, 0, columns, rows)


def mask_region(mask: MaskArray) -> Region:
    """Give the smallest region around the pixels of a mask, (rows, columns) bool, not empty."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return Region(int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)


def show(region: Region, spacing_mm: tuple[float, float], width: float, height: float) -> Viewport:
    """Show a region as large as limits allow, with the proportions of the patient.

    Args:
        region: Part of a frame.
        spacing_mm: Distance of rows and of columns, mm.
        width: Largest width of the picture.
        height: Largest height of the picture.
    """
    aspect = (region.columns * spacing_mm[1]) / (region.rows * spacing_mm[0])
    return Viewport(region, *fit(aspect, width, height))


def surroundings(
    region: Region, shape: tuple[int, int], spacing_mm: tuple[float, float], aspect: float = 1.0
) -> Region:
    """Give a region and some of what lies around it, inside the frame.

    Args:
        region: What to show.
        shape: Rows and columns of the frame.
        spacing_mm: Distance of rows and of columns, mm.
        aspect: Width over height, in mm, as far as the frame reaches.
    """
    row_mm, column_mm = spacing_mm
    grown = 1 + 2 * MARGIN_SHARE
    height_mm = max(
        region.rows * row_mm * grown, region.columns * column_mm * grown / aspect, MINIMUM_PIXELS * min(spacing_mm)
    )
    top, bottom = _inside((region.top + region.bottom) / 2, height_mm / row_mm, shape[0])
    left, right = _inside((region.left + region.right) / 2, height_mm * aspect / column_mm, shape[1])
    return Region(left, top, right, bottom)


def _pixels(start: float, stop: float, limit: int) -> slice:
    """Give the whole pixels from start to stop within 0..limit."""
    first = min(max(math.floor(start), 0), limit)
    return slice(first, min(max(math.ceil(stop), first), limit))


def _inside(centre: float, length: float, limit: float) -> tuple[float, float]:
    """Lay an interval around a centre, moved into 0..limit where it reaches beyond."""
    length = min(length, limit)
    start = min(max(centre - length / 2, 0.0), limit - length)
    return start, start + length
