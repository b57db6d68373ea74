"""Smooth contours of coarse masks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from medsam2.prompts.prompt_types import MaskArray
from medsam2.reporting.viewport import FloatPicture, Viewport

REACH_PIXELS = 4
"""Distances from a mask's edge are told up to about this many pixels of the frame."""

FLATTEST = 0.25
"""Least slope that distances are divided by: on the crest of a thin object there is none."""

SMOOTHING_PIXELS = 0.4
"""Standard deviation of the Gaussian that rounds the steps of an edge; a single pixel survives it."""


def edge_distance(mask: MaskArray, viewport: Viewport) -> FloatPicture:
    """Give the distance of each pixel of a picture from the edge of a frame's mask.

    The mask's signed distance is stretched in its place: the edge becomes smooth, and what is a single pixel wide
    stays.

    Args:
        mask: (rows, columns) bool, not empty.
        viewport: What the picture shows of the frame.

    Returns:
        (height, width) in pixels of the picture, positive inside the mask; far from the edge, a large number.
    """
    signed = viewport.stretch(_signed_distance(np.pad(mask, 1), viewport.scale), border=1)
    rise_y, rise_x = np.gradient(signed)
    slope = np.maximum(np.hypot(rise_x, rise_y), FLATTEST)
    distance: FloatPicture = (signed / slope).astype(np.float32)
    return distance


def filled(distance: NDArray[np.floating]) -> NDArray[np.floating]:
    """Give the share of each pixel that lies inside, [0, 1]."""
    return np.clip(distance + 0.5, 0, 1)


def line(distance: NDArray[np.floating], width: float) -> NDArray[np.floating]:
    """Give the share of each pixel that a line along distance 0 covers, [0, 1]."""
    return np.clip((width + 1) / 2 - np.abs(distance), 0, 1)


def evenly_along(distance: FloatPicture, gap: float) -> NDArray[np.float64]:
    """Find places along an edge, one after the other.

    Args:
        distance: Of `edge_distance`.
        gap: Least distance of two places.

    Returns:
        (N, 2) as x, y, from the picture's left and upper edge.
    """
    rest = np.argwhere(np.abs(distance) < 0.75)[:, ::-1] + 0.5
    places: list[NDArray[np.float64]] = []
    while len(rest):
        away = np.hypot(*(rest - (places[-1] if places else rest[0])).T)
        places.append(rest[away.argmin()])
        rest = rest[np.hypot(*(rest - places[-1]).T) >= gap]
    return np.array(places).reshape(-1, 2)


def _signed_distance(mask: MaskArray, scale: tuple[float, float]) -> FloatPicture:
    """Give the distance to the nearest pixel of the other kind, positive inside, up to a limit.

    Args:
        mask: (rows, columns) bool, not empty, and empty along its border.
        scale: Units of the distance to one row and to one column.
    """
    limit = REACH_PIXELS * min(scale)
    distance = np.full(mask.shape, -limit, np.float32)
    (box,) = ndimage.find_objects(mask.astype(np.uint8))
    near = tuple(slice(max(side.start - REACH_PIXELS, 0), side.stop + REACH_PIXELS) for side in box)
    inside = ndimage.distance_transform_edt(mask[near], sampling=scale)
    outside = ndimage.distance_transform_edt(~mask[near], sampling=scale)
    distance[near] = ndimage.gaussian_filter(np.clip(inside - outside, -limit, limit), SMOOTHING_PIXELS)
    return distance
