# mypy: allow-untyped-calls
"""NRRD (.nrrd) and MetaImage (.mha, .mhd), with SimpleITK.

ITK's world is LPS, as is medsam2's.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK
from numpy.typing import NDArray

from medsam2.errors import FormatError, GeometryError
from medsam2.io.atomic import written_whole
from medsam2.io.libraries import format_errors
from medsam2.io.selection import chosen_volume
from medsam2.spatial import FloatArray, Geometry, SourceFile, Volume

FORMAT_NAME = "itk"

SHEAR_TOLERANCE = 1e-4
"""Cosine between two voxel axes up to which they are taken for orthogonal: a header rounded to four decimals, and
less than a tenth of a voxel over 500 voxels. What is written is the axes as they are."""

NRRD_SPACE_FIELDS = (b"space", b"space directions", b"space origin")
NRRD_HEADER_END = b"\n\n"


@dataclass(frozen=True)
class ItkGrid:
    """A grid in ITK's terms, with 2 or 3 axes.

    Attributes:
        size: Voxels along each axis.
        spacing: Spacing along each axis, mm.
        origin: LPS position of the first voxel, mm.
        direction: Unit vectors of the axes, as the columns of a row-major matrix.
        nrrd_space: The lines of an NRRD file's header that say the same, by field.
    """

    size: tuple[int, ...]
    spacing: tuple[float, ...]
    origin: tuple[float, ...]
    direction: tuple[float, ...]
    nrrd_space: dict[bytes, bytes] = field(default_factory=dict)

    @property
    def geometry(self) -> Geometry:
        """The grid as a `Geometry`: a 2-D image is one axial slice at 0 mm."""
        axes = len(self.size)
        affine = np.eye(4)
        affine[:axes, :axes] = np.reshape(self.direction, (axes, axes)) * self.spacing
        affine[:axes, 3] = self.origin
        width, height, depth = (*self.size, 1)[:3]
        return Geometry((depth, height, width), affine)


def read(path: Path, volume_index: int | None, with_colours: bool = True) -> Volume:
    """Read one volume.

    Args:
        path: The file.
        volume_index: Which volume of a 4-D file or which channel, from 0.
        with_colours: Whether 3 or 4 channels of 8 bits are colours, as they are but for layers of a segmentation.

    Raises:
        FormatError: The file is damaged, has no single volume, or holds complex numbers.
        GeometryError: The affine is singular.
        InputError: There is no volume of that index.
    """
    with quiet(), format_errors(path, "read", RuntimeError, ValueError):
        image = SimpleITK.ReadImage(name_of(path), imageIO="NrrdImageIO" if _is_nrrd(path) else "MetaImageIO")
        grid = _grid_of_image(image, _nrrd_space(path) if _is_nrrd(path) else {})
        array = SimpleITK.GetArrayFromImage(image)
    if array.dtype.kind == "c":
        raise FormatError(f"{path} holds complex numbers; expected real ones. Save the magnitude first.")
    channels = image.GetNumberOfComponentsPerPixel()
    are_colours = with_colours and channels in (3, 4) and array.dtype == np.uint8
    array = (_one_picture if are_colours else _one_volume)(path, array, channels, volume_index)
    return Volume(array, grid.geometry, SourceFile(path, FORMAT_NAME, grid))


def write(array: NDArray[Any], geometry: Geometry, header: object, path: Path) -> None:
    """Write a volume or label map, compressed.

    Args:
        array: (D, H, W), or (D, H, W, 3) uint8 for RGB.
        geometry: Its grid.
        header: The source scan's `ItkGrid`, reused if it describes this very grid; anything else is ignored.
        path: The file.

    Raises:
        FormatError: The file cannot be written.
        GeometryError: The grid is sheared, which these formats cannot say.
    """
    grid = header if isinstance(header, ItkGrid) and _describes(header, geometry) else _grid_of_geometry(geometry)
    image = _image(array, grid)
    with written_whole(path) as draft, quiet(), format_errors(path, "written", RuntimeError):
        SimpleITK.WriteImage(image, name_of(draft), useCompression=True)
        if _is_nrrd(path) and grid.nrrd_space:
            _restore_space(draft, grid.nrrd_space)


def name_of(path: Path) -> str:
    """Give a file's name to ITK, which would end the process at one that is no UTF-8.

    Raises:
        FormatError: It is none.
    """
    name = str(path)
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise FormatError(
            f"{path.name}: the name or its folder is not UTF-8; expected that for ITK, rename it."
        ) from error
    return name


def _is_nrrd(path: Path) -> bool:
    return path.suffix.lower() == ".nrrd"


@contextmanager
def quiet() -> Iterator[None]:
    """Keep ITK's warnings off the user's screen; its errors arrive as exceptions."""
    before = SimpleITK.ProcessObject.GetGlobalWarningDisplay()
    SimpleITK.ProcessObject.SetGlobalWarningDisplay(False)
    try:
        yield
    finally:
        SimpleITK.ProcessObject.SetGlobalWarningDisplay(before)


def _one_volume(path: Path, array: NDArray[Any], channels: int, volume_index: int | None) -> NDArray[Any]:
    """Turn ([t,] [k,] j, i[, channels]) into (k, j, i)."""
    array = _with_all_axes(path, array, channels)
    time, channel = divmod(chosen_volume(path, len(array) * channels, volume_index), channels)
    return np.ascontiguousarray(array[time, ..., channel])


def _one_picture(path: Path, array: NDArray[Any], channels: int, volume_index: int | None) -> NDArray[Any]:
    """Turn ([t,] [k,] j, i, channels) into (k, j, i, 3): of RGBA, the opacity is no part of the picture."""
    array = _with_all_axes(path, array, channels)
    return array[chosen_volume(path, len(array), volume_index), ..., :3]


def _with_all_axes(path: Path, array: NDArray[Any], channels: int) -> NDArray[Any]:
    """Turn ([t,] [k,] j, i[, channels]) into (t, k, j, i, channels)."""
    array = array[..., None] if channels == 1 else array
    if array.ndim > 5:
        raise FormatError(f"{path} is {array.ndim - 1}-D; expected a 2-D, 3-D or 4-D file.")
    return array.reshape((1,) * (5 - array.ndim) + array.shape)


def _image(array: NDArray[Any], grid: ItkGrid) -> SimpleITK.Image:
    values = array.astype(np.float32) if array.dtype == np.float16 else array
    image = SimpleITK.GetImageFromArray(values[0] if len(grid.size) == 2 else values, isVector=array.ndim == 4)
    image.SetSpacing(grid.spacing)
    image.SetOrigin(grid.origin)
    image.SetDirection(grid.direction)
    return image


def _grid_of_image(image: SimpleITK.Image, nrrd_space: dict[bytes, bytes]) -> ItkGrid:
    """Give the spatial part of an image's grid; its fourth axis, if any, is time."""
    axes = min(image.GetDimension(), 3)
    direction = np.reshape(image.GetDirection(), (image.GetDimension(), -1))[:axes, :axes]
    return ItkGrid(
        size=image.GetSize()[:axes],
        spacing=image.GetSpacing()[:axes],
        origin=image.GetOrigin()[:axes],
        direction=tuple(direction.ravel().tolist()),
        nrrd_space=nrrd_space if image.GetDimension() == 3 else {},
    )


def _grid_of_geometry(geometry: Geometry) -> ItkGrid:
    axes: FloatArray = geometry.affine[:3, :3] / geometry.spacing_mm
    if not np.allclose(axes.T @ axes, np.eye(3), atol=SHEAR_TOLERANCE):
        raise GeometryError(
            f"the grid of {geometry.describe()} is sheared (its axes are not at right angles), "
            "which NRRD and MetaImage cannot say. Write NIfTI (.nii.gz) instead."
        )
    i, j, k = geometry.affine[:3, 3].tolist()
    return ItkGrid(geometry.size_ijk, geometry.spacing_mm, (i, j, k), tuple(axes.ravel().tolist()))


def _describes(grid: ItkGrid, geometry: Geometry) -> bool:
    own = grid.geometry
    return own.shape == geometry.shape and np.array_equal(own.affine, geometry.affine)


def _nrrd_space(path: Path) -> dict[bytes, bytes]:
    """Read the lines of an NRRD file's header that place its grid, by field."""
    with path.open("rb") as file:
        lines = list(takewhile(bool, map(bytes.rstrip, file)))
    fields = {line.partition(b":")[0]: line for line in lines}
    # An axis of colours has no direction ("none"), and a label map has no such axis.
    return {name: fields[name].replace(b" none", b"") for name in NRRD_SPACE_FIELDS if name in fields}


def _restore_space(path: Path, space: dict[bytes, bytes]) -> None:
    """Put the source's own lines back into an NRRD header.

    ITK keeps spacing and unit vectors, NRRD their product: of oblique axes, the last bit can change on the way.
    """
    head, end, data = path.read_bytes().partition(NRRD_HEADER_END)
    lines = [space.get(line.partition(b":")[0], line) for line in head.splitlines()]
    path.write_bytes(b"\n".join(lines) + end + data)
