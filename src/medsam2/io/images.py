"""PNG, JPEG and TIFF, single pictures and TIFF stacks, with Pillow and tifffile.

Pictures have no place in a patient: their grid is the identity, a voxel a millimetre. Resolution tags are ignored,
and so is the EXIF orientation of a JPEG: a mask must match the pixels as they are stored.
"""

from __future__ import annotations

import logging
import struct
import warnings
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image
from PIL.TiffImagePlugin import BITSPERSAMPLE, PHOTOMETRIC_INTERPRETATION, TiffImageFile

from medsam2.errors import FormatError
from medsam2.io.atomic import written_whole
from medsam2.io.libraries import format_errors, silenced
from medsam2.io.selection import chosen_volume
from medsam2.spatial import Geometry, SourceFile, Volume

FORMAT_NAME = "image"
TIFF_SUFFIXES = (".tif", ".tiff")
LOSSY_SUFFIXES = (".jpg", ".jpeg")

WHITE_IS_ZERO = 0
"""Of TIFF's PhotometricInterpretation (TIFF 6.0, section 8)."""

PNG_BIT_DEPTH = 24
"""Place of the byte in the file."""

_LIBRARY_ERRORS = (
    SyntaxError,  # Pillow, for a broken PNG
    EOFError,
    ValueError,  # tifffile.TiffFileError is one
    TypeError,
    LookupError,
    RuntimeError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)


def read(path: Path, volume_index: int | None) -> Volume:
    """Read a picture as one slice, or a TIFF stack as one slice a page.

    Greys keep 8 or 16 bits; 1 bit becomes 0 and 255; a palette becomes RGB; the alpha channel is dropped; 16-bit
    colours keep their upper 8 bits. Whole numbers of a TIFF whose 0 is white are turned round, as they are shown.

    Args:
        path: The file.
        volume_index: None or 0: a picture is one volume.

    Raises:
        FormatError: The file is damaged, or its pages are no stack.
        InputError: The volume index is not 0.
    """
    return _read(path, volume_index, as_labels=False)


def read_labels(path: Path, volume_index: int | None) -> Volume:
    """Read a picture whose numbers are labels, as they are stored: the indices of a palette, 0..15 of 4 bits.

    Colours and greys with alpha are read as by `read`.

    Raises:
        FormatError: The file is damaged, or its pages are no stack.
        InputError: The volume index is not 0.
    """
    return _read(path, volume_index, as_labels=True)


def page_count(path: Path) -> int:
    """Count the pages of a TIFF, of whatever sizes; any other picture has one.

    Raises:
        FormatError: The file is damaged.
    """
    if path.suffix.lower() not in TIFF_SUFFIXES:
        return 1
    with _quiet(), format_errors(path, "read", *_LIBRARY_ERRORS), tifffile.TiffFile(path) as tiff:
        return max(len(tiff.pages), 1)


def read_page(path: Path, page: int) -> Volume:
    """Read one page of a TIFF as a picture of its own: pages may differ in size and type.

    Args:
        path: The file.
        page: Its number, from 0.

    Raises:
        FormatError: The page is damaged, or there is none of that number.
    """
    with _quiet(), format_errors(path, "read", *_LIBRARY_ERRORS), tifffile.TiffFile(path) as tiff:
        count = len(tiff.pages)
        if not 0 <= page < count:
            raise FormatError(f"{path} has no page {page}; expected 0..{count - 1}.")
        array = _tiff_page_pixels(path, tiff, page)
    return Volume(array, Geometry(array.shape[:3], np.eye(4)), SourceFile(path, FORMAT_NAME))


def write(array: NDArray[Any], geometry: Geometry, header: object, path: Path) -> None:
    """Write one slice as PNG, or any number as TIFF, without loss.

    Args:
        array: (D, H, W), or (D, H, W, 3) uint8 for RGB; PNG takes D = 1 and uint8 or uint16.
        geometry: Its grid, which must be that of a picture.
        header: Ignored: a picture has none.
        path: The file.

    Raises:
        FormatError: The format cannot hold the grid or the values, or the file cannot be written.
    """
    _check_fits(array, geometry, path)
    picture = array[0] if len(array) == 1 else array
    with (
        written_whole(path) as draft,
        _quiet(),
        format_errors(path, "written", *_LIBRARY_ERRORS),
    ):
        if path.suffix.lower() in TIFF_SUFFIXES:
            photometric = "rgb" if array.ndim == 4 else "minisblack"
            tifffile.imwrite(draft, picture, photometric=photometric, compression="zlib", metadata=None)
        else:
            Image.fromarray(picture).save(draft)


def _read(path: Path, volume_index: int | None, as_labels: bool) -> Volume:
    chosen_volume(path, 1, volume_index)
    pixels = _tiff_pixels if path.suffix.lower() in TIFF_SUFFIXES else _picture_pixels
    with _quiet(), format_errors(path, "read", *_LIBRARY_ERRORS):
        array = pixels(path, as_labels)
    return Volume(array, Geometry(array.shape[:3], np.eye(4)), SourceFile(path, FORMAT_NAME))


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the libraries' remarks on odd files off the user's screen.

    One is of use to servers only: a scan of a slide is large and no attack. Beyond twice its limit Pillow raises.
    """
    with silenced(logging.getLogger("tifffile")), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _check_fits(array: NDArray[Any], geometry: Geometry, path: Path) -> None:
    suffix = path.suffix.lower()
    if suffix in LOSSY_SUFFIXES:
        raise FormatError(f"{path}: JPEG loses values; write .png or .tif instead.")
    if not np.array_equal(geometry.affine, np.eye(4)):
        raise FormatError(
            f"{path}: a picture cannot hold the spacing and orientation of {geometry.describe()}; "
            "write .nii.gz, .nrrd or .mha instead."
        )
    if suffix in TIFF_SUFFIXES:
        return
    if len(array) > 1:
        raise FormatError(f"{path}: PNG holds one slice, the volume has {len(array)}; write .tif instead.")
    if array.dtype not in (np.uint8, np.uint16):
        raise FormatError(f"{path}: PNG holds uint8 or uint16, the volume is {array.dtype}; write .tif instead.")


def _picture_pixels(path: Path, as_labels: bool) -> NDArray[Any]:
    """Read a PNG or JPEG: (1, H, W[, 3])."""
    with Image.open(path) as image:
        array = _pixels(image, as_labels)[None]
        return _as_stored(array, _png_bits(path)) if as_labels and (image.format, image.mode) == ("PNG", "L") else array


def _png_bits(path: Path) -> int:
    """Of a sample, from the header of a PNG (PNG, section 11.2.1), which Pillow does not tell."""
    with path.open("rb") as file:
        return file.read(PNG_BIT_DEPTH + 1)[PNG_BIT_DEPTH]


def _as_stored(greys: NDArray[np.uint8], bits: int) -> NDArray[np.uint8]:
    """Undo how Pillow spreads greys of up to 8 bits over 0..255."""
    return greys // np.uint8(255 // (2**bits - 1))


def _pixels(image: Image.Image, as_labels: bool) -> NDArray[Any]:
    """Give a Pillow image as (H, W[, 3])."""
    if as_labels and image.mode in ("1", "P"):
        return np.asarray(image).astype(np.uint8)
    if image.mode == "I" and image.format == "PNG":
        # How Pillow before 11.3 reads a PNG of 16 bits.
        return np.asarray(image).astype(np.uint16)
    if image.mode in ("L", "RGB", "F") or image.mode.startswith("I"):
        return _native(np.array(image))
    if image.mode in ("1", "LA"):
        return np.array(image.convert("L"))
    # By way of RGBA, as Pillow warns of palettes with transparency otherwise.
    return np.array(image.convert("RGBA").convert("RGB"))


def _tiff_pixels(path: Path, as_labels: bool) -> NDArray[Any]:
    """Read a TIFF: (D, H, W[, 3])."""
    with tifffile.TiffFile(path) as tiff:
        if len(tiff.series) > 1:
            raise FormatError(
                f"{path} holds {len(tiff.series)} pictures of different size or type; "
                "expected one picture or a stack of equal pages."
            )
        if not tiff.series:
            raise FormatError(f"{path} cannot be read: it has no complete page.")
        series = tiff.series[0]
        try:
            array = series.asarray()
        except (ValueError, NotImplementedError) as error:
            _check_for_pillow(error)
            return _tiff_pixels_with_pillow(path, range(len(tiff.pages)), as_labels)
        return _shown(path, array, series.axes, series.keyframe, as_labels)


def _tiff_page_pixels(path: Path, tiff: tifffile.TiffFile, number: int) -> NDArray[Any]:
    """Read one page of a TIFF: (1, H, W[, 3])."""
    page = tiff.pages[number].aspage()
    try:
        array = page.asarray()
    except (ValueError, NotImplementedError) as error:
        _check_for_pillow(error)
        return _tiff_pixels_with_pillow(path, (number,), as_labels=False)
    return _shown(path, array, page.axes, page, as_labels=False)


def _check_for_pillow(error: ValueError | NotImplementedError) -> None:
    """Pillow reads what tifffile needs another package for (LZW, JPEG, 2 and 4 bits); other errors stand."""
    if "imagecodecs" not in str(error):
        raise error


def _shown(path: Path, array: NDArray[Any], axes: str, page: tifffile.TiffPage, as_labels: bool) -> NDArray[Any]:
    """Give what tifffile read as (D, H, W[, 3]), black and white as 0 and 255, a palette as its colours."""
    array = _native(array)
    if page.photometric == WHITE_IS_ZERO and not as_labels:
        array = _turned_round(array)
    if array.dtype == np.bool_:
        array = array.astype(np.uint8) * (1 if as_labels else 255)
    if page.colormap is not None and not as_labels:
        colours = (page.colormap >> 8).astype(np.uint8).T
        return _arranged(path, colours[array], axes + "S")
    return _arranged(path, array, axes)


def _tiff_pixels_with_pillow(path: Path, pages: Iterable[int], as_labels: bool) -> NDArray[Any]:
    with Image.open(path, formats=["TIFF"]) as image:
        return np.stack([_page_with_pillow(cast(TiffImageFile, image), page, as_labels) for page in pages])


def _page_with_pillow(image: TiffImageFile, number: int, as_labels: bool) -> NDArray[Any]:
    """Give a page as (H, W[, 3]).

    Up to 8 bits, Pillow spreads greys over 0..255 and turns them round where 0 is white; beyond, it does neither.
    """
    image.seek(number)
    white_is_zero = image.tag_v2.get(PHOTOMETRIC_INTERPRETATION) == WHITE_IS_ZERO
    is_changed = image.mode in ("1", "L")
    if is_changed and as_labels:
        greys = np.asarray(image.convert("L"))
        (bits,) = image.tag_v2.get(BITSPERSAMPLE, (1,))
        return _as_stored(_turned_round(greys) if white_is_zero else greys, bits)
    array = _pixels(image, as_labels)
    return _turned_round(array) if white_is_zero and not (is_changed or as_labels) else array


def _turned_round(array: NDArray[Any]) -> NDArray[Any]:
    """Exchange black and white over the whole range of the type; of floats it is not known, so these stay."""
    return array if array.dtype.kind == "f" else np.invert(array)


def _arranged(path: Path, array: NDArray[Any], axes: str) -> NDArray[Any]:
    """Turn axes that tifffile names Y, X, S (samples) and at most one more into (D, H, W[, 3])."""
    pages = [axis for axis in axes if axis not in "YXS"]
    if len(pages) > 1:
        raise FormatError(
            f"{path} has the axes {axes} of sizes {array.shape}; expected one picture or a stack of pages."
        )
    samples = [axis for axis in axes if axis == "S"]
    array = array.transpose([axes.index(axis) for axis in (*pages, "Y", "X", *samples)])
    array = array if pages else array[None]
    if not samples:
        return array
    if array.shape[-1] < 3:
        return np.ascontiguousarray(array[..., 0])
    colours = array[..., :3]
    return (colours >> 8).astype(np.uint8) if colours.dtype == np.uint16 else colours


def _native(array: NDArray[Any]) -> NDArray[Any]:
    return array.astype(array.dtype.newbyteorder("="), copy=False)
