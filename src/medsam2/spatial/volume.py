"""A scan: its voxels, its grid and the file it came from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medsam2.errors import ShapeError
from medsam2.spatial.geometry import Geometry

RGB_CHANNELS = 3


@dataclass(frozen=True)
class SourceFile:
    """The file a volume came from, so that a result can be written with the very same geometry.

    Attributes:
        path: The file as the user named it.
        format: "nifti", "itk", "image" or "dicom".
        header: What that format needs to write the same geometry again; only that format reads it.
        notes: What was assumed or left out on reading, one sentence each, for the user to see.
    """

    path: Path
    format: str
    header: object = None
    notes: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """What reports call it: the file's name, but for DICOM, whose folders and zips are often named after a patient.

        Example:
            >>> SourceFile(Path("scans/liver.nii.gz"), "nifti").name
            'liver.nii.gz'
        """
        return "DICOM series" if self.format == "dicom" else self.path.name


@dataclass(frozen=True, eq=False)
class Volume:
    """Voxels on a grid.

    Attributes:
        array: (D, H, W), integers or floats, or (D, H, W, 3) uint8 for RGB.
        geometry: The grid; its shape is that of the array.
        source: Where the volume came from, None if it was made in memory.

    Raises:
        ShapeError: The array does not fit the grid, or is neither a scan nor RGB.

    Example:
        >>> volume = Volume(np.zeros((4, 5, 6), np.int16), Geometry((4, 5, 6), np.eye(4)))
        >>> volume.is_rgb
        False
    """

    array: NDArray[Any]
    geometry: Geometry
    source: SourceFile | None = None

    def __post_init__(self) -> None:
        if self.array.dtype.kind not in "uif":
            raise ShapeError(f"the volume holds {self.array.dtype} values; expected integers or floats.")
        if self.array.shape[:3] != self.geometry.shape or self.array.ndim not in (3, 4):
            raise ShapeError(
                f"the volume has shape {self.array.shape}, its geometry {self.geometry.shape}; "
                "expected the same (D, H, W), or (D, H, W, 3) for RGB."
            )
        if self.array.ndim == 4 and (self.array.shape[3] != RGB_CHANNELS or self.array.dtype != np.uint8):
            raise ShapeError(
                f"the volume has {self.array.shape[3]} channels of {self.array.dtype}; "
                "expected one channel, or RGB as 3 channels of uint8."
            )

    @property
    def is_rgb(self) -> bool:
        """Whether each voxel is a colour."""
        return self.array.ndim == 4
