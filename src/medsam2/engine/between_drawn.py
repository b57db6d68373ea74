"""What drawn slices tell of those between them: shape-based interpolation (Raya and Udupa 1990, IEEE TMI 9:32)."""

from bisect import bisect
from collections.abc import Mapping
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from medsam2.prompts.prompt_types import MaskArray
from medsam2.spatial import PlaneView

FrameLogits = NDArray[np.float32]

WEIGHT = 2.0
"""The logit of a pixel that lies as deep in the interpolated shape as the nearest drawn slice is away: the farther that
is, the farther may an outline have moved. Chosen by measurement (docs/starter.md, "Several drawn slices")."""


class BetweenDrawn:
    """The drawn slices of one object, and what lies between two of them.

    Args:
        view: of the object's plane.
        drawn: by frame, (rows, columns) bool, none of them empty.
    """

    def __init__(self, view: PlaneView, drawn: Mapping[int, MaskArray]) -> None:
        self._view, self._drawn = view, drawn
        self._frames = sorted(drawn)
        # Of the pair that the frames of a sweep lie between.
        self._depth = lru_cache(maxsize=2)(self._depth_on)

    def logits(self, frame: int) -> FrameLogits | None:
        """What the nearest drawn slices on both sides say of a frame that is not drawn.

        Returns:
            (rows, columns), to be added to the network's logits; None where nothing is drawn on one side.
        """
        place = bisect(self._frames, frame)
        if place in (0, len(self._frames)):
            return None
        below, above = self._frames[place - 1], self._frames[place]
        share = (frame - below) / (above - below)
        depth: FrameLogits = (1 - share) * self._depth(below) + share * self._depth(above)
        nearest_mm = min(frame - below, above - frame) * self._view.slice_spacing_mm
        logits: FrameLogits = np.float32(WEIGHT / nearest_mm) * depth
        return logits

    def _depth_on(self, frame: int) -> FrameLogits:
        """How deep in the drawn shape a pixel lies, mm; negative outside of it."""
        mask, spacing = self._drawn[frame], self._view.frame_spacing_mm
        # A shape that fills the frame ends where the frame does.
        inside = ndimage.distance_transform_edt(np.pad(mask, 1), sampling=spacing)[1:-1, 1:-1]
        depth: FrameLogits = (inside - ndimage.distance_transform_edt(~mask, sampling=spacing)).astype(np.float32)
        return depth
