"""Masks that come as pictures: black and white, three greys in a bitmap, or outlines to fill."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, UnidentifiedImageError

from medsam2.errors import FormatError
from medsam2.spatial import Geometry, LabelArray, Segmentation, SourceFile

HALF = 128
"""Of 255: what is at least as bright is white. A mask that was saved as JPEG holds all greys."""

LOSSY = (".jpg", ".jpeg")

Grey = NDArray[np.uint8]


def read_grey(path: Path) -> Grey:
    """A picture of any of Pillow's formats as greys, (R, C).

    Raises:
        FormatError: it cannot be read.
    """
    try:
        with Image.open(path) as image:
            return np.array(image.convert("L"))
    except (OSError, SyntaxError, ValueError, UnidentifiedImageError) as error:
        raise FormatError(f"{path} cannot be read: {error}") from error


def read_black_and_white(path: Path) -> NDArray[np.bool_]:
    """A mask of two values, the brighter one foreground, (R, C) bool; of a JPEG, what is brighter than half.

    Raises:
        FormatError: it cannot be read, or holds other values than 0 and 255, or 0 and 1.
    """
    grey = read_grey(path)
    if path.suffix.lower() in LOSSY:
        mask: NDArray[np.bool_] = grey >= HALF
        return mask
    values = set(np.unique(grey).tolist())
    if not (values <= {0, 255} or values <= {0, 1}):
        raise FormatError(f"{path}: holds {_some(values)}; expected a mask of 0 and 255, or of 0 and 1")
    return grey > 0


def read_greys(path: Path, label_of_grey: dict[int, int]) -> LabelArray:
    """A label map of greys, (R, C).

    Args:
        path: the picture.
        label_of_grey: what each grey stands for.

    Raises:
        FormatError: it cannot be read, or holds another grey.
    """
    grey = read_grey(path)
    values = set(np.unique(grey).tolist())
    if unknown := values - label_of_grey.keys():
        told = ", ".join(str(one) for one in sorted(label_of_grey))
        raise FormatError(f"{path}: holds {_some(unknown)}; expected the greys {told}")
    labels = np.zeros(256, np.uint8)
    for one, label in label_of_grey.items():
        labels[one] = label
    return labels[grey]


def filled(outlines: Iterable[Sequence[tuple[float, float]]], shape: tuple[int, int]) -> NDArray[np.bool_]:
    """The pixels inside any of some outlines, and on them.

    Args:
        outlines: each a closed polygon of (x, y), pixels.
        shape: rows and columns.
    """
    canvas = Image.new("1", (shape[1], shape[0]))
    pen = ImageDraw.Draw(canvas)
    for outline in outlines:
        if len(outline) > 1:
            pen.polygon(list(outline), fill=1, outline=1)
    return np.array(canvas, dtype=bool)


def picture_labels(labels: LabelArray, path: Path) -> Segmentation:
    """The label map of a single picture, (R, C), on the grid that pictures have."""
    geometry = Geometry((1, *labels.shape), np.eye(4))
    return Segmentation(labels[None], geometry, source=SourceFile(path, "image"))


def _some(values: set[int]) -> str:
    told = ", ".join(str(one) for one in sorted(values)[:4])
    return f"{told}, ..." if len(values) > 4 else told
