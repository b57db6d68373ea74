"""COCO's JSON for objects in pictures (https://cocodataset.org/#format-data), in the form that pycocotools reads.

Masks are run lengths, which are exact; COCO's polygons are not. Each object is an annotation, each name a category.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medsam2.errors import FormatError
from medsam2.io.atomic import written_whole
from medsam2.io.segments import Algorithm, Segment, segments_of
from medsam2.spatial import Segmentation

NAME = "COCO"


@dataclass(frozen=True, eq=False)
class CocoImage:
    """A picture and its objects.

    Attributes:
        file_name: The picture's file, as the JSON is to name it.
        segmentation: Its label map, of one slice.
    """

    file_name: str
    segmentation: Segmentation


def write(segmentation: Segmentation, path: Path, algorithm: Algorithm) -> tuple[str, ...]:
    """Write the objects of one picture.

    Args:
        segmentation: The label map of a picture.
        path: The file.
        algorithm: What made it.

    Returns:
        What could not be kept: nothing.

    Raises:
        FormatError: It is a volume, or the file cannot be written.
    """
    name = segmentation.source.path.name if segmentation.source is not None else path.stem
    write_coco([CocoImage(name, segmentation)], path, algorithm)
    return ()


def write_coco(images: Sequence[CocoImage], path: Path, algorithm: Algorithm | None = None) -> None:
    """Write the objects of a set of pictures.

    Args:
        images: The pictures; they are numbered from 1 in this order. Objects of the same name are of one category.
        path: The file.
        algorithm: What made the label maps.

    Raises:
        FormatError: A label map has several slices, or the file cannot be written.
    """
    content = _content(images, path, algorithm or Algorithm())
    with written_whole(path) as draft:
        draft.write_text(json.dumps(content), encoding="utf-8")


def run_lengths(mask: NDArray[np.bool_]) -> list[int]:
    """Count pixels of the same value, column by column, starting with those outside.

    Args:
        mask: (rows, columns) bool.

    Returns:
        The lengths; the first is 0 if the first pixel is inside.

    Example:
        >>> run_lengths(np.array([[False, True], [True, True]]))
        [1, 3]
    """
    pixels = mask.ravel(order="F")
    changes = np.flatnonzero(pixels[1:] != pixels[:-1]) + 1
    lengths: list[int] = np.diff(changes, prepend=0, append=pixels.size).tolist()
    return [0, *lengths] if pixels[0] else lengths


def _content(images: Sequence[CocoImage], path: Path, algorithm: Algorithm) -> dict[str, Any]:
    categories: dict[str, int] = {}
    annotations: list[dict[str, Any]] = []
    for number, image in enumerate(images, start=1):
        for mask, segment in _objects(image, path):
            category = categories.setdefault(segment.name, len(categories) + 1)
            if mask.any():
                annotations.append(_annotation(len(annotations) + 1, number, category, mask))
    return {
        "info": {"description": f"{algorithm.name} {algorithm.version} {algorithm.model}".rstrip()},
        "licenses": [],
        "images": [_image(number, image) for number, image in enumerate(images, start=1)],
        "annotations": annotations,
        "categories": [{"id": number, "name": name, "supercategory": ""} for name, number in categories.items()],
    }


def _objects(image: CocoImage, path: Path) -> Iterator[tuple[NDArray[np.bool_], Segment]]:
    """Give the mask (rows, columns) of each object; one without a pixel becomes a category without an annotation."""
    labels = image.segmentation.labels
    if len(labels) > 1:
        raise FormatError(
            f"{path} is to be COCO, which holds pictures, but {image.file_name} has {len(labels)} slices; "
            "write .nii.gz, .nrrd or .tif instead."
        )
    for segment in segments_of(image.segmentation):
        yield labels[0] == segment.label, segment


def _image(number: int, image: CocoImage) -> dict[str, Any]:
    _, height, width = image.segmentation.geometry.shape
    return {"id": number, "file_name": image.file_name, "width": width, "height": height}


def _annotation(number: int, image: int, category: int, mask: NDArray[np.bool_]) -> dict[str, Any]:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    left, top = int(columns[0]), int(rows[0])
    return {
        "id": number,
        "image_id": image,
        "category_id": category,
        "iscrowd": 0,
        "area": int(mask.sum()),
        "bbox": [left, top, int(columns[-1]) - left + 1, int(rows[-1]) - top + 1],
        "segmentation": {"size": list(mask.shape), "counts": run_lengths(mask)},
    }
