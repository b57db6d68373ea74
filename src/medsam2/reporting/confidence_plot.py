"""The confidence of each slice as a drawing in SVG."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from medsam2.engine.volume_result import SliceConfidence
from medsam2.io.segments import Colour

WIDTH, HEIGHT = 720, 170
LEFT, RIGHT, TOP, BOTTOM = 44, 12, 14, 36
"""Room around the plot, for the numbers at its axes."""

GRID = (0.0, 0.5, 1.0)
MOST_TICKS = 10
STEPS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
MOST_DOTS = 150
"""Of more slices the line alone is drawn."""


def confidence_plot(slices: Sequence[SliceConfidence], colour: Colour, axis: str) -> str:
    """Plot the confidence of an object's slices; prompted ones are marked by a dashed line.

    Args:
        slices: Those that were looked at, ascending.
        colour: Of the object.
        axis: Letter of the voxel axis that the slices are counted along: i, j or k.

    Returns:
        An <svg> element; "" if no slice was looked at.
    """
    if not slices:
        return ""
    first, last = slices[0].slice_index, slices[-1].slice_index
    plot = _Plot(first, max(last - first, 1))
    hexadecimal = "#{:02x}{:02x}{:02x}".format(*colour)
    parts = [
        f'<svg class="plot" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="confidence of slices '
        f'{axis} = {first} to {last}">',
        *(_grid_line(plot, value) for value in GRID),
        *(_tick(plot, index) for index in ticks(first, last)),
        f'<text class="axis" x="{(LEFT + WIDTH - RIGHT) / 2:.0f}" y="{HEIGHT - 3}" text-anchor="middle">slice {axis}'
        "</text>",
        *(_prompt_line(plot, one.slice_index) for one in slices if one.prompted),
        *(f'<polyline points="{line}" stroke="{hexadecimal}"/>' for line in _lines(plot, slices)),
        *(_dot(plot, one, hexadecimal, axis) for one in slices if len(slices) <= MOST_DOTS or one.prompted),
        "</svg>",
    ]
    return "\n".join(parts)


def ticks(first: int, last: int) -> list[int]:
    """Choose slices to number, at round distances.

    Example:
        >>> ticks(97, 131)
        [100, 105, 110, 115, 120, 125, 130]
    """
    step = next((step for step in STEPS if (last - first) / step < MOST_TICKS), STEPS[-1])
    return list(range(-(-first // step) * step, last + 1, step))


class _Plot:
    """Where a slice and a confidence lie in the drawing."""

    def __init__(self, first: int, span: int) -> None:
        self._first, self._span = first, span

    def x(self, index: int) -> float:
        return LEFT + (index - self._first) / self._span * (WIDTH - LEFT - RIGHT)

    def y(self, confidence: float) -> float:
        return TOP + (1 - min(max(confidence, 0.0), 1.0)) * (HEIGHT - TOP - BOTTOM)


def _grid_line(plot: _Plot, value: float) -> str:
    y = plot.y(value)
    return (
        f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        f'<text class="axis" x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{value:g}</text>'
    )


def _tick(plot: _Plot, index: int) -> str:
    y = HEIGHT - BOTTOM + 16
    return f'<text class="axis" x="{plot.x(index):.1f}" y="{y}" text-anchor="middle">{index}</text>'


def _prompt_line(plot: _Plot, index: int) -> str:
    x = plot.x(index)
    return f'<line class="prompt" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP - 8}" y2="{HEIGHT - BOTTOM}"/>'


def _lines(plot: _Plot, slices: Sequence[SliceConfidence]) -> list[str]:
    """Give the points of each run of neighbouring slices: where none was looked at, there is a gap."""
    runs = [[slices[0]]]
    for before, after in pairwise(slices):
        if after.slice_index - before.slice_index > 1:
            runs.append([])
        runs[-1].append(after)
    return [" ".join(f"{plot.x(one.slice_index):.1f},{plot.y(one.confidence):.1f}" for one in run) for run in runs]


def _dot(plot: _Plot, one: SliceConfidence, colour: str, axis: str) -> str:
    told = f"{axis} = {one.slice_index}: {one.confidence:.2f}{', prompted' if one.prompted else ''}"
    x, y = plot.x(one.slice_index), plot.y(one.confidence)
    return (
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{4.5 if one.prompted else 2.5}" fill="{colour}">'
        f"<title>{told}</title></circle>"
    )
