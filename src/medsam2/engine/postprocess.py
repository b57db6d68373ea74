"""Optional cleaning of a finished label map."""

import numpy as np
from scipy import ndimage

from medsam2.spatial.segmentation import LabelArray

CONNECTIVITY_26 = np.ones((3, 3, 3), bool)


def keep_largest_component(labels: LabelArray, label: int) -> None:
    """Remove all but the largest 26-connected component of an object, in place."""
    components, count = ndimage.label(labels == label, structure=CONNECTIVITY_26)
    if count < 2:
        return
    sizes = np.bincount(components.ravel())[1:]
    labels[(components > 0) & (components != 1 + int(sizes.argmax()))] = 0


def fill_holes(labels: LabelArray, label: int) -> None:
    """Give an object the background voxels that it encloses in 3-D, in place; other objects in it stay.

    A volume one voxel thick is filled as the image it is.
    """
    mask = labels == label
    filled = ndimage.binary_fill_holes(mask.squeeze()).reshape(mask.shape)
    labels[filled & (labels == 0)] = label
