"""Primitive shapes as implicit functions: negative inside, about a distance in coordinate units."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from medsam2.synthetic.canvas import Canvas, Window
from medsam2.synthetic.random_source import RandomSource

Point = tuple[float, float, float]  # (z, y, x)


@dataclass(frozen=True)
class Ellipsoid:
    """An ellipsoid, or one with corners, turned in the plane.

    Attributes:
        centre: (z, y, x).
        radii: (z, y, x), coordinate units.
        angle: Turn in the plane, radians.
        tilt: Shift of the centre in (y, x) for each unit of z: an oblique axis.
        boxiness: 0 = ellipsoid (2-norm), 1 = superquadric of the 4-norm, box-like; below 0 = diamond-like.
    """

    centre: Point
    radii: Point
    angle: float = 0.0
    tilt: tuple[float, float] = (0.0, 0.0)
    boxiness: float = 0.0

    def window(self, canvas: Canvas) -> Window:
        """The part of the canvas it can reach."""
        lean = max(abs(self.tilt[0]), abs(self.tilt[1])) * self.radii[0]
        return canvas.window(self.centre, 1.25 * max(self.radii) + lean)

    def level(self, canvas: Canvas, window: Window | None = None) -> Tensor:
        """Evaluate in a window (the whole canvas without one)."""
        place = window or (slice(None), slice(None), slice(None))
        z = canvas.z[place] - self.centre[0]
        y = canvas.y[place] - self.centre[1]
        x = canvas.x[place] - self.centre[2]
        if self.tilt != (0.0, 0.0):
            y, x = y - self.tilt[0] * z, x - self.tilt[1] * z
        if self.angle:
            cos, sin = math.cos(self.angle), math.sin(self.angle)
            y, x = cos * y - sin * x, sin * y + cos * x
        squares = [(part / radius).square_() for part, radius in zip((z, y, x), self.radii, strict=True)]
        norm = (squares[0] + squares[1] + squares[2]).sqrt_()
        if self.boxiness:
            fourth = squares[0].square_() + squares[1].square_() + squares[2].square_()
            norm.lerp_(fourth.sqrt_().sqrt_(), self.boxiness)
        return norm.sub_(1.0).mul_(min(self.radii[1:]))


@dataclass(frozen=True)
class Tube:
    """A round tube along a polyline.

    Attributes:
        points: Its axis, (z, y, x) each.
        radii: One at each point.
    """

    points: tuple[Point, ...]
    radii: tuple[float, ...]

    def paint(self, canvas: Canvas, instance: int, inset: float = 0.0, within: Tensor | None = None) -> None:
        """Paint it segment by segment, its radius reduced by `inset` (a wall), only inside `within`."""
        for start, stop, first, last in zip(self.points, self.points[1:], self.radii, self.radii[1:], strict=False):
            radius = max(first, last) - inset
            if radius <= 0:
                continue
            window = canvas.window(_middle(start, stop), math.dist(start, stop) / 2 + radius)
            if _is_empty(window, canvas.shape):
                continue
            mask = _segment_level(canvas, window, (start, stop), (first - inset, last - inset)) < 0
            canvas.paint_window(window, mask if within is None else mask & within[window], instance)


def _is_empty(window: Window, shape: tuple[int, int, int]) -> bool:
    return any(part.start >= min(part.stop, size) for part, size in zip(window, shape, strict=True))


def _middle(start: Point, stop: Point) -> Point:
    return ((start[0] + stop[0]) / 2, (start[1] + stop[1]) / 2, (start[2] + stop[2]) / 2)


def _segment_level(canvas: Canvas, window: Window, ends: tuple[Point, Point], radii: tuple[float, float]) -> Tensor:
    start, stop = ends
    axis = [b - a for a, b in zip(start, stop, strict=True)]
    length = max(sum(part * part for part in axis), 1e-8)
    z, y, x = canvas.z[window] - start[0], canvas.y[window] - start[1], canvas.x[window] - start[2]
    along = ((z * axis[0] + y * axis[1] + x * axis[2]) / length).clamp(0.0, 1.0)
    squared = (z - along * axis[0]).square_() + (y - along * axis[1]).square_() + (x - along * axis[2]).square_()
    return squared.sqrt_() - (radii[0] + along * (radii[1] - radii[0]))


def random_path(source: RandomSource, start: Point, heading: Point, steps: int, bend: float = 0.5) -> list[Point]:
    """A winding polyline.

    Args:
        source: Randomness.
        start: First point.
        heading: First step, (z, y, x).
        steps: Number of steps, each as long as the heading.
        bend: Deviation of the turn at each step, in units of the step.
    """
    points, current, step = [start], start, heading
    length = math.hypot(*heading)
    for _ in range(steps):
        turned = [part + length * bend * source.normal() for part in step]
        norm = max(math.hypot(*turned), 1e-6)
        step = (turned[0] / norm * length, turned[1] / norm * length, turned[2] / norm * length)
        current = (current[0] + step[0], current[1] + step[1], current[2] + step[2])
        points.append(current)
    return points


def vessel_tree(
    source: RandomSource, root: Point, heading: Point, radius: float, generations: int = 4, bend: float = 0.3
) -> list[Tube]:
    """A tree of tubes that fork, get thinner (Murray's exponent 3) and shorter.

    Args:
        source: Randomness.
        root: Where the trunk starts.
        heading: Step of the trunk; a branch has three.
        radius: Of the trunk.
        generations: Levels of forks.
        bend: How much branches wind.
    """
    path = random_path(source, root, heading, 3, bend)
    end_radius = radius * 0.85
    tubes = [Tube(tuple(path), tuple(radius + (end_radius - radius) * i / 3 for i in range(4)))]
    if generations <= 1 or end_radius < 0.004:
        return tubes
    last = tuple(b - a for a, b in zip(path[-2], path[-1], strict=True))
    share = source.uniform(0.3, 0.7)
    for part, side in ((share, 1.0), (1.0 - share, -1.0)):
        spread = side * source.uniform(0.3, 0.9)
        cos, sin = math.cos(spread), math.sin(spread)
        shorter = source.uniform(0.65, 0.95)
        turned = (
            last[0] * shorter + source.normal(0, 0.02),
            (cos * last[1] - sin * last[2]) * shorter,
            (sin * last[1] + cos * last[2]) * shorter,
        )
        tubes += vessel_tree(source, path[-1], turned, end_radius * part ** (1 / 3), generations - 1, bend)
    return tubes


def paint_tree(canvas: Canvas, tubes: list[Tube], label: int, parent: int = 0, within: Tensor | None = None) -> int:
    """Paint the tubes of a tree as one instance; return its identifier."""
    instance = canvas.new_instance(label, parent)
    for tube in tubes:
        tube.paint(canvas, instance, within=within)
    return instance


def polygon_level(canvas: Canvas, centre: Point, radius: float, corners: int, angle: float) -> Tensor:
    """A regular prism, `corners` sides in the plane and as high as it is wide."""
    level = (canvas.z - centre[0]).abs() - radius
    y, x = canvas.y - centre[1], canvas.x - centre[2]
    for corner in range(corners):
        turn = angle + 2 * math.pi * corner / corners
        level = torch.maximum(level, math.sin(turn) * y + math.cos(turn) * x - radius)
    return level


def random_point(source: RandomSource, canvas: Canvas, spread: float = 0.7) -> Point:
    """A point anywhere in the slab (a little beyond its ends, so that objects begin and end inside)."""
    reach = canvas.depth * 1.2 + 0.02
    return (source.uniform(-reach, reach), source.uniform(-spread, spread), source.uniform(-spread, spread))
