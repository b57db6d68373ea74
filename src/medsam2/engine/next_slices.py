"""Which slice to prompt next: where one more prompt would help most."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medsam2.engine.volume_result import ObjectResult, SliceConfidence

REACH_MM = 15.0
"""A prompt settles its own slice, and the slices beside it the less the further they lie; at this distance nothing."""


@dataclass(frozen=True)
class NextSlice:
    """A slice that is worth a prompt.

    Attributes:
        slice_index: index in the file, along the plane's voxel axis.
        doubt: that the prompt would settle, in slices: 1 is one slice of which nothing is known.
    """

    slice_index: int
    doubt: float


def next_slices(result: ObjectResult, slice_spacing_mm: float, count: int = 3) -> tuple[NextSlice, ...]:
    """The slices of an object where one more prompt would help most, the best first.

    The doubt of a slice with a mask is 1 - its estimated IoU; of a slice without one, the probability that the object
    is there after all (the sigmoid of its object score); of a prompted slice, 0. A prompt is worth the doubt that it
    settles around it (a triangle of `REACH_MM`); what the first choice settles no longer speaks for the second.

    Args:
        result: of the object.
        slice_spacing_mm: distance of neighbouring slices of its plane.
        count: most slices to name; those that would settle nothing are left out.
    """
    if not result.slices:
        return ()
    places = np.array([one.slice_index for one in result.slices])
    settles = _settles(places, slice_spacing_mm)
    prompted = np.array([one.prompted for one in result.slices])
    doubt = np.array([_doubt(one) for one in result.slices])
    for row in settles[prompted]:
        doubt = doubt * (1 - row)
    chosen = []
    for _ in range(count):
        worth = np.where(prompted, 0.0, settles @ doubt)
        best = int(worth.argmax())
        if worth[best] <= 0:
            break
        chosen.append(NextSlice(int(places[best]), float(worth[best])))
        doubt = doubt * (1 - settles[best])
    return tuple(chosen)


def _settles(places: NDArray[np.int_], slice_spacing_mm: float) -> NDArray[np.float64]:
    """(n, n): the share of the doubt on slice b that a prompt on slice a settles."""
    distance_mm = np.abs(places[:, None] - places[None]) * slice_spacing_mm
    return np.clip(1 - distance_mm / max(REACH_MM, slice_spacing_mm), 0, 1)


def _doubt(one: SliceConfidence) -> float:
    if one.confidence > 0:
        return 1 - one.confidence
    return 1 / (1 + math.exp(-max(min(one.object_score, 32.0), -32.0)))
