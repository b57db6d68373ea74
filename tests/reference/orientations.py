"""One patient, stored with the axes of its file in every order and direction."""

from itertools import permutations, product

import numpy as np

from medsam2.spatial import Geometry

ORIENTATIONS = [(order, signs) for order in permutations(range(3)) for signs in product((1, -1), repeat=3)]
"""Order and direction of the voxel axes, relative to a patient stored along +L, +P, +S."""


def name_of(orientation):
    """The axis code in the convention of NIfTI viewers, e.g. LPS."""
    order, signs = orientation
    return "".join(("LR", "PA", "SI")[axis][sign < 0] for axis, sign in zip(order, signs, strict=True))


class Stored:
    """A way of storing: from a patient's array along (S, P, L) and back.

    Args:
        size_lps: voxels along L, P and S.
        spacing_lps: mm.
        orientation: one of `ORIENTATIONS`.
    """

    def __init__(self, size_lps, spacing_lps, orientation):
        self.size, (self.order, self.signs) = size_lps, orientation
        affine = np.diag([*spacing_lps, 1.0])
        affine[:3, 3] = -10, 20, 30
        reorder = np.zeros((4, 4))
        reorder[3, 3] = 1
        for axis, (old, sign) in enumerate(zip(self.order, self.signs, strict=True)):
            reorder[old, axis] = sign
            reorder[old, 3] = 0 if sign > 0 else self.size[old] - 1
        shape = tuple(size_lps[axis] for axis in reversed(self.order))
        self.geometry = Geometry(shape, affine @ reorder)

    def array(self, patient):
        """(S, P, L, ...) to the file's (k, j, i, ...)."""
        colours = range(3, patient.ndim)
        by_index = patient.transpose(2, 1, 0, *colours).transpose(*self.order, *colours)[self._flips]
        return np.ascontiguousarray(by_index.transpose(2, 1, 0, *colours))

    def patient(self, array):
        """The file's (k, j, i) to (S, P, L)."""
        by_index = array.transpose(2, 1, 0)[self._flips]
        return by_index.transpose(*np.argsort(self.order)).transpose(2, 1, 0)

    def index(self, lps):
        """Voxel (l, p, s) of the patient to the file's (i, j, k)."""
        places = zip(self.order, self.signs, strict=True)
        return tuple(lps[old] if sign > 0 else self.size[old] - 1 - lps[old] for old, sign in places)

    @property
    def _flips(self):
        return tuple(slice(None, None, sign) for sign in self.signs)
