"""Pictures of a reference and of what was found instead."""

from __future__ import annotations

from io import BytesIO

import numpy as np
from numpy.typing import NDArray

from medsam2.prompts import SlicePrompt
from medsam2.prompts.prompt_types import MaskArray
from medsam2.reporting.palette import object_colour
from medsam2.reporting.panel import Panel
from medsam2.reporting.viewport import mask_region, show, surroundings, whole_frame

SIDE = 320
"""Pixels of a picture along its longer side."""


def contour_picture(
    frame: NDArray[np.float32],
    found: MaskArray,
    reference: MaskArray,
    spacing_mm: tuple[float, float],
    prompt: SlicePrompt | None = None,
) -> bytes:
    """Draw what was found, coloured, with the reference as white dots, and what was prompted on the slice.

    Args:
        frame: (R, C) or (R, C, 3), grey or colours in [0, 1].
        found: (R, C) bool.
        reference: (R, C) bool.
        spacing_mm: of rows and columns.
        prompt: on this slice.

    Returns:
        A PNG file of the part of the frame around both; of all of it where both are empty.
    """
    shape = found.shape[0], found.shape[1]
    either = found | reference
    region = surroundings(mask_region(either), shape, spacing_mm) if either.any() else whole_frame(shape)
    panel = Panel(frame, show(region, spacing_mm, SIDE, SIDE))
    if prompt is not None:
        panel.draw_mask_prompt(prompt)
    panel.draw_object(found, object_colour(0))
    panel.draw_reference(reference)
    if prompt is not None:
        panel.draw_box_and_clicks(prompt)
    file = BytesIO()
    panel.image().save(file, format="PNG", optimize=True)
    return file.getvalue()
