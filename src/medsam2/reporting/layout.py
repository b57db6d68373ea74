"""Where the parts of a preview lie on the page; all lengths are in its pixels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from medsam2.reporting.viewport import fit

PAGE_WIDTH = 1600
MARGIN = 24
GAP = 12
CONTENT_WIDTH = PAGE_WIDTH - 2 * MARGIN

ROW_HEIGHT = 600
"""Greatest height of the views side by side."""

MAIN_SHARE = 0.6
"""Most of the width that a view takes which has the others beside it."""

TALL_HEIGHT = 880
"""Greatest height of a single view."""

CAPTION_HEIGHT = 58
TILE_SHAPE = 0.86
"""Height of a tile's picture over its width."""

BESIDE_AT_MOST = 9
"""Up to this many tiles stand beside a single view instead of below it."""

WIDEST_TILE = 380
"""Of tiles below the views."""


@dataclass(frozen=True)
class Rectangle:
    """A place on the page.

    Attributes:
        left: From the page's left edge.
        top: From its upper edge.
        width: To the right.
        height: Downwards.
    """

    left: int
    top: int
    width: int
    height: int

    @property
    def right(self) -> int:
        """The right edge."""
        return self.left + self.width

    @property
    def bottom(self) -> int:
        """The lower edge."""
        return self.top + self.height

    def centred(self, width: int, height: int) -> Rectangle:
        """Give the place of something smaller in the middle."""
        return Rectangle(self.left + (self.width - width) // 2, self.top + (self.height - height) // 2, width, height)


def side_by_side(aspects: Sequence[float], top: int) -> list[Rectangle]:
    """Lay views in one row, all of one height, in the middle of the page.

    Args:
        aspects: Width over height of each.
        top: Upper edge of the row.
    """
    gaps = GAP * (len(aspects) - 1)
    height = min((CONTENT_WIDTH - gaps) / sum(aspects), TALL_HEIGHT if len(aspects) == 1 else ROW_HEIGHT)
    widths = [max(2, round(height * aspect)) for aspect in aspects]
    left = MARGIN + (CONTENT_WIDTH - gaps - sum(widths)) // 2
    rectangles: list[Rectangle] = []
    for width in widths:
        rectangles.append(Rectangle(left, top, width, max(2, round(height))))
        left += width + GAP
    return rectangles


def first_beside_others(aspects: Sequence[float], first: int, top: int) -> list[Rectangle]:
    """Lay one view to the left and the others below each other to its right: for scans of few slices.

    Args:
        aspects: Width over height of each.
        first: Which one is to stand on the left.
        top: Upper edge.
    """
    main = Rectangle(MARGIN, top, *fit(aspects[first], CONTENT_WIDTH * MAIN_SHARE, ROW_HEIGHT))
    others = [aspect for number, aspect in enumerate(aspects) if number != first]
    cell_height = (main.height - GAP * (len(others) - 1)) // len(others)
    sizes = [fit(aspect, CONTENT_WIDTH - main.width - GAP, cell_height) for aspect in others]
    top += (main.height - sum(height + GAP for _, height in sizes) + GAP) // 2
    rectangles: list[Rectangle] = []
    for width, height in sizes:
        rectangles.append(Rectangle(main.right + GAP, top, width, height))
        top += height + GAP
    return [*rectangles[:first], main, *rectangles[first:]]


def arrange_views(aspects: Sequence[float], first: int, top: int) -> list[Rectangle]:
    """Lay views so that together they are as large as possible.

    Args:
        aspects: Width over height of each.
        first: The view that shows most, in the plane of acquisition.
        top: Upper edge.
    """
    row = side_by_side(aspects, top)
    if len(aspects) == 1:
        return row
    beside = first_beside_others(aspects, first, top)
    return max(row, beside, key=lambda layout: sum(one.width * one.height for one in layout))


def tile_columns(count: int) -> int:
    """Give the number of columns that leaves the fewest empty places, and of several the most columns."""
    if count <= 6:
        return max(count, 1)
    return min((6, 5, 4), key=lambda columns: -count % columns)


def split_rows(count: int, columns: int) -> list[int]:
    """Give the number of tiles in each row, when rows are filled one after the other."""
    return [min(columns, count - start) for start in range(0, count, columns)]


def tiles_below(rows: Sequence[int], columns: int, top: int) -> list[Rectangle]:
    """Lay tiles in rows across the page, from the left.

    Args:
        rows: Number of tiles in each row.
        columns: Number of tiles that would fill a row.
        top: Upper edge of the first row.
    """
    width = min((CONTENT_WIDTH - GAP * (columns - 1)) // columns, WIDEST_TILE)
    left = MARGIN + (CONTENT_WIDTH - columns * (width + GAP) + GAP) // 2
    return _grid(rows, width, left, top)


def tiles_beside(count: int, area: Rectangle) -> list[Rectangle]:
    """Lay tiles in an area, as large as fits.

    Args:
        count: Number of tiles.
        area: Where.
    """
    widths = {columns: _tile_width(columns, math.ceil(count / columns), area) for columns in range(1, count + 1)}
    columns = max(widths, key=lambda columns: widths[columns])
    return _grid(split_rows(count, columns), widths[columns], area.left, area.top)


def _tile_width(columns: int, rows: int, area: Rectangle) -> int:
    """Give the greatest width of tiles of which so many columns and rows fit into an area."""
    across = (area.width - GAP * (columns - 1)) // columns
    down = (area.height - GAP * (rows - 1)) // rows - CAPTION_HEIGHT
    return min(across, math.floor(down / TILE_SHAPE))


def _grid(rows: Sequence[int], width: int, left: int, top: int) -> list[Rectangle]:
    height = round(width * TILE_SHAPE) + CAPTION_HEIGHT
    return [
        Rectangle(left + column * (width + GAP), top + row * (height + GAP), width, height)
        for row, in_row in enumerate(rows)
        for column in range(in_row)
    ]
