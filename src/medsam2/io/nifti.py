# mypy: allow-untyped-calls
"""NIfTI-1 and NIfTI-2 (.nii, .nii.gz), with nibabel.

NIfTI's world is RAS; it becomes LPS here, by sign flips, which are exact. A result for a scan that was NIfTI gets that
scan's own header, so that sform, qform, their codes and every other geometric field stay bit for bit the same.
"""

from __future__ import annotations

import zlib
from itertools import chain
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from nibabel.filebasedimages import ImageFileError
from nibabel.imageglobals import logger
from nibabel.spatialimages import HeaderDataError
from numpy.typing import NDArray

from medsam2.errors import FormatError
from medsam2.io.atomic import written_whole
from medsam2.io.libraries import format_errors, silenced
from medsam2.io.selection import chosen_volume
from medsam2.spatial import FloatArray, Geometry, SourceFile, Volume

FORMAT_NAME = "nifti"
DESCRIPTION = b"medsam2"

SPACE_UNIT_BITS = 0b111
MM_PER_UNIT = {1: 1000.0, 2: 1.0, 3: 0.001}
"""Metre, millimetre, micrometre; an unstated unit is taken for mm (NIfTI-1 standard, field xyzt_units)."""

SCANNER = 1
UNKNOWN = 0
"""Codes of sform and qform: scanner coordinates, and not set."""

LARGEST_NIFTI1_SIZE = np.iinfo(np.int16).max
SHEAR_TOLERANCE = 1e-6

COLOURS = ("R", "G", "B")
"""Fields of an RGB voxel; RGBA has a further one, which is dropped."""

_LIBRARY_ERRORS = (ImageFileError, HeaderDataError, EOFError, ValueError, TypeError, OverflowError, zlib.error)


def read(path: Path, volume_index: int | None) -> Volume:
    """Read one volume.

    The scale and offset of the header are applied and give float32; without them the stored type is kept.

    Args:
        path: The file.
        volume_index: Which volume of a 4-D file, from 0.

    Raises:
        FormatError: The file is damaged, has no single volume, or holds complex numbers.
        GeometryError: The affine is singular.
        InputError: There is no volume of that index.
    """
    # A damaged affine may hold numbers that are none, of which the geometry tells.
    with silenced(logger), np.errstate(invalid="ignore"), format_errors(path, "read", *_LIBRARY_ERRORS):
        image: Any = nibabel.load(path, mmap=False, keep_file_open=True)
        header = image.header.copy()
        array = _array(image.dataobj, _selection(path, image.shape, volume_index))
        geometry = _geometry(header)
    if array.dtype.kind == "c":
        raise FormatError(f"{path} holds complex numbers; expected real ones. Save the magnitude first.")
    return Volume(_axes_reversed(array), geometry, SourceFile(path, FORMAT_NAME, header))


def write(array: NDArray[Any], geometry: Geometry, header: object, path: Path) -> None:
    """Write a volume or label map.

    Args:
        array: (D, H, W), or (D, H, W, 3) uint8 for RGB.
        geometry: Its grid.
        header: The source scan's header, reused if it describes this very grid; anything else is ignored.
        path: The file; its suffix chooses the compression.

    Raises:
        FormatError: The file cannot be written.
    """
    values = _storable(_axes_reversed(array))
    content = _content_header(values.dtype, geometry, header)
    image_class = nibabel.Nifti2Image if isinstance(content, nibabel.Nifti2Header) else nibabel.Nifti1Image
    with written_whole(path) as draft, silenced(logger), format_errors(path, "written", *_LIBRARY_ERRORS):
        # Given no affine, nibabel leaves the header's own alone.
        image_class(values.reshape(content.get_data_shape()), None, content).to_filename(draft)


def _selection(path: Path, shape: tuple[int, ...], volume_index: int | None) -> tuple[slice | int, ...]:
    """Index of the chosen volume in an array of the file's shape; further axes of length 1 are dropped."""
    if len(shape) < 2 or min(shape) < 1:
        raise FormatError(f"{path} has the shape {shape}; expected at least two axes, each at least 1.")
    extra = shape[3:]
    counts = [n for n in extra if n > 1]
    if len(counts) > 1:
        raise FormatError(f"{path} is {len(shape)}-D with the shape {shape}; expected a 3-D or 4-D file.")
    chosen = chosen_volume(path, counts[0] if counts else 1, volume_index)
    return (slice(None),) * min(len(shape), 3) + tuple(chosen if n > 1 else 0 for n in extra)


def _array(proxy: Any, selection: tuple[slice | int, ...]) -> NDArray[Any]:
    """Load the chosen voxels: (i, j, k), or (i, j, k, 3) for RGB.

    Slice by slice: asked for all at once, a compressed file is unpacked beside the array, and scaled values come in
    float64 first.
    """
    if len(selection) == 2:
        return _values(proxy, selection)[:, :, None]
    slices = (_values(proxy, (*selection[:2], slice(k, k + 1), *selection[3:])) for k in range(proxy.shape[2]))
    first = next(slices)
    array = np.empty((*first.shape[:2], proxy.shape[2], *first.shape[3:]), first.dtype, order="F")
    for k, one in enumerate(chain((first,), slices)):
        array[:, :, k] = one[:, :, 0]
    return array


def _values(proxy: Any, selection: tuple[slice | int, ...]) -> NDArray[Any]:
    """Load voxels in a type that numpy computes with; colours become a last axis of 3."""
    array = np.asarray(proxy[selection])
    if array.dtype.names:
        return np.stack([array[name] for name in COLOURS], axis=-1)
    if (proxy.slope, proxy.inter) != (1, 0):
        return array.astype(np.float32)
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def _axes_reversed(array: NDArray[Any]) -> NDArray[Any]:
    """Turn (i, j, k[, 3]) into (k, j, i[, 3]) or back: a view."""
    return array.transpose(2, 1, 0, *range(3, array.ndim))


def _storable(array: NDArray[Any]) -> NDArray[Any]:
    """Give the values a type that NIfTI has."""
    if array.ndim == 4:
        return np.ascontiguousarray(array).view([(name, np.uint8) for name in COLOURS])[..., 0]
    return array.astype(np.float32) if array.dtype == np.float16 else array


def _geometry(header: nibabel.Nifti1Header) -> Geometry:
    i, j, k = _grid_size(header)
    ras = header.get_best_affine()
    ras[:3] *= MM_PER_UNIT.get(int(header["xyzt_units"]) & SPACE_UNIT_BITS, 1.0)
    return Geometry((k, j, i), _world_flipped(ras))


def _grid_size(header: nibabel.Nifti1Header) -> tuple[int, int, int]:
    """Voxels along (i, j, k): 1 along k in a 2-D file."""
    i, j, k = (*header.get_data_shape(), 1)[:3]
    return int(i), int(j), int(k)


def _stored_shape(header: nibabel.Nifti1Header) -> tuple[int, ...]:
    """Shape of one volume in the source's own convention: 2-D, or with further axes of length 1, if it has them."""
    shape: tuple[int, ...] = header.get_data_shape()
    return shape if np.prod(shape[3:]) == 1 else shape[:3]


def _world_flipped(affine: FloatArray) -> FloatArray:
    """Turn RAS into LPS or back."""
    return affine * [[-1.0], [-1.0], [1.0], [1.0]]


def _content_header(dtype: np.dtype[Any], geometry: Geometry, source: object) -> nibabel.Nifti1Header:
    """Make the header to write: what the source's says about space, and nothing of what it says about values."""
    if isinstance(source, nibabel.Nifti1Header) and _describes(source, geometry):
        header = source.copy()
        header.set_data_shape(_stored_shape(header))
    else:
        header = _new_header(geometry)
    header.extensions.clear()
    header.set_data_dtype(dtype)
    header.set_intent("none")
    header["cal_min"] = header["cal_max"] = 0
    header["descrip"] = DESCRIPTION
    header["aux_file"] = b""
    return header


def _describes(header: nibabel.Nifti1Header, geometry: Geometry) -> bool:
    own = _geometry(header)
    return own.shape == geometry.shape and np.array_equal(own.affine, geometry.affine)


def _new_header(geometry: Geometry) -> nibabel.Nifti1Header:
    """Header of a volume that did not come from NIfTI; NIfTI-2 where NIfTI-1 cannot count the voxels."""
    large = max(geometry.shape) > LARGEST_NIFTI1_SIZE
    header = nibabel.Nifti2Header() if large else nibabel.Nifti1Header()
    ras = _world_flipped(geometry.affine)
    axes = ras[:3, :3] / geometry.spacing_mm
    sheared = not np.allclose(axes.T @ axes, np.eye(3), atol=SHEAR_TOLERANCE)
    header.set_data_shape(geometry.size_ijk)
    header.set_sform(ras, code=SCANNER)
    # A quaternion cannot hold a shear; readers that prefer the qform must then not find one.
    header.set_qform(ras, code=UNKNOWN if sheared else SCANNER)
    header.set_xyzt_units("mm")
    return header
