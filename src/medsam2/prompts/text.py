"""Prompts as a command line gives them: numbers between commas."""

from __future__ import annotations

import math

from medsam2.errors import PromptError
from medsam2.prompts.coordinates import CoordinateSpace, box_from_numbers, point_from_numbers
from medsam2.prompts.prompt_types import BoxPrompt, PointPrompt
from medsam2.spatial import Geometry


def parse_point(text: str, geometry: Geometry, space: CoordinateSpace = CoordinateSpace.VOXEL) -> PointPrompt:
    """Read a click from "i,j,k" or "i,j,k,label"; in an image of one slice also "x,y" or "x,y,label".

    Args:
        text: The numbers; the label is 1 inside the object (also if left out) and 0 outside.
        geometry: The grid of the volume.
        space: What the numbers count.

    Raises:
        PromptError: The text is not one of these forms; see `point_from_numbers`.

    Example:
        >>> import numpy as np
        >>> parse_point("30,40,7,0", Geometry((9, 60, 60), np.eye(4)))
        PointPrompt(i=30, j=40, k=7, positive=False)
    """
    return point_from_numbers(_numbers(text, "point"), geometry, space, f"point '{text}'")


def parse_box(text: str, geometry: Geometry, space: CoordinateSpace = CoordinateSpace.VOXEL) -> BoxPrompt:
    """Read a box from "i0,j0,k0,i1,j1,k1"; in an image of one slice also "x0,y0,x1,y1".

    Args:
        text: The numbers of two opposite corners, which belong to the box.
        geometry: The grid of the volume.
        space: What the numbers count.

    Raises:
        PromptError: The text is not one of these forms; see `box_from_numbers`.

    Example:
        >>> import numpy as np
        >>> parse_box("10,20,40,50", Geometry((1, 60, 60), np.eye(4)))
        BoxPrompt(i0=10, j0=20, k0=0, i1=40, j1=50, k1=0)
    """
    return box_from_numbers(_numbers(text, "box"), geometry, space, f"box '{text}'")


def _numbers(text: str, kind: str) -> list[float]:
    return [_number(word, text, kind) for word in text.split(",")]


def _number(word: str, text: str, kind: str) -> float:
    try:
        value = float(word)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise PromptError(f"{kind} '{text}': '{word.strip()}' is not a number; expected finite numbers between commas.")
    return int(value) if value.is_integer() else value
