"""Prompts in the coordinates of one plane's frames, as the engine takes them.

x is the column and y the row of a frame, with pixel centres at integers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from medsam2.prompts.prompt_types import MaskArray
from medsam2.spatial import Plane


@dataclass(frozen=True)
class FramePoint:
    """A click in a frame.

    Attributes:
        x: Column, pixels.
        y: Row, pixels.
        positive: True inside the object, False where it must not be.
    """

    x: float
    y: float
    positive: bool = True


@dataclass(frozen=True)
class FrameBox:
    """A box in a frame; the pixels of both corners belong to it.

    Attributes:
        x0: First column.
        y0: First row.
        x1: Last column.
        y1: Last row.
    """

    x0: float
    y0: float
    x1: float
    y1: float

    def contains(self, point: FramePoint) -> bool:
        """Tell whether a point lies on the box's pixels, which reach half a pixel beyond their centres."""
        in_columns = self.x0 - 0.5 <= point.x <= self.x1 + 0.5
        in_rows = self.y0 - 0.5 <= point.y <= self.y1 + 0.5
        return in_columns and in_rows


@dataclass(frozen=True, eq=False)
class SlicePrompt:
    """What is prompted for one object in one frame: points and a box, or a mask alone.

    Attributes:
        points: Clicks.
        box: The box, None if there is none.
        mask: (rows, columns) bool, None if there is none.
    """

    points: tuple[FramePoint, ...] = ()
    box: FrameBox | None = None
    mask: MaskArray | None = None


@dataclass(frozen=True, eq=False)
class ResolvedObject:
    """One object's prompts, laid into the frames of one plane.

    Attributes:
        name: Name of the object.
        label: Its value in the label map.
        plane: The plane of the frames.
        slices: Frame number to prompt, in ascending order.
    """

    name: str
    label: int
    plane: Plane
    slices: Mapping[int, SlicePrompt]
