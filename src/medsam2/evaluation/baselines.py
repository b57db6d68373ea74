"""What needs no network: a model that is not better than these has learnt nothing.

Pictures are what the network is shown, grey in [0, 1]. `frozen` is the one baseline that is told where the object
begins and ends: it uses the truth's extent, so that a model has to beat a perfect guess of it.
"""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk  # noqa: N813 - as its own documentation calls it
from numpy.typing import NDArray
from scipy import ndimage

from medsam2.prompts import FrameBox
from medsam2.prompts.prompt_types import MaskArray

Picture = NDArray[np.float32]

FLOOD_DEVIATIONS = {2: 2.0, 3: 1.5}
"""Flooding takes what lies within this many standard deviations of the mean around the click, by the picture's
dimensions: in a volume there are more ways out. Of a few settings those that score best, as a baseline should."""

FLOOD_RADIUS = {2: 2, 3: 1}
"""Pixels around the click that the first mean is taken of, by dimensions: slices are thick."""

FLOOD_ROUNDS = 2
"""How often mean and deviation are taken anew, of all that was flooded."""

GROWN_DEVIATIONS = 2.0
"""Region growing takes what lies within this many standard deviations of the mean inside the drawn mask."""

GROWN_MARGIN = 0.25
"""Region growing stays within the mask's box, grown by this share of its sides on each side."""


def ellipse_in_box(box: FrameBox, shape: tuple[int, int]) -> MaskArray:
    """The ellipse inscribed in a box; the box's outermost pixels belong to it.

    Args:
        box: in pixels.
        shape: rows and columns of the picture.
    """
    y, x = np.ogrid[: shape[0], : shape[1]]
    across = (x - (box.x0 + box.x1) / 2) / ((box.x1 - box.x0 + 1) / 2)
    down = (y - (box.y0 + box.y1) / 2) / ((box.y1 - box.y0 + 1) / 2)
    mask: MaskArray = across**2 + down**2 <= 1
    return mask


def otsu_in_box(picture: Picture, box: FrameBox) -> MaskArray:
    """The bright or the dark side of Otsu's threshold (Otsu 1979) in a box.

    Which side it is, the middle quarter of the box decides by majority; the truth is not asked.

    Args:
        picture: (R, C).
        box: in whole pixels.
    """
    rows, columns = slice(int(box.y0), int(box.y1) + 1), slice(int(box.x0), int(box.x1) + 1)
    inside = picture[rows, columns]
    mask = np.zeros(picture.shape, bool)
    bright = inside > _otsu_threshold(inside)
    height, width = inside.shape
    middle = bright[height // 4 : height - height // 4, width // 4 : width - width // 4]
    mask[rows, columns] = bright if 2 * np.count_nonzero(middle) >= middle.size else ~bright
    return mask


def _otsu_threshold(values: Picture) -> float:
    if values.min() == values.max():
        return float(values.min())
    threshold = sitk.OtsuThresholdImageFilter()
    threshold.Execute(sitk.GetImageFromArray(values))
    return float(threshold.GetThreshold())


def flood(picture: Picture, seed: tuple[int, ...]) -> MaskArray:
    """What is connected to a click and about as bright, in a picture or a volume (ITK's ConfidenceConnected).

    Args:
        picture: (R, C) or (T, R, C).
        seed: index of the clicked element, (row, column) or (frame, row, column).
    """
    image = sitk.GetImageFromArray(np.ascontiguousarray(picture))
    flooded = sitk.ConfidenceConnected(
        image,
        seedList=[tuple(reversed(seed))],  # ITK counts columns first
        numberOfIterations=FLOOD_ROUNDS,
        multiplier=FLOOD_DEVIATIONS[picture.ndim],
        initialNeighborhoodRadius=FLOOD_RADIUS[picture.ndim],
        replaceValue=1,
    )
    mask: MaskArray = sitk.GetArrayFromImage(flooded) > 0
    mask[seed] = True
    return mask


def frozen(mask: MaskArray, extent: NDArray[np.bool_]) -> MaskArray:
    """One slice's mask repeated on every slice of the true extent.

    Args:
        mask: (R, C).
        extent: (T,) whether the true object is on the slice.

    Returns:
        (T, R, C).
    """
    return mask[None] & extent[:, None, None]


def grown_from_mask(pictures: Picture, mask: MaskArray, frame: int) -> MaskArray:
    """Grow a drawn slice through the volume: what is connected to it in 3-D and about as bright.

    Args:
        pictures: (T, R, C).
        mask: (R, C), drawn on one frame, not empty.
        frame: its index. There, the mask stays as it was drawn.
    """
    window = _grown_box(mask)
    inside, part = mask[window], pictures[:, *window]
    values = part[frame][inside]
    reach = GROWN_DEVIATIONS * float(values.std())
    alike = np.abs(part - values.mean()) <= reach
    alike[frame] = inside
    labels, _ = ndimage.label(alike)
    grown = np.zeros(pictures.shape, bool)
    grown[:, *window] = np.isin(labels, np.unique(labels[frame][inside]))
    return grown


def _grown_box(mask: MaskArray) -> tuple[slice, slice]:
    sides = []
    for axis in (1, 0):
        place = np.flatnonzero(mask.any(axis))
        first, last = int(place[0]), int(place[-1])
        margin = round(GROWN_MARGIN * (last - first + 1))
        sides.append(slice(max(first - margin, 0), last + margin + 1))
    return sides[0], sides[1]
