"""Reading and writing volumes and label maps: the format is picked by suffix and content.

Formats know `Volume`, never the reverse. To add one, write a module with `FORMAT_NAME`, `read` and `write` like its
neighbours, and give its suffixes and signature to `kinds.py` and its functions to `_FORMATS`. DICOM is read by
`dicom.py`, which is imported when it is needed: its packages are an extra.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from medsam2.errors import FormatError, GeometryError, InputError, ShapeError
from medsam2.io import images, itk, nifti, seg_nrrd
from medsam2.io.annotation import AnnotationFile
from medsam2.io.atomic import trial_of
from medsam2.io.dicom_series import DicomSeries, SeriesSummary
from medsam2.io.kinds import FileKind, kind_of_file, kind_of_name
from medsam2.io.label_formats import WRITERS, LabelFormat, label_format
from medsam2.io.libraries import extra_needed
from medsam2.io.segments import Algorithm
from medsam2.spatial import Geometry, LabelArray, Segmentation, SourceFile, Volume, label_dtype
from medsam2.spatial.segmentation import MAXIMUM_LABEL

if TYPE_CHECKING:
    from medsam2.io.dicomweb import Pacs


@dataclass(frozen=True)
class Format:
    """The functions of a format module.

    Attributes:
        name: Its `SourceFile.format`.
        read: Reads a volume from a path, given the volume index.
        read_labels: The same for label maps.
        write: Writes an array, its geometry and the source's header to a path.
    """

    name: str
    read: Callable[[Path, int | None], Volume]
    read_labels: Callable[[Path, int | None], Volume]
    write: Callable[[NDArray[Any], Geometry, object, Path], None]


_NIFTI = Format(nifti.FORMAT_NAME, nifti.read, nifti.read, nifti.write)
_ITK = Format(itk.FORMAT_NAME, itk.read, itk.read, itk.write)
_NRRD = Format(itk.FORMAT_NAME, itk.read, seg_nrrd.read_labels, itk.write)
_IMAGE = Format(images.FORMAT_NAME, images.read, images.read_labels, images.write)

_FORMATS = {
    FileKind.NIFTI: _NIFTI,
    FileKind.NIFTI_GZ: _NIFTI,
    FileKind.NRRD: _NRRD,
    FileKind.METAIMAGE: _ITK,
    FileKind.PNG: _IMAGE,
    FileKind.JPEG: _IMAGE,
    FileKind.TIFF: _IMAGE,
}


def read_volume(path: str | os.PathLike[str], volume_index: int | None = None, series: str | None = None) -> Volume:
    """Read a scan or picture: NIfTI, NRRD, MetaImage, PNG, JPEG, TIFF or DICOM.

    Args:
        path: The file; of DICOM, also a folder or a zip.
        volume_index: Which volume of a 4-D file or DICOM series, from 0; one volume needs none.
        series: Which DICOM series, by its number, its UID, or the beginning of that; see `list_series`.

    Returns:
        The voxels as stored, with the scale of the header applied, NaN and infinity included. What was assumed or left
        out is in the `notes` of its source.

    Raises:
        FormatError: The file cannot be read as what its suffix says, or holds several volumes and none was chosen.
        GeometryError: The affine is singular or not finite.
        InputError: There is no volume of that index, or no such series.
        MissingDependencyError: The packages that read DICOM are not installed.
    """
    file = Path(path)
    kind = kind_of_file(file)
    if kind is FileKind.DICOM:
        return _dicom().read(file, volume_index, series)
    if series is not None:
        raise InputError(f'{file} is no DICOM and has no series "{series}"; leave --series out.')
    return _read(_FORMATS[kind].read, file, volume_index)


def read_annotations(path: str | os.PathLike[str], volume: Volume) -> AnnotationFile:
    """Read what was drawn on a DICOM series: a DICOM SEG, an RTSTRUCT, a presentation state or a structured report.

    Args:
        path: The file.
        volume: The scan that it was drawn on.

    Raises:
        FormatError: It is damaged, of another kind, of another series, or draws nothing that can be used.
        GeometryError: What is drawn does not fit the scan.
        MissingDependencyError: The packages that read DICOM are not installed.
    """
    with extra_needed("dicom", "reading DICOM"):
        from medsam2.io import annotation_files
    return annotation_files.read(Path(path), volume)


def open_pacs(url: str, timeout_seconds: float = 60.0) -> Pacs:
    """Speak to a PACS over DICOMweb; credentials come from the environment (docs/pacs.md).

    Args:
        url: Of the service, e.g. https://pacs.example/dicom-web.
        timeout_seconds: How long it may be silent.

    Raises:
        ConfigurationError: The URL is none or holds a password, or the credentials contradict each other.
        MissingDependencyError: The packages that speak DICOMweb are not installed.
    """
    with extra_needed("pacs", "speaking to a PACS"):
        from medsam2.io import dicomweb
    return dicomweb.Pacs(url, timeout_seconds)


def list_series(path: str | os.PathLike[str]) -> tuple[SeriesSummary, ...]:
    """List the DICOM series of a folder, a zip or a file, by number; `read_volume` reads one of them.

    Raises:
        FormatError: It is no DICOM, a file is damaged, or there is no scan.
        MissingDependencyError: The packages that read DICOM are not installed.
    """
    file = Path(path)
    if kind_of_file(file) is not FileKind.DICOM:
        raise FormatError(f"{file} is no DICOM; expected a folder, a zip or a file of that.")
    return _dicom().list_series(file)


def read_label_map(path: str | os.PathLike[str], volume_index: int | None = None) -> Segmentation:
    """Read a label map, in any format of `read_volume`, stored in any type.

    Args:
        path: The file. The palette of a picture is ignored: its indices are the labels.
        volume_index: Which volume of a 4-D file, or layer of 3D Slicer's segmentation, from 0.

    Returns:
        The labels in the smallest type that holds them; of 3D Slicer's segmentations, with the names of segments.

    Raises:
        FormatError: The file cannot be read, or holds something other than whole numbers in 0..65535.
        GeometryError: The affine is singular or not finite.
        InputError: There is no volume of that index.
    """
    file = Path(path)
    kind = kind_of_file(file)
    read = _dicom().read if kind is FileKind.DICOM else _FORMATS[kind].read_labels
    volume = _read(read, file, volume_index)
    if volume.is_rgb:
        raise FormatError(f"{file} is a colour picture; expected a label map, one whole number a voxel.")
    names = seg_nrrd.segment_names(file, volume_index or 0) if kind is FileKind.NRRD else {}
    return Segmentation(_whole_numbers(file, volume.array), volume.geometry, names, volume.source)


def write_segmentation(
    segmentation: Segmentation,
    path: str | os.PathLike[str],
    as_format: LabelFormat | None = None,
    algorithm: Algorithm | None = None,
) -> tuple[str, ...]:
    """Write a label map with exactly the geometry of its source, whole or not at all.

    Parent folders are made. DICOM SEG, RTSTRUCT, .seg.nrrd and COCO hold the objects' names; of any other format, the
    names go to the report.

    Args:
        segmentation: The labels; if their source is of the format to write, its header is kept.
        path: The file; its suffix picks the format.
        as_format: A format that holds names; None: what the suffix says.
        algorithm: What made the labels, for formats that say it.

    Returns:
        What the format could not keep, to tell the user: usually nothing.

    Raises:
        ConfigurationError: The format asked for is not one of files of that suffix.
        FormatError: The suffix is unknown, the format cannot hold the labels, the path is the source file itself, or
            the file cannot be written.
        GeometryError: The format cannot hold the geometry.
        MissingDependencyError: The packages that write DICOM are not installed.
    """
    file = Path(path)
    named = label_format(file, as_format)
    if named is None:
        _write(segmentation.labels, segmentation.geometry, segmentation.source, file)
        return ()
    _refuse_source(segmentation.source, file)
    return WRITERS[named](segmentation, file, algorithm or Algorithm())


def check_output(volume: Volume, path: str | os.PathLike[str], as_format: LabelFormat | None = None) -> None:
    """Refuse an output that could not be written, before hours of work are spent on it.

    A label map of one voxel is written near the output and removed: the only sure test.

    Args:
        volume: The scan to be segmented.
        path: Where its label map is to go.
        as_format: As for `write_segmentation`.

    Raises:
        ConfigurationError: As for `write_segmentation`.
        FormatError: As for `write_segmentation`.
        GeometryError: The format cannot hold the geometry.
        MissingDependencyError: As for `write_segmentation`.
    """
    file = Path(path)
    labels = np.zeros(volume.geometry.shape, np.uint8)
    labels[0, 0, 0] = 1
    label_format(file, as_format)
    _refuse_source(volume.source, file)
    with trial_of(file) as trial:
        try:
            write_segmentation(Segmentation(labels, volume.geometry, source=volume.source), trial, as_format)
        except (FormatError, GeometryError) as error:
            raise type(error)(str(error).replace(str(trial), str(file))) from error


def write_volume(volume: Volume, path: str | os.PathLike[str]) -> None:
    """Write a scan or picture, as `write_segmentation` writes labels.

    Raises:
        FormatError: As for `write_segmentation`.
        GeometryError: The format cannot hold the geometry.
    """
    _write(volume.array, volume.geometry, volume.source, Path(path))


def _dicom() -> ModuleType:
    with extra_needed("dicom", "reading DICOM"):
        from medsam2.io import dicom
    return dicom


def _read(read: Callable[[Path, int | None], Volume], path: Path, volume_index: int | None) -> Volume:
    try:
        return read(path, volume_index)
    except (GeometryError, ShapeError) as error:
        raise type(error)(f"{path}: {error}") from error


def _write(array: NDArray[Any], geometry: Geometry, source: SourceFile | None, path: Path) -> None:
    kind = kind_of_name(path)
    if kind is FileKind.DICOM:
        raise FormatError(f"{path} is named as DICOM, which is not written here; write .nii.gz, .nrrd or .mha instead.")
    chosen = _FORMATS[kind]
    _refuse_source(source, path)
    header = source.header if source is not None and source.format == chosen.name else None
    chosen.write(array, geometry, header, path)


def _refuse_source(source: SourceFile | None, path: Path) -> None:
    if source is None or not path.exists():
        return
    read = source.header.files if isinstance(source.header, DicomSeries) else ()
    if any(file.exists() and path.samefile(file) for file in (source.path, *read)):
        raise FormatError(f"{path} is the input itself; choose another output.")


def _whole_numbers(path: Path, array: NDArray[Any]) -> LabelArray:
    """Give labels that may be stored as floats or wide integers their own type."""
    # The comparisons are false for NaN.
    if not (array.min() >= 0 and array.max() <= MAXIMUM_LABEL):
        raise FormatError(
            f"{path} holds values from {array.min()} to {array.max()}; expected labels, 0..{MAXIMUM_LABEL}."
        )
    dtype = label_dtype(int(array.max()))
    labels: LabelArray = array.astype(np.uint8) if dtype is np.uint8 else array.astype(np.uint16)
    if not np.array_equal(labels, array):
        raise FormatError(f"{path} holds fractions; expected labels, whole numbers in 0..{MAXIMUM_LABEL}.")
    return labels
