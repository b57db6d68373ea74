"""Plots of scores as SVG: one row of dots a structure, and scores against size. They need no script to be read."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

WIDTH = 760
"""Of a plot, in the units of its own coordinates; the page stretches it."""

LEFT, RIGHT, TOP, BOTTOM = 170, 60, 8, 40
"""Room around the field of a plot."""

ROW_HEIGHT = 34
DOT_RADIUS = 2.6
JITTER_SHARE = 0.5
"""Of a row's height, over which its dots are spread so that equal ones can be told apart."""

SCATTER_HEIGHT = 280
SCATTER_LEFT = 56

LONGEST_NAME = 24

GOLDEN_SHARE = (math.sqrt(5) - 1) / 2
"""Dot n lies at the fraction of n times this: even, and the same each time."""


@dataclass(frozen=True)
class Dot:
    """One score.

    Attributes:
        name: whose it is, told when pointed at.
        score: [0, 1].
        size: of what was scored; positive.
    """

    name: str
    score: float
    size: float = 1.0


@dataclass(frozen=True)
class Strip:
    """One row of a strip plot.

    Attributes:
        name: of the row.
        dots: its scores; at least one.
        marks: means to compare them with, by what they are of.
    """

    name: str
    dots: Sequence[Dot]
    marks: Sequence[tuple[str, float]] = ()


def strip_plot(strips: Sequence[Strip], axis: str) -> str:
    """Draw the scores of each structure as dots over the box of their quartiles, and means of others as rhombs.

    Args:
        strips: the rows.
        axis: what the scores are.

    Returns:
        An `<svg>` element.
    """
    height = TOP + ROW_HEIGHT * len(strips) + BOTTOM
    field = (LEFT, TOP, WIDTH - LEFT - RIGHT, ROW_HEIGHT * len(strips))
    rows = [_strip(strip, TOP + ROW_HEIGHT * (number + 0.5)) for number, strip in enumerate(strips)]
    return _svg(height, f"{axis} of each structure", [*_score_axis(field, axis), *rows])


def scatter_plot(dots: Sequence[Dot], axis: str, size_axis: str) -> str:
    """Draw scores against sizes, whose axis is logarithmic.

    Args:
        dots: the scores; at least one.
        axis: what the scores are.
        size_axis: what the sizes are, with their unit.

    Returns:
        An `<svg>` element.
    """
    left, width = SCATTER_LEFT, WIDTH - SCATTER_LEFT - RIGHT
    height = SCATTER_HEIGHT - TOP - BOTTOM
    powers = _powers([dot.size for dot in dots])
    first, last = powers[0], powers[-1]

    def x_of(size: float) -> float:
        return left + width * (math.log10(size) - first) / (last - first)

    def y_of(score: float) -> float:
        return TOP + height * (1 - score)

    lines = [_line(left, y_of(tick), left + width, y_of(tick), "grid") for tick in (0, 0.25, 0.5, 0.75, 1)]
    numbers = [_text(left - 8, y_of(tick) + 4, f"{tick:g}", "end") for tick in (0, 0.25, 0.5, 0.75, 1)]
    for power in powers:
        lines.append(_line(x_of(10.0**power), TOP, x_of(10.0**power), TOP + height, "grid"))
        numbers.append(_text(x_of(10.0**power), TOP + height + 16, f"{10.0**power:,g}", "middle"))
    titles = [
        _text(left + width / 2, SCATTER_HEIGHT - 6, size_axis, "middle"),
        f'<text class="axis" transform="translate(14 {TOP + height / 2}) rotate(-90)" text-anchor="middle">'
        f"{escape(axis)}</text>",
    ]
    marks = [_dot(x_of(dot.size), y_of(dot.score), f"{dot.name}: {dot.score:.3f}, {dot.size:,.4g}") for dot in dots]
    return _svg(SCATTER_HEIGHT, f"{axis} against {size_axis}", [*lines, *numbers, *titles, *marks])


def _strip(strip: Strip, middle: float) -> str:
    scores = np.array([dot.score for dot in strip.dots])
    low, median, high = (_x(float(value)) for value in np.quantile(scores, (0.25, 0.5, 0.75)))
    top, height = middle - ROW_HEIGHT * 0.3, ROW_HEIGHT * 0.6
    parts = [
        _text(LEFT - 10, middle + 4, _shortened(strip.name), "end", strip.name),
        f'<rect class="quartiles" x="{low:.1f}" y="{top:.1f}" width="{max(high - low, 1):.1f}" height="{height:.1f}"/>',
    ]
    for number, dot in enumerate(strip.dots):
        offset = (number * GOLDEN_SHARE % 1 - 0.5) * JITTER_SHARE * ROW_HEIGHT if len(strip.dots) > 1 else 0.0
        parts.append(_dot(_x(dot.score), middle + offset, f"{dot.name}: {dot.score:.3f}"))
    parts.append(_line(median, top, median, top + height, "median"))
    for name, value in strip.marks:
        x, reach = _x(value), 5
        corners = f"{x:.1f},{middle - reach:.1f} {x + reach:.1f},{middle:.1f} {x:.1f},{middle + reach:.1f}"
        title = escape(f"mean of {name}: {value:.3f}")
        parts.append(
            f'<polygon class="mark" points="{corners} {x - reach:.1f},{middle:.1f}"><title>{title}</title></polygon>'
        )
    parts.append(_text(WIDTH - RIGHT + 10, middle + 4, f"n = {len(strip.dots)}", "start"))
    return "".join(parts)


def _score_axis(field: tuple[float, float, float, float], axis: str) -> list[str]:
    left, top, width, height = field
    parts = []
    for tick in (0, 0.2, 0.4, 0.6, 0.8, 1):
        parts.append(_line(_x(tick), top, _x(tick), top + height, "grid"))
        parts.append(_text(_x(tick), top + height + 16, f"{tick:g}", "middle"))
    parts.append(_text(left + width / 2, top + height + 34, axis, "middle"))
    return parts


def _x(score: float) -> float:
    return LEFT + (WIDTH - LEFT - RIGHT) * score


def _powers(sizes: Sequence[float]) -> list[int]:
    """The powers of ten from that below the least to that above the greatest."""
    first, last = math.floor(math.log10(min(sizes))), math.ceil(math.log10(max(sizes)))
    return list(range(first, max(last, first + 1) + 1))


def _shortened(name: str) -> str:
    return name if len(name) <= LONGEST_NAME else name[: LONGEST_NAME - 1].rstrip() + "…"


def _svg(height: float, title: str, parts: Sequence[str]) -> str:
    opening = f'<svg viewBox="0 0 {WIDTH} {height:g}" role="img" aria-label="{escape(title)}">'
    return "\n".join([opening, *parts, "</svg>"])


def _dot(x: float, y: float, title: str) -> str:
    return f'<circle class="dot" cx="{x:.1f}" cy="{y:.1f}" r="{DOT_RADIUS}"><title>{escape(title)}</title></circle>'


def _line(x0: float, y0: float, x1: float, y1: float, kind: str) -> str:
    return f'<line class="{kind}" x1="{x0:.1f}" y1="{y0:.1f}" x2="{x1:.1f}" y2="{y1:.1f}"/>'


def _text(x: float, y: float, text: str, anchor: str, title: str = "") -> str:
    told = f"<title>{escape(title)}</title>" if title and title != text else ""
    return f'<text class="axis" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{told}{escape(text)}</text>'
