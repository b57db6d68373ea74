"""Shapes that presentation states and structured reports draw, as prompts understand them."""

from __future__ import annotations

import numpy as np

from medsam2.io.annotation import Drawing
from medsam2.spatial import FloatArray

LINES = ("POLYLINE", "MULTILINE", "INTERPOLATED", "POLYGON", "RULER", "RANGELINE")
"""What may be a measured line, or a closed one."""

OTHERS = ("POINT", "MULTIPOINT", "CIRCLE", "ELLIPSE", "RECTANGLE", "ELLIPSOID", "AXIS", "CROSSHAIR", "CUTLINE")
"""What a message may name besides."""

SAME_POINT = 1e-3
"""Voxels; a line whose ends are nearer is closed."""


def add_shape(drawing: Drawing, kind: str, points: FloatArray) -> str:
    """Add a shape to its object.

    A line of two points is a measured one; a closed line is filled; of circles, ellipses and rectangles the axes are
    taken.

    Args:
        drawing: The object.
        kind: DICOM's graphic type: POINT, POLYLINE, ...
        points: (N, 3) voxel indices.

    Returns:
        What the shape is if it cannot be used, else "".
    """
    count = len(points)
    if kind in ("POINT", "MULTIPOINT") and count:
        drawing.add_points(points)
    elif kind in LINES and count == 2:
        drawing.add_line(points)
    elif kind in LINES and count > 2 and (kind == "POLYGON" or _is_closed(points)):
        drawing.add_outline(points)
    elif kind == "CIRCLE" and count == 2:
        _add_circle(drawing, *points)
    elif kind == "ELLIPSE" and count == 4:
        drawing.add_line(points[:2])
        drawing.add_line(points[2:])
    elif kind in ("RECTANGLE", "ELLIPSE") and count == 2:
        _add_rectangle(drawing, *points)
    else:
        return f"{kind.lower() if kind in (*LINES, *OTHERS) else 'shape'} of {count} point{'' if count == 1 else 's'}"
    return ""


def cross(one: FloatArray, other: FloatArray) -> bool:
    """Tell whether two lines, each (2, 3), of one slice cross or touch, as the two diameters of an object do."""
    if abs(float(one[0, 2] - other[0, 2])) > 0.5:
        return False
    first, second = one[:, :2], other[:, :2]
    return _sides(first, second) <= SAME_POINT and _sides(second, first) <= SAME_POINT


def _sides(line: FloatArray, ends: FloatArray) -> float:
    """Give a number that is negative if two ends lie on different sides of a line, (2, 2) each."""
    along = line[1] - line[0]
    left, right = (along[0] * (end - line[0])[1] - along[1] * (end - line[0])[0] for end in ends)
    return float(left * right)


def _is_closed(points: FloatArray) -> bool:
    return bool(np.linalg.norm(points[0] - points[-1]) < SAME_POINT)


def _add_circle(drawing: Drawing, centre: FloatArray, on_line: FloatArray) -> None:
    radius = float(np.linalg.norm(on_line - centre))
    for axis in np.eye(3)[:2] * radius:
        drawing.add_line(np.array([centre - axis, centre + axis]))


def _add_rectangle(drawing: Drawing, corner: FloatArray, opposite: FloatArray) -> None:
    centre, half = (corner + opposite) / 2, (opposite - corner) / 2
    for axis in np.diag(half)[:2]:
        drawing.add_line(np.array([centre - axis, centre + axis]))
