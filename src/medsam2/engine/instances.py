"""Telling the connected parts of objects apart."""

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from medsam2.spatial import LabelArray, label_dtype

ALL_NEIGHBOURS = np.ones((3, 3, 3), bool)
"""Pixels that touch at a corner are connected."""


def separate_instances(labels: LabelArray, order: Sequence[int]) -> tuple[LabelArray, list[int]]:
    """Tell the connected parts of objects apart; pixels that touch at a corner are connected.

    Args:
        labels: (D, H, W) label map.
        order: the labels to separate, in the order in which their parts are to be numbered.

    Returns:
        A label map of the parts, 1..n, object by object, and the number of parts of each object.
    """
    separate = np.zeros(labels.shape, np.int64)
    counts: list[int] = []
    for label in order:
        parts, count = ndimage.label(labels == label, structure=ALL_NEIGHBOURS)
        separate[parts > 0] = parts[parts > 0] + sum(counts)
        counts.append(count)
    fits_in_8_bits = label_dtype(sum(counts)) is np.uint8
    return separate.astype(np.uint8) if fits_in_8_bits else separate.astype(np.uint16), counts
