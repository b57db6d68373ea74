"""A label map on the grid of the scan that it segments."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from medsam2.errors import InputError, ShapeError
from medsam2.spatial.geometry import Geometry
from medsam2.spatial.volume import SourceFile

MAXIMUM_LABEL = 65535

LabelArray = NDArray[np.uint8] | NDArray[np.uint16]


@dataclass(frozen=True, eq=False)
class Segmentation:
    """Labels of a scan's voxels; it cannot exist without the scan's geometry.

    Attributes:
        labels: (D, H, W) uint8 or uint16; 0 is background.
        geometry: The grid; its shape is that of the labels.
        names: Name of each label, 1..65535; a label may go without one, and a name without a voxel. Kept as a
            read-only copy.
        source: The file whose geometry the labels share, None if there is none.

    Raises:
        ShapeError: The labels do not fit the grid, or are not uint8 or uint16.
        InputError: A name is given for something that cannot be a label.

    Example:
        >>> labels = np.zeros((2, 3, 4), np.uint8)
        >>> labels[1, 2, 3] = 5
        >>> int(Segmentation(labels, Geometry((2, 3, 4), np.eye(4)), {5: "liver"}).mask(5).sum())
        1
    """

    labels: LabelArray
    geometry: Geometry
    names: Mapping[int, str] = field(default_factory=dict)
    source: SourceFile | None = None

    def __post_init__(self) -> None:
        if self.labels.dtype not in (np.uint8, np.uint16):
            raise ShapeError(f"the labels are {self.labels.dtype}; expected uint8 or uint16.")
        if self.labels.shape != self.geometry.shape:
            raise ShapeError(
                f"the labels have shape {self.labels.shape}, their geometry {self.geometry.shape}; "
                "expected the same (D, H, W)."
            )
        for label in self.names:
            if not 1 <= label <= MAXIMUM_LABEL:
                raise InputError(
                    f"label {label} is named {self.names[label]!r}; expected labels in 1..{MAXIMUM_LABEL}."
                )
        object.__setattr__(self, "names", MappingProxyType(dict(self.names)))

    def mask(self, label: int) -> NDArray[np.bool_]:
        """Give the voxels of one label, (D, H, W)."""
        mask: NDArray[np.bool_] = self.labels == label
        return mask


def label_dtype(maximum_label: int) -> type[np.uint8] | type[np.uint16]:
    """Give the smallest type that holds the labels 0..maximum_label: uint8 up to 255, uint16 beyond.

    Raises:
        InputError: The label is negative or above 65535.
    """
    if not 0 <= maximum_label <= MAXIMUM_LABEL:
        raise InputError(f"the largest label is {maximum_label}; expected 0..{MAXIMUM_LABEL}.")
    return np.uint8 if maximum_label <= np.iinfo(np.uint8).max else np.uint16
