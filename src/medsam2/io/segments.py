"""The objects of a label map as formats of segmentations name them: number, name, colour, and who drew them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from medsam2 import __version__
from medsam2.io.segment_codes import SegmentCode, code_of
from medsam2.spatial import Segmentation

Colour = tuple[int, int, int]

PALETTE: tuple[Colour, ...] = (
    (230, 159, 0),
    (86, 180, 233),
    (0, 192, 139),
    (240, 228, 66),
    (255, 110, 58),
    (221, 128, 192),
    (180, 30, 255),
    (120, 240, 210),
    (240, 0, 75),
    (210, 45, 180),
    (165, 120, 240),
    (165, 210, 120),
    (150, 210, 255),
    (165, 255, 150),
    (75, 210, 195),
    (60, 165, 165),
    (225, 195, 45),
    (255, 165, 180),
    (210, 90, 120),
    (135, 165, 90),
)
"""Colours of objects, in files and in the pictures of `medsam2.reporting`: what is orange there is orange in a viewer.

They are legible on dark and on grey. The first six are near those of Okabe and Ito ("Color universal design", 2008);
each further one is the colour farthest, in OKLab, from all before it, from white and from grey, as seen with normal
vision and with each kind of colour blindness (simulated after Machado et al. 2009).
"""


@dataclass(frozen=True)
class Segment:
    """One object of a label map.

    Attributes:
        number: Its place among the objects, from 1, without gaps.
        label: Its value in the label map.
        name: Its name in one line; "object N" if the label has none.
        colour: Red, green and blue, 0..255.
    """

    number: int
    label: int
    name: str
    colour: Colour

    @property
    def code(self) -> SegmentCode:
        """What DICOM calls an object of this name."""
        return code_of(self.name)


@dataclass(frozen=True)
class Algorithm:
    """What made a segmentation.

    Attributes:
        model: Name of the model; "" if it is not known.
        automatic: Whether nobody prompted this very scan.
    """

    model: str = ""
    automatic: bool = False
    name: str = "medsam2"
    version: str = __version__

    @property
    def kind(self) -> str:
        """DICOM's word for how much a person had to do with it."""
        return "AUTOMATIC" if self.automatic else "SEMIAUTOMATIC"


def segments_of(segmentation: Segmentation) -> tuple[Segment, ...]:
    """List the objects of a label map by their label: those with a voxel, and those with a name only."""
    labels = sorted({*np.unique(segmentation.labels).tolist(), *segmentation.names} - {0})
    return tuple(
        Segment(number, label, _one_line(segmentation.names.get(label, "")) or f"object {label}", _colour(number))
        for number, label in enumerate(labels, start=1)
    )


def cut(text: str, limit: int) -> tuple[str, tuple[str, ...]]:
    """Shorten a name to what a field of DICOM holds.

    Args:
        text: The name; a backslash, which separates values in DICOM, becomes a slash.
        limit: Most characters.

    Returns:
        The name, and what to tell the user if something is lost: nothing or one remark.
    """
    short = text.replace("\\", "/")[:limit].rstrip()
    if len(text) <= limit:
        return short, ()
    return short, (f"the name '{text}' has {len(text)} characters, DICOM holds {limit}; it was cut to '{short}'",)


def _colour(number: int) -> Colour:
    return PALETTE[(number - 1) % len(PALETTE)]


def _one_line(name: str) -> str:
    return " ".join("".join(letter if letter.isprintable() else " " for letter in name).split())
