"""3D Slicer's segmentations (.seg.nrrd): a label map in NRRD, with the objects' names and colours in its header.

The fields are those of Slicer's "Segmentation file format" (its documentation for developers: vtkSegmentation). All
objects that are written lie in one layer, as they do not overlap. ITK-SNAP, SimpleITK and other readers of NRRD see the
label map. Slicer stores segments that overlap in several layers, each a label map of its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import SimpleITK
from numpy.typing import NDArray

from medsam2.errors import FormatError
from medsam2.io import itk
from medsam2.io.atomic import written_whole
from medsam2.io.libraries import format_errors
from medsam2.io.segment_codes import ANATOMY, SCHEME, Concept
from medsam2.io.segments import Algorithm, Segment, segments_of
from medsam2.spatial import Segmentation, Volume
from medsam2.spatial.segmentation import MAXIMUM_LABEL

NAME = "seg.nrrd"
REPRESENTATION = "Binary labelmap"
TERMINOLOGY = "Segmentation category and type - 3D Slicer General Anatomy list"
REGIONS = "Anatomic codes - DICOM master list"
"""Names of Slicer's own lists of codes, in which it looks up what it reads."""

SLICERS_ANATOMY = Concept("123037004", "Anatomical Structure")
"""The category's code in Slicer's list, which DICOM had before."""

SEGMENT_FIELD = re.compile(r"(Segment\d+)_(\w+)")

NOWHERE = "0 -1 0 -1 0 -1"
"""Extent of an object without a voxel."""


def write(segmentation: Segmentation, path: Path, algorithm: Algorithm) -> tuple[str, ...]:
    """Write a label map with the geometry of its source, and what Slicer wants to know of each object.

    Args:
        segmentation: The label map.
        path: The file.
        algorithm: Ignored: Slicer has no field for it.

    Returns:
        What could not be kept: nothing.

    Raises:
        FormatError: The file cannot be written.
        GeometryError: The grid is sheared, which NRRD cannot say.
    """
    header = segmentation.source.header if segmentation.source is not None else None
    if isinstance(header, itk.ItkGrid) and len(header.size) < 3:
        header = None  # Slicer's segmentations are volumes, those of a picture too
    with written_whole(path) as draft:
        itk.write(segmentation.labels, segmentation.geometry, header, draft)
        fields = "".join(f"\n{key}:={value}" for key, value in _fields(segmentation))
        head, end, data = draft.read_bytes().partition(itk.NRRD_HEADER_END)
        draft.write_bytes(head + fields.encode() + end + data)
    return ()


def read_labels(path: Path, volume_index: int | None) -> Volume:
    """Read a NRRD file as a label map; of a segmentation of Slicer whose segments overlap, one layer.

    Args:
        path: The file.
        volume_index: Which volume of a 4-D file, which channel, or which layer, from 0.

    Raises:
        FormatError: The file is damaged, or holds several layers or volumes and none was chosen.
        GeometryError: The affine is singular.
        InputError: There is no volume of that index.
    """
    layers = 1 + max((_layer(fields) for fields in _segments(path)), default=0)
    if layers > 1 and volume_index is None:
        raise FormatError(
            f"{path} holds overlapping segments in {layers} layers; expected one label map. Export the segments as "
            "one labelmap (in 3D Slicer), or read a layer with volume_index (in Python)."
        )
    return itk.read(path, volume_index, with_colours=layers == 1)


def segment_names(path: Path, layer: int = 0) -> dict[int, str]:
    """Read the names of the segments of a NRRD file, by label; none if it was not saved by Slicer or by `write`.

    Args:
        path: A file that can be read.
        layer: Of the segments: each layer is a label map of its own.

    Raises:
        FormatError: The file is damaged.
    """
    names: dict[int, str] = {}
    for fields in _segments(path):
        name, label = fields.get("Name", "").strip(), fields.get("LabelValue", "")
        if _layer(fields) == layer and label.isdecimal() and name and 1 <= int(label) <= MAXIMUM_LABEL:
            names[int(label)] = name
    return names


def _segments(path: Path) -> list[dict[str, str]]:
    """Read the fields of each segment."""
    reader = SimpleITK.ImageFileReader()
    reader.SetFileName(itk.name_of(path))
    with itk.quiet(), format_errors(path, "read", RuntimeError):
        reader.ReadImageInformation()
    segments: dict[str, dict[str, str]] = {}
    for key in reader.GetMetaDataKeys():
        if found := SEGMENT_FIELD.fullmatch(key):
            segments.setdefault(found[1], {})[found[2]] = reader.GetMetaData(key)
    return list(segments.values())


def _layer(fields: Mapping[str, str]) -> int:
    layer = fields.get("Layer", "0")
    return int(layer) if layer.isdecimal() else 0


def _fields(segmentation: Segmentation) -> Iterator[tuple[str, str]]:
    for place, segment in enumerate(segments_of(segmentation)):
        for key, value in _segment_fields(segment, _extent(segmentation.mask(segment.label))):
            yield f"Segment{place}_{key}", value
    yield "Segmentation_ContainedRepresentationNames", f"{REPRESENTATION}|"
    yield "Segmentation_MasterRepresentation", REPRESENTATION  # its name until Slicer 5.2
    yield "Segmentation_SourceRepresentation", REPRESENTATION
    yield "Segmentation_ReferenceImageExtentOffset", "0 0 0"


def _segment_fields(segment: Segment, extent: str) -> Iterator[tuple[str, str]]:
    yield "Color", " ".join(f"{value / 255:.6g}" for value in segment.colour)
    yield "ColorAutoGenerated", "0"
    yield "Extent", extent
    yield "ID", f"Segment_{segment.number}"
    yield "LabelValue", str(segment.label)
    yield "Layer", "0"
    # A backslash begins an escape (NRRD's definition, section 4), which not every reader undoes.
    yield "Name", segment.name.replace("\\", "/")
    yield "NameAutoGenerated", "0"
    yield "Tags", f"TerminologyEntry:{_terminology(segment)}|"


def _extent(mask: NDArray[np.bool_]) -> str:
    """Give the first and last i, j and k of a mask (D, H, W)."""
    if not mask.any():
        return NOWHERE
    found = (np.flatnonzero(mask.any(axis=others)) for others in ((0, 1), (0, 2), (1, 2)))
    return " ".join(f"{indices[0]} {indices[-1]}" for indices in found)


def _terminology(segment: Segment) -> str:
    """Give category, type and modifier, then region and its modifier, each with the list it is from."""
    code = segment.code
    category = SLICERS_ANATOMY if code.category == ANATOMY else code.category
    kinds = (category, code.kind, code.side)
    return "~".join([TERMINOLOGY, *map(_coded, kinds), REGIONS, _coded(code.region), _coded(None)])


def _coded(concept: Concept | None) -> str:
    return f"{SCHEME}^{concept.value}^{concept.meaning}" if concept else "^^"
