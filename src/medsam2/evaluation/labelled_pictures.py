"""Labelled pictures in no order: the slices of an unordered case, or all single pictures of a data set together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from medsam2.datasets.cases import Case, CaseSource
from medsam2.frames import SetImage
from medsam2.prompts.prompt_types import MaskArray
from medsam2.spatial import Geometry, PlaneView, Volume


class LabelledPicture(SetImage, Protocol):
    """A picture, read when it is asked for, with its truth."""

    def truth(self, label: int) -> MaskArray:
        """The reference of a structure, (R, C), as a frame of the picture's view; empty where it is not there."""


@dataclass(frozen=True, eq=False)
class LabelledPictures:
    """Pictures of like scenes.

    Attributes:
        name: of the set.
        pictures: in the order in which they were given.
        names: of the structures, by label.
        areas: of each picture, the pixels of each structure that is on it.
    """

    name: str
    pictures: tuple[LabelledPicture, ...]
    names: Mapping[int, str]
    areas: tuple[Mapping[int, int], ...]

    @classmethod
    def of_case(cls, case: Case) -> LabelledPictures:
        """The slices of an unordered case."""
        frames = range(case.view.frame_count)
        areas = tuple(
            {label: pixels for label in case.names if (pixels := int(case.truth_on(frame, label).sum()))}
            for frame in frames
        )
        return cls(case.name, tuple(_Slice(case, frame) for frame in frames), case.names, areas)

    @classmethod
    def of_sources(cls, name: str, sources: Sequence[CaseSource]) -> LabelledPictures:
        """All single pictures of a data set; each is read when it is wanted, and not kept.

        Raises:
            FormatError: one cannot be read.
        """
        names: dict[int, str] = {}
        areas = []
        for source in sources:
            case = source.load()
            names |= case.names
            areas.append({label: int(case.truth_on(0, label).sum()) for label in case.names})
        return cls(name, tuple(_File(source) for source in sources), dict(sorted(names.items())), tuple(areas))

    def showing(self, label: int) -> list[int]:
        """The numbers of the pictures that a structure is on, that on which it is largest first."""
        there = [number for number, areas in enumerate(self.areas) if areas.get(label)]
        return sorted(there, key=lambda number: -self.areas[number][label])


@dataclass(frozen=True, eq=False)
class _Slice:
    """One slice of an unordered case."""

    case: Case
    frame: int

    @property
    def name(self) -> str:
        return str(self.frame)

    def read(self) -> Volume:
        return picture_alone(self.case.volume, self.case.view, self.frame)

    def truth(self, label: int) -> MaskArray:
        return self.case.truth_on(self.frame, label)


@dataclass(frozen=True, eq=False)
class _File:
    """One case that is a single picture."""

    source: CaseSource

    @property
    def name(self) -> str:
        return self.source.name

    def read(self) -> Volume:
        return self.source.load().volume

    def truth(self, label: int) -> MaskArray:
        case = self.source.load()
        return case.truth_on(0, label) if label in case.names else np.zeros(case.view.frame_shape, bool)


def picture_alone(volume: Volume, view: PlaneView, frame: int) -> Volume:
    """One picture of an unordered set, whose intensities have nothing to do with the others'."""
    array = view.to_frames(volume.array)[frame : frame + 1]
    return Volume(array, Geometry(array.shape[:3], np.eye(4)))
