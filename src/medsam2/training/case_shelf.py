"""Cases to learn from: read when they are wanted, with the little that is remembered of all of them."""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medsam2.datasets import Case, CaseSource
from medsam2.frames import IntensityWindow, choose_window

Areas = Mapping[int, NDArray[np.int64]]
"""By structure, its pixels on each frame, (T,)."""


@dataclass(frozen=True)
class Extent:
    """How large the structures of a case are.

    Attributes:
        largest: pixels of the largest one on the frame where it is largest.
        frame_shape: rows and columns.
    """

    largest: int
    frame_shape: tuple[int, int]

    @classmethod
    def of(cls, case: Case, areas: Areas) -> "Extent":
        """That of a case."""
        return cls(max(int(area.max()) for area in areas.values()), case.view.frame_shape)


@dataclass(frozen=True, eq=False)
class LoadedCase:
    """A case that is in memory.

    Attributes:
        case: it.
        window: the intensities that are shown.
        areas: of its structures.
    """

    case: Case
    window: IntensityWindow
    areas: Areas


class CaseShelf:
    """Cases, read when they are wanted; the last ones stay.

    Args:
        sources: the cases.
        capacity: how many stay.
        window: intensities shown, see `medsam2.frames.choose_window`.
        extents: by name, of cases that were read before.
    """

    def __init__(
        self,
        sources: Sequence[CaseSource],
        capacity: int,
        window: str = "auto",
        extents: Mapping[str, Extent] | None = None,
    ) -> None:
        self.sources, self.capacity, self.window = sources, capacity, window
        self._kept: OrderedDict[int, LoadedCase] = OrderedDict()
        self._extents = dict(extents or {})

    def __len__(self) -> int:
        return len(self.sources)

    def __getitem__(self, index: int) -> LoadedCase:
        if index not in self._kept:
            case = self.sources[index].load()
            areas = areas_of(case)
            self._extents[self.sources[index].name] = Extent.of(case, areas)
            self._kept[index] = LoadedCase(case, choose_window(case.volume, self.window), areas)
        self._kept.move_to_end(index)
        while len(self._kept) > self.capacity:
            self._kept.popitem(last=False)
        return self._kept[index]

    def extent(self, index: int) -> Extent:
        """How large the structures of a case are; for that it is read once, if at all."""
        name = self.sources[index].name
        if name not in self._extents:
            self[index]
        return self._extents[name]


def areas_of(case: Case) -> Areas:
    """The areas of a case's structures."""
    return {label: np.count_nonzero(case.truth(label), axis=(1, 2)) for label in case.names}
