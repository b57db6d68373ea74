"""DICOM Segmentation objects (BINARY), with highdicom.

Each frame lies exactly on an image of the series and refers to it, whatever the series' orientation, and also if its
slices are tilted or unevenly spaced; slices without the object have no frame. Objects are coded by their names, see
`segment_codes`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from medsam2.errors import FormatError
from medsam2.io.atomic import written_whole
from medsam2.io.dicom_sources import CHARACTER_SET, SliceSource, completed, quiet, read_sources, series_of
from medsam2.io.libraries import extra_needed, format_errors
from medsam2.io.segment_codes import SCHEME, Concept
from medsam2.io.segments import Algorithm, Segment, cut, segments_of
from medsam2.spatial import Segmentation

if TYPE_CHECKING:
    from highdicom.seg import Segmentation as SegmentationObject
    from highdicom.seg import SegmentDescription
    from pydicom import Dataset

NAME = "DICOM SEG"
LONGEST_NAME = 64
"""Characters of a value of type LO (PS3.5, 6.2)."""

SERIES_NUMBER_OFFSET = 1000
"""The result's series number is its source's, plus this."""

_LIBRARY_ERRORS = (ValueError, TypeError, AttributeError, KeyError, IndexError)


def write(segmentation: Segmentation, path: Path, algorithm: Algorithm) -> tuple[str, ...]:
    """Write each object as a segment.

    Args:
        segmentation: The label map of a DICOM series, with at least one object, which may have no voxel.
        path: The file.
        algorithm: What made it.

    Returns:
        What could not be kept, for the user.

    Raises:
        FormatError: The scan is not DICOM, has changed or is not one that DICOM SEG can refer to; there is no object;
            or the file cannot be written.
        MissingDependencyError: highdicom is not installed.
    """
    series = series_of(segmentation, path, NAME)
    segments = segments_of(segmentation)
    if not segments:
        raise FormatError(f"{path} cannot be written: there is no object, and DICOM SEG holds at least one.")
    sources = read_sources(series, segmentation.geometry, path)
    with extra_needed("dicom", "writing DICOM SEG"):
        import highdicom  # noqa: F401
    with written_whole(path) as draft, quiet():
        with _library_errors(path):
            dataset = _dataset(segmentation, segments, sources, algorithm)
        with format_errors(path, "written"):
            dataset.save_as(draft)
    return tuple(remark for segment in segments for remark in cut(segment.name, LONGEST_NAME)[1])


@contextmanager
def _library_errors(path: Path) -> Iterator[None]:
    """Turn highdicom's errors into one line that does not quote values of the header."""
    try:
        yield
    except _LIBRARY_ERRORS as error:
        missing = f"no {error.name}" if isinstance(error, AttributeError) and error.name else type(error).__name__
        raise FormatError(
            f"{path} cannot be written: DICOM SEG cannot refer to images like those of the series ({missing}); "
            "write .nii.gz or .seg.nrrd instead."
        ) from error


def _dataset(
    segmentation: Segmentation, segments: Sequence[Segment], sources: Sequence[SliceSource], algorithm: Algorithm
) -> SegmentationObject:
    from highdicom import UID
    from highdicom.seg import Segmentation as SegmentationObject

    images, frames = _images_and_frames(_segment_numbers(segmentation, segments), sources)
    first = images[0]
    dataset = SegmentationObject(
        source_images=images,
        pixel_array=frames,
        segmentation_type="BINARY",
        segment_descriptions=[_description(segment, algorithm) for segment in segments],
        series_instance_uid=UID(),
        series_number=int(first.get("SeriesNumber") or 0) + SERIES_NUMBER_OFFSET,
        sop_instance_uid=UID(),
        instance_number=1,
        manufacturer=algorithm.name,
        manufacturer_model_name=cut(algorithm.model, LONGEST_NAME)[0] or algorithm.name,
        software_versions=algorithm.version,
        device_serial_number=algorithm.version,
        content_label="SEGMENTATION",
        content_description=f"Segmentation by {algorithm.name}",
        series_description=f"Segmentation ({algorithm.name})",
        specific_character_set=CHARACTER_SET,
    )
    dataset.ContentCreatorName = ""  # must be there, and nobody's name is right
    if sources[0].axes is None:
        dataset.PatientOrientation = first.get("PatientOrientation", "")
    return dataset


def _segment_numbers(segmentation: Segmentation, segments: Sequence[Segment]) -> NDArray[np.uint16]:
    """Give the label map with the segments' numbers, which have no gaps, in place of the labels."""
    numbers = np.zeros(segments[-1].label + 1, np.uint16)
    for segment in segments:
        numbers[segment.label] = segment.number
    return numbers[segmentation.labels]


def _images_and_frames(
    numbers: NDArray[np.uint16], sources: Sequence[SliceSource]
) -> tuple[list[Dataset], NDArray[np.uint16]]:
    """Match slices and images: single-frame images one by one, a multi-frame image in the order of its frames."""
    header = sources[0].header
    if sources[0].frame is None:
        images = [source.header for source in sources]
        frames = numbers
    else:
        if any(source.header is not header for source in sources):
            raise ValueError("the frames are of several multi-frame images")
        images = [header]
        frames = np.zeros((int(header.NumberOfFrames), *numbers.shape[1:]), np.uint16)
        frames[[source.frame - 1 for source in sources if source.frame]] = numbers
    return [completed(image) for image in images], frames


def _description(segment: Segment, algorithm: Algorithm) -> SegmentDescription:
    from highdicom import AlgorithmIdentificationSequence
    from highdicom.color import CIELabColor
    from highdicom.seg import SegmentDescription
    from pydicom.sr.codedict import codes

    code = segment.code
    description = SegmentDescription(
        segment_number=segment.number,
        segment_label=cut(segment.name, LONGEST_NAME)[0],
        segmented_property_category=_coded(code.category),
        segmented_property_type=_coded(code.kind),
        algorithm_type=algorithm.kind,
        algorithm_identification=AlgorithmIdentificationSequence(
            name=algorithm.name,
            family=codes.cid7162.ArtificialIntelligence,
            version=algorithm.version,
            parameters={"model": algorithm.model} if algorithm.model else None,
        ),
        anatomic_regions=[_coded(code.region)] if code.region else None,
        display_color=CIELabColor.from_rgb(*segment.colour),
    )
    if code.side is not None:
        description.SegmentedPropertyTypeCodeSequence[0].SegmentedPropertyTypeModifierCodeSequence = [_coded(code.side)]
    return description


def _coded(concept: Concept) -> Any:
    from highdicom.sr import CodedConcept

    return CodedConcept(concept.value, SCHEME, concept.meaning)
