"""The picture of a frame, and what is drawn over it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from medsam2.prompts import FrameBox, FramePoint, SlicePrompt
from medsam2.prompts.prompt_types import MaskArray
from medsam2.reporting.contours import edge_distance, evenly_along, filled, line
from medsam2.reporting.palette import BLACK, NEGATIVE, POSITIVE, WHITE, Colour
from medsam2.reporting.viewport import FloatPicture, Viewport, mask_region

SOFTENED_ABOVE = 2.0
"""Pixels of the picture to one of the frame."""

SOFTENING_PIXELS = 0.45
"""Standard deviation of the Gaussian, in pixels of the frame."""

FILL_OPACITY = 0.22
SHADOW_OPACITY = 0.45
SHADOW_WIDTH = 1.6
"""Added to the width of a line: a dark seam that keeps it legible on white."""

CONTOUR_WIDTH = 1.8
DRAWN_WIDTH = 4.6
BOX_WIDTH = 1.4
DASH = 7.0
DASH_SHARE = 0.6
DOT_GAP = 9.0
DOT_RADIUS = 1.4
CLICK_RADIUS = 5.5
CLICK_REACH = 9
"""Pixels around a click that its mark may touch."""

CONTOUR_REACH = 6
"""Pixels around an object that its contour may touch."""


class Panel:
    """A frame stretched to a picture, to be drawn on.

    Args:
        frame: (rows, columns) or (rows, columns, 3), grey or colours in [0, 1].
        viewport: What the picture shows of the frame.
    """

    def __init__(self, frame: NDArray[np.float32], viewport: Viewport) -> None:
        self.viewport = viewport
        smooth = _softened(frame, viewport)
        colours = np.broadcast_to(smooth[..., None], (*frame.shape, 3)) if frame.ndim == 2 else smooth
        self._pixels = viewport.stretch((colours * 255 + 0.5).astype(np.uint8)).copy()

    def image(self) -> Image.Image:
        """Give the picture as it is now."""
        return Image.fromarray((self._pixels + 0.5).clip(0, 255).astype(np.uint8))

    def draw_object(self, mask: MaskArray, colour: Colour) -> None:
        """Draw an object: a light fill and a thin contour.

        Args:
            mask: (rows, columns) bool, in the frame.
            colour: Of both.
        """
        patch, distance, _ = self._near(mask)
        _blend(patch, filled(distance) * FILL_OPACITY, colour)
        _blend(patch, line(distance, CONTOUR_WIDTH + SHADOW_WIDTH) * SHADOW_OPACITY, BLACK)
        _blend(patch, line(distance, CONTOUR_WIDTH), colour)

    def draw_reference(self, mask: MaskArray) -> None:
        """Draw the edge of a reference as white dots.

        Args:
            mask: (rows, columns) bool, in the frame.
        """
        _, distance, corner = self._near(mask)
        for x, y in np.add(evenly_along(distance, DOT_GAP), corner).tolist():
            self._draw_dot(x, y, DOT_RADIUS + SHADOW_WIDTH / 2, BLACK, SHADOW_OPACITY)
            self._draw_dot(x, y, DOT_RADIUS, WHITE)

    def draw_mask_prompt(self, prompt: SlicePrompt) -> None:
        """Draw the edge of a mask that was prompted as a white band; the contour of the result lies on it."""
        if prompt.mask is not None:
            patch, distance, _ = self._near(prompt.mask)
            _blend(patch, line(distance, DRAWN_WIDTH), WHITE)

    def draw_box_and_clicks(self, prompt: SlicePrompt) -> None:
        """Draw what was prompted: the box in white dashes, clicks as green (inside) and red (outside) dots."""
        if prompt.box is not None:
            self._draw_box(prompt.box)
        for point in prompt.points:
            self._draw_click(point)

    def _draw_box(self, box: FrameBox) -> None:
        left, top = np.floor(self.viewport.to_picture(box.x0 - 0.5, box.y0 - 0.5)) + 0.5
        right, bottom = np.ceil(self.viewport.to_picture(box.x1 + 0.5, box.y1 + 0.5)) - 0.5
        y, x = np.ogrid[0.5 : self.viewport.height, 0.5 : self.viewport.width]
        beyond_x = np.abs(x - (left + right) / 2) - (right - left) / 2
        beyond_y = np.abs(y - (top + bottom) / 2) - (bottom - top) / 2
        outside = np.hypot(np.maximum(beyond_x, 0), np.maximum(beyond_y, 0))
        distance = outside + np.minimum(np.maximum(beyond_x, beyond_y), 0)
        along = np.where(beyond_y > beyond_x, x - left, y - top)
        _blend(self._pixels, line(distance, BOX_WIDTH + SHADOW_WIDTH) * SHADOW_OPACITY, BLACK)
        _blend(self._pixels, line(distance, BOX_WIDTH) * (along % DASH < DASH_SHARE * DASH), WHITE)

    def _draw_click(self, point: FramePoint) -> None:
        x, y = self.viewport.to_picture(point.x, point.y)
        self._draw_dot(x, y, CLICK_RADIUS + 2.6, BLACK, SHADOW_OPACITY)
        self._draw_dot(x, y, CLICK_RADIUS + 1.6, WHITE)
        self._draw_dot(x, y, CLICK_RADIUS, POSITIVE if point.positive else NEGATIVE)

    def _draw_dot(self, x: float, y: float, radius: float, colour: Colour, opacity: float = 1.0) -> None:
        rows = slice(max(int(y) - CLICK_REACH, 0), max(int(y) + CLICK_REACH + 1, 0))
        columns = slice(max(int(x) - CLICK_REACH, 0), max(int(x) + CLICK_REACH + 1, 0))
        patch = self._pixels[rows, columns]
        at_y, at_x = np.ogrid[: patch.shape[0], : patch.shape[1]]
        distance = np.hypot(at_x + columns.start + 0.5 - x, at_y + rows.start + 0.5 - y)
        _blend(patch, filled(radius - distance) * opacity, colour)

    def _near(self, mask: MaskArray) -> tuple[FloatPicture, FloatPicture, tuple[int, int]]:
        """Give the pixels around a mask to draw on, their distance from its edge, and their first column and row."""
        if not mask.any():
            return self._pixels[:0, :0], np.empty((0, 0), np.float32), (0, 0)
        part, (rows, columns) = self.viewport.part(mask_region(mask), CONTOUR_REACH)
        if min(part.width, part.height) < 2:
            return self._pixels[:0, :0], np.empty((0, 0), np.float32), (0, 0)
        return self._pixels[rows, columns], edge_distance(mask, part), (columns.start, rows.start)


def _softened(frame: NDArray[np.float32], viewport: Viewport) -> NDArray[np.float32]:
    """Blur a frame a little along the axes that are much enlarged, as its pixels would show as steps otherwise."""
    sigma = [SOFTENING_PIXELS if scale > SOFTENED_ABOVE else 0.0 for scale in viewport.scale]
    return ndimage.gaussian_filter(frame, sigma, axes=(0, 1)) if any(sigma) else frame


def _blend(pixels: NDArray[np.float32], coverage: NDArray[np.floating], colour: Colour) -> None:
    pixels += coverage[..., None].astype(np.float32) * (np.array(colour, np.float32) - pixels)
