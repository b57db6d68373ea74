"""Label maps that were stored in another way than the scan, laid onto its grid voxel by voxel.

Programs turn and flip the axes of a scan when they convert or save it, and leave out what is empty around a mask. Such
a map has its voxels at the places of the scan's voxels, so each finds its own; nothing is ever resampled.
"""

from __future__ import annotations

from itertools import product

import numpy as np
from numpy.typing import NDArray

from medsam2.errors import GeometryError
from medsam2.spatial.geometry import GRID_TOLERANCE_VOXELS, Geometry
from medsam2.spatial.segmentation import LabelArray


def place_labels(labels: LabelArray, drawn: Geometry, scan: Geometry) -> LabelArray:
    """Lay a label map onto the grid of a scan.

    Args:
        labels: (D, H, W) of the map.
        drawn: The grid of the map. Along an axis with one voxel, its spacing is of no account.
        scan: The grid of the scan.

    Returns:
        (D, H, W) of the scan: the same labels at the same places of the patient, 0 where the map has no voxel.

    Raises:
        GeometryError: A voxel of the map has its centre at no voxel's centre, or a label lies outside the scan.

    Example:
        >>> flipped = Geometry((1, 1, 3), np.diag([-1.0, 1, 1, 1]) + np.eye(4, k=3) * 2)
        >>> place_labels(np.array([[[0, 0, 5]]], np.uint8), flipped, Geometry((1, 1, 3), np.eye(4))).tolist()
        [[[5, 0, 0]]]
    """
    if drawn.same_grid(scan):
        return labels
    matrix, offset = _whole_steps(drawn, scan)
    places = np.argwhere(labels)[:, ::-1]
    targets = places @ matrix.T + offset
    if len(targets) and (targets.min() < 0 or (targets >= scan.size_ijk).any()):
        raise GeometryError(
            f"the mask lies on {drawn.describe()} and reaches beyond the input, which has {scan.describe()}; "
            "draw it on the input's own grid"
        )
    laid: LabelArray = np.zeros(scan.shape, labels.dtype)
    laid[tuple(targets.T[::-1])] = labels[tuple(places.T[::-1])]
    return laid


def _whole_steps(drawn: Geometry, scan: Geometry) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Give the voxel index of the scan that each index of the map is, as a matrix (3, 3) and an offset (3,).

    Raises:
        GeometryError: The voxels' centres do not meet.
    """
    exact = np.linalg.solve(scan.affine, drawn.affine)
    matrix = np.where(np.array(drawn.size_ijk) > 1, exact[:3, :3].round(), 0).astype(np.int64)
    offset = exact[:3, 3].round().astype(np.int64)
    corners = np.array(list(product(*((0, n - 1) for n in drawn.size_ijk))))
    apart = drawn.index_to_lps(corners) - scan.index_to_lps(corners @ matrix.T + offset)
    long_axes = [axis for axis, size in enumerate(drawn.size_ijk) if size > 1]
    is_step = (np.abs(matrix).sum(axis=0)[long_axes] == 1).all() and np.abs(matrix).sum(axis=1).max(initial=0) <= 1
    if not is_step or np.linalg.norm(apart, axis=1).max() > GRID_TOLERANCE_VOXELS * min(scan.spacing_mm):
        raise GeometryError(
            f"the mask lies on {drawn.describe()}, the input on {scan.describe()}, and their voxels do not meet; "
            "draw it on the input's own grid (its axes may be turned or flipped), or resample it there yourself"
        )
    return matrix, offset
