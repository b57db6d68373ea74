"""Clips of labelled images: slices of volumes, or pictures without an order."""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor

from medsam2.datasets import Case, CaseSource
from medsam2.errors import ShapeError
from medsam2.frames import IMAGE_MEAN, IMAGE_STD, FrameStack, IntensityWindow, choose_window
from medsam2.synthetic import RandomSource
from medsam2.training.augmentation import Augmentation, augmented
from medsam2.training.clip_loss import ClipBatch
from medsam2.training.crops import Crop, cut, follow
from medsam2.training.draws import Lane, draw_index, happens
from medsam2.training.recipe import DataSettings
from medsam2.training.synthetic_clips import BatchShape

LEAST_SHARE = 0.00153
"""Of a frame; what is smaller is not prompted (MedSAM-2 v2, section 4, drops masks below 0.153 %)."""

ATTEMPTS = 24
ATTEMPTS_A_CASE = 3
"""After so many views of a case in which nothing can be prompted, another case is taken."""


@dataclass(frozen=True, eq=False)
class LoadedCase:
    """A case that is in memory.

    Attributes:
        case: it.
        window: the intensities that are shown.
        areas: by structure, the pixels on each frame, (T,).
    """

    case: Case
    window: IntensityWindow
    areas: Mapping[int, NDArray[np.int64]]

    @property
    def least_area(self) -> float:
        """Pixels of a structure that can be prompted."""
        rows, columns = self.case.view.frame_shape
        return max(LEAST_SHARE * rows * columns, 1.0)

    def promptable_on(self, frame: int) -> list[int]:
        """The structures that are large enough on a frame."""
        return [label for label, area in self.areas.items() if area[frame] >= self.least_area]


class CaseShelf:
    """Cases, read when they are wanted; the last ones stay.

    Args:
        sources: the cases.
        capacity: how many stay.
        window: intensities shown, see `medsam2.frames.choose_window`.
    """

    def __init__(self, sources: Sequence[CaseSource], capacity: int, window: str = "auto") -> None:
        self.sources, self.capacity, self.window = sources, capacity, window
        self._kept: OrderedDict[int, LoadedCase] = OrderedDict()

    def __len__(self) -> int:
        return len(self.sources)

    def __getitem__(self, index: int) -> LoadedCase:
        if index not in self._kept:
            case = self.sources[index].load()
            areas = {label: np.count_nonzero(case.truth(label), axis=(1, 2)) for label in case.names}
            self._kept[index] = LoadedCase(case, choose_window(case.volume, self.window), areas)
        self._kept.move_to_end(index)
        while len(self._kept) > self.capacity:
            self._kept.popitem(last=False)
        return self._kept[index]


@dataclass(frozen=True)
class Shot:
    """One frame of a clip: which frame of which case."""

    index: int
    frame: int


class CaseClips:
    """Batches of clips of labelled images; a batch depends on nothing but its number.

    In each epoch every case is once the one that a clip begins with.

    Args:
        shelf: the cases.
        shape: of each batch.
        data: how clips are taken from cases.
        augmentation: how they are varied.
        lane: whose batches these are: lanes take turns with the cases.
        focused: clips are looked at through regions that follow an object.
    """

    def __init__(
        self,
        shelf: CaseShelf,
        shape: BatchShape,
        data: DataSettings,
        augmentation: Augmentation | None,
        lane: Lane,
        focused: bool = False,
    ) -> None:
        self.shelf, self.shape, self.data, self.augmentation, self.lane = shelf, shape, data, augmentation, lane
        self.focused = focused
        self.side = shape.canvas if focused else shape.size

    def batch(self, number: int) -> ClipBatch:
        """Batch `number` of this source."""
        first = (number * self.lane.count + self.lane.index) * self.shape.clips
        gap = 1 + draw_index(self.data.longest_gap, self.lane.generator("gap", first))
        steps = tuple(index * gap for index in range(self.shape.frames))
        views = [self._clip(first + index, steps) for index in range(self.shape.clips)]
        images = _normalised(torch.stack([view.images for view in views]))
        masks = torch.cat([view.masks for view in views])
        clip_of = torch.arange(len(views)).repeat_interleave(self.shape.objects)
        regions = torch.stack([view.regions for view in views]) if self.focused else None
        return ClipBatch(images, masks, clip_of, steps, (self.data.ordered,) * len(views), regions)

    def _clip(self, number: int, steps: tuple[int, ...]) -> Crop:
        """Clip `number`."""
        generator = self.lane.generator("clip", number)
        for attempt in range(ATTEMPTS):
            index = self._scheduled(number + attempt // ATTEMPTS_A_CASE)
            found = self._view_of(index, steps, generator)
            if found is not None:
                return found
        raise ShapeError(
            f"{self.shelf.sources[index].name}: no structure is large enough to be prompted at {self.shape.size} "
            f"pixels, nor in the {ATTEMPTS // ATTEMPTS_A_CASE - 1} cases before it; raise 'batch.size'"
        )

    def _scheduled(self, number: int) -> int:
        """The case that a clip begins with: every epoch has its own order."""
        epoch, place = divmod(number, len(self.shelf))
        order = torch.randperm(len(self.shelf), generator=self.lane.generator("epoch", epoch))
        return int(order[place])

    def _view_of(self, index: int, steps: tuple[int, ...], generator: Generator) -> Crop | None:
        """A clip that begins with a case, if a structure can be prompted there after all changes."""
        shots, labels = self._chosen(index, steps, generator)
        images = torch.stack([self._image(shot) for shot in shots])
        masks = torch.stack([torch.stack([self._mask(shot, label) for shot in shots]) for label in labels])
        if self.augmentation is not None:
            images, masks = augmented(images, masks, self.augmentation, self.data.ordered, generator)
        masks = _promptable(masks)
        if not len(masks):
            return None
        view = Crop(images, masks, torch.empty(0))
        if self.focused:
            source = RandomSource(generator, torch.device("cpu"))
            regions = follow(masks[0], source, self.data.ordered)
            view = cut(images, masks, regions, self.shape.size, source)
            view = replace(view, masks=_promptable(view.masks))
        if not len(view.masks):
            return None
        return replace(view, masks=view.masks[torch.arange(self.shape.objects) % len(view.masks)])

    def _chosen(self, index: int, steps: tuple[int, ...], generator: Generator) -> tuple[list[Shot], list[int]]:
        """The frames of a clip, and the structures that are prompted on the first of them."""
        loaded = self.shelf[index]
        first = _first_frame(loaded, generator)
        labels = loaded.promptable_on(first) or list(loaded.areas)
        order = torch.randperm(len(labels), generator=generator).tolist()
        chosen = [labels[place] for place in order[: self.shape.objects]]
        if self.data.ordered:
            places = _places(first, steps, loaded.case.view.frame_count, happens(0.5, generator))
            return [Shot(index, place) for place in places], chosen
        others = [self._picture(generator) for _ in steps[1:]]
        return [Shot(index, first), *others], chosen

    def _picture(self, generator: Generator) -> Shot:
        """Any frame of any case."""
        index = draw_index(len(self.shelf), generator)
        return Shot(index, draw_index(self.shelf[index].case.view.frame_count, generator))

    def _image(self, shot: Shot) -> Tensor:
        """(3, S, S) in [0, 1]."""
        frame = self._stack(shot).frame(shot.frame)
        return (frame * _channels(IMAGE_STD) + _channels(IMAGE_MEAN)).clamp(0, 1)

    def _mask(self, shot: Shot, label: int) -> Tensor:
        """(S, S) bool."""
        case = self.shelf[shot.index].case
        if label not in case.names:
            return torch.zeros(self.side, self.side, dtype=torch.bool)
        return self._stack(shot).mask_to_network(case.truth_on(shot.frame, label))

    def _stack(self, shot: Shot) -> FrameStack:
        loaded = self.shelf[shot.index]
        return FrameStack(loaded.case.volume, loaded.case.view, loaded.window, self.side)


def _promptable(masks: Tensor) -> Tensor:
    """Those of the masks (O, T, S, S) that are large enough on the first frame."""
    least = max(LEAST_SHARE * masks.shape[-1] * masks.shape[-2], 1)
    return masks[masks[:, 0].flatten(1).sum(1) >= least]


def _first_frame(loaded: LoadedCase, generator: Generator) -> int:
    """A frame on which a structure, any with the same chance, is large enough; else where it is largest."""
    labels = list(loaded.areas)
    area = loaded.areas[labels[draw_index(len(labels), generator)]]
    frames = np.flatnonzero(area >= loaded.least_area)
    return int(frames[draw_index(len(frames), generator)]) if len(frames) else int(area.argmax())


def _places(first: int, steps: tuple[int, ...], frames: int, backward: bool) -> list[int]:
    """Frames from the first one on, turning round at either end of the volume."""
    period = max(2 * (frames - 1), 1)
    places = [(first + (-step if backward else step)) % period for step in steps]
    return [min(place, period - place) if frames > 1 else 0 for place in places]


def _normalised(images: Tensor) -> Tensor:
    return (images - _channels(IMAGE_MEAN)) / _channels(IMAGE_STD)


def _channels(values: tuple[float, float, float]) -> Tensor:
    return torch.tensor(values)[:, None, None]
