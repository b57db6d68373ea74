"""The pixels of DICOM frames, decoded by pydicom, as the values that were measured.

Stored numbers become measured ones by the rescale slope and intercept, or the modality look-up table, of each frame.
Whole results stay whole numbers, signed for CT numbers. Colours become RGB.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.pixels.decoders.base import get_decoder
from pydicom.pixels.processing import apply_color_lut, apply_modality_lut
from pydicom.pixels.utils import iter_pixels
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from medsam2.errors import FormatError, MissingDependencyError
from medsam2.io.dicom_frames import DicomFrame
from medsam2.io.dicom_header import HEADER_ERRORS, header_errors, known_name

MEASURED_MODALITIES = ("CT", "MR", "PT", "NM")
"""Their values are kept even if they are shown inverted."""

WIDEST_FLOAT_BITS = 24
"""Stored whole numbers of more bits do not all fit into float32."""


@dataclass
class _Volume:
    """Values while they are collected: (n, H, W[, 3]), and where nothing was measured."""

    values: NDArray[Any]
    padded: NDArray[np.bool_] | None


def read_pixels(frames: Sequence[DicomFrame]) -> tuple[NDArray[Any], list[str]]:
    """Read the pixels of frames of one size, in their order.

    Returns:
        (n, H, W) whole numbers or float32, or (n, H, W, 3) uint8 for RGB; and what was changed.

    Raises:
        FormatError: The pixels are missing, incomplete or damaged.
        MissingDependencyError: The package that decompresses them is not installed.
    """
    volume = _empty(frames)
    if frames[0].layout.is_colour:
        for index, pixels in _decoded(frames):
            volume.values[index] = pixels
        return volume.values, []
    for index, pixels in _decoded(frames):
        volume.values[index] = _measured(pixels, frames[index].values)
        padding = frames[index].layout.padding
        if padding is not None and volume.padded is not None:
            volume.padded[index] = (pixels >= padding[0]) & (pixels <= padding[1])
    notes = _turned_bright(volume, frames[0]) + _darkened(volume)
    return _narrowed(volume.values), notes


def _empty(frames: Sequence[DicomFrame]) -> _Volume:
    layout = frames[0].layout
    shape = (len(frames), layout.rows, layout.columns)
    try:
        if layout.is_colour:
            return _Volume(np.empty((*shape, 3), np.uint8), None)
        is_padded = any(frame.layout.padding for frame in frames)
        return _Volume(np.empty(shape, _dtype(frames)), np.zeros(shape, np.bool_) if is_padded else None)
    except (MemoryError, ValueError) as error:
        size = " x ".join(map(str, reversed(shape)))
        raise FormatError(f"{frames[0].name}: a volume of {size} voxels does not fit into the memory.") from error


def _decoded(frames: Sequence[DicomFrame]) -> Iterator[tuple[int, NDArray[Any]]]:
    """Give the index and the stored pixels of each frame, file by file."""
    members: dict[Path, list[int]] = {}
    for index, frame in enumerate(frames):
        members.setdefault(frame.path, []).append(index)
    for path, indices in members.items():
        numbers = [(frames[index].number or 1) - 1 for index in indices]
        with header_errors(path):
            dataset = _dataset(path)
            with _decoder_errors(path, dataset):
                for index, pixels in zip(indices, iter_pixels(dataset, indices=numbers), strict=True):
                    yield index, _shown(pixels, dataset)


def _dataset(path: Path) -> Dataset:
    """Read a file, and make sure that its pixels can be decompressed."""
    dataset = pydicom.dcmread(path, force=True)
    if not any(name in dataset for name in ("PixelData", "FloatPixelData", "DoubleFloatPixelData")):
        raise FormatError(f"{path.name} holds no pixel data; expected a picture. It may have been sent without.")
    syntax = dataset.file_meta.get("TransferSyntaxUID")
    if syntax is None:
        syntax = dataset.file_meta.TransferSyntaxUID = _plain_syntax(dataset)
    try:
        decoder = get_decoder(syntax)
    except NotImplementedError as error:
        raise FormatError(f"{path.name} is compressed as {known_name(syntax)}, which is not supported.") from error
    if not decoder.is_available:
        raise MissingDependencyError(
            f"{path.name} is compressed as {known_name(syntax)}; to read it, install one of: "
            f'{"; ".join(decoder.missing_dependencies)}, or all with: pip install "medsam2[dicom]"'
        )
    return dataset


@contextmanager
def _decoder_errors(path: Path, dataset: Dataset) -> Iterator[None]:
    """Say in one line what is wrong with the pixels, without quoting what all the decoders said."""
    try:
        yield
    except HEADER_ERRORS as error:
        syntax = dataset.file_meta.TransferSyntaxUID
        missing = get_decoder(syntax).missing_dependencies
        if missing and "does not support" in str(error):
            raise MissingDependencyError(
                f"{path.name} is compressed as {known_name(syntax)} in a way that the installed decoders do not "
                f"support; install one of: {'; '.join(missing)}"
            ) from error
        raise FormatError(
            f"{path.name}: the pixels ({known_name(syntax)}) cannot be read; the file may be damaged or incomplete."
        ) from error


def _plain_syntax(dataset: Dataset) -> Any:
    """Give the transfer syntax of a file that lost the statement of it: it is not compressed."""
    implicit, little = dataset.original_encoding
    if implicit:
        return ImplicitVRLittleEndian
    return ExplicitVRLittleEndian if little else ExplicitVRBigEndian


def _shown(pixels: NDArray[Any], dataset: Dataset) -> NDArray[Any]:
    """Give colours as RGB of 8 bits, and everything else as stored."""
    if dataset.get("PhotometricInterpretation") == "PALETTE COLOR":
        pixels = apply_color_lut(pixels, dataset)
        bits = 8 * pixels.dtype.itemsize
    else:
        bits = int(dataset.get("BitsStored") or 8)
    if pixels.ndim == 2:
        return pixels
    colours = pixels[..., :3]
    return (colours >> (bits - 8)).astype(np.uint8) if bits > 8 else colours.astype(np.uint8)


def _measured(pixels: NDArray[Any], values: Dataset) -> NDArray[Any]:
    return np.asarray(apply_modality_lut(pixels, values)) if _rescales(values) else pixels


def _rescales(values: Dataset) -> bool:
    return "ModalityLUTSequence" in values or _linear(values) != (1.0, 0.0)


def _linear(values: Dataset) -> tuple[float, float]:
    return float(values.get("RescaleSlope", 1)), float(values.get("RescaleIntercept", 0))


def _dtype(frames: Sequence[DicomFrame]) -> np.dtype[Any]:
    """Choose a type that holds the measured values of all frames: the stored one, whole numbers, or float32."""
    ranges = [_stored_range(frame) for frame in frames]
    lines = [_linear(frame.values) for frame in frames]
    if any(frame.layout.bits > WIDEST_FLOAT_BITS for frame in frames):
        return np.dtype(np.float64)
    if any("ModalityLUTSequence" in frame.values for frame in frames) or not all(
        slope.is_integer() and intercept.is_integer() for slope, intercept in lines
    ):
        return np.dtype(np.float32)
    ends = [slope * end + intercept for (slope, intercept), span in zip(lines, ranges, strict=True) for end in span]
    rescaled = any(line != (1.0, 0.0) for line in lines)
    least, greatest = min(ends), max(ends)
    kinds = (np.int16, np.int32) if rescaled or least < 0 else (np.uint8, np.uint16, np.int32)
    fitting = (kind for kind in kinds if np.iinfo(kind).min <= least and greatest <= np.iinfo(kind).max)
    return np.dtype(next(fitting, np.float64))


def _narrowed(values: NDArray[Any]) -> NDArray[Any]:
    """Halve the memory of CT numbers whose header announces more bits than they use."""
    limits = np.iinfo(np.int16)
    fits = values.dtype == np.int32 and values.min() >= limits.min and values.max() <= limits.max
    return values.astype(np.int16) if fits else values


def _stored_range(frame: DicomFrame) -> tuple[int, int]:
    bits = frame.layout.bits
    return (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if frame.layout.signed else (0, 2**bits - 1)


def _turned_bright(volume: _Volume, frame: DicomFrame) -> list[str]:
    """Turn pictures that show little as white, so that bright is much, as everywhere else."""
    if frame.layout.photometric != "MONOCHROME1" or frame.modality in MEASURED_MODALITIES:
        return []
    values = volume.values
    volume.values = values.max() - (values - values.min())
    return ["The picture is stored inverted (MONOCHROME1); its values were turned round, so that white is high."]


def _darkened(volume: _Volume) -> list[str]:
    """Give pixels that were not measured the least measured value, unless they are darker already."""
    padded = volume.padded
    if padded is None or not padded.any() or padded.all():
        return []
    least = volume.values[~padded].min()
    if volume.values[padded].max() <= least:
        return []
    volume.values[padded] = least
    return [
        f"{100 * padded.mean():.1f} % of the voxels are padding and were given the least measured value, {least:g}."
    ]
