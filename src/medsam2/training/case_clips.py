"""Clips of labelled images: slices of volumes, or pictures without an order."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Generator, Tensor
from torch.nn import functional

from medsam2.errors import ShapeError
from medsam2.frames.region import LEAST_SIDE
from medsam2.frames.resizing import MASK_THRESHOLD
from medsam2.synthetic import RandomSource
from medsam2.training.augmentation import Augmentation, augmented
from medsam2.training.case_shelf import Areas, CaseShelf
from medsam2.training.clip_loss import ClipBatch
from medsam2.training.crops import Crop, cut, follow
from medsam2.training.draws import Lane, draw_index, happens
from medsam2.training.recipe import DataSettings
from medsam2.training.synthetic_clips import BatchShape, normalise

LEAST_SHARE = 0.00153
"""Of what is looked at; what is smaller is not prompted (MedSAM-2 v2, section 4, drops masks below 0.153 %)."""

LONGEST_SIDE = 1024
"""Pixels: frames that are looked at from near keep their own, up to so many, as an object is cut from them in use."""

VIEWS_A_CASE = 3
"""After so many views of a case in which nothing can be prompted, another case is taken."""

CASES_A_CLIP = 8
"""So many are tried at least, however few there are."""


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

    def batch(self, number: int) -> ClipBatch:
        """Batch `number` of this source."""
        first = (number * self.lane.count + self.lane.index) * self.shape.clips
        gap = 1 + draw_index(self.data.longest_gap, self.lane.generator("gap", first))
        steps = tuple(index * gap for index in range(self.shape.frames))
        views = [self._clip(first + index, steps) for index in range(self.shape.clips)]
        images = normalise(torch.stack([view.images for view in views]))
        masks = torch.cat([view.masks for view in views])
        clip_of = torch.arange(len(views)).repeat_interleave(self.shape.objects)
        regions = torch.stack([view.regions for view in views]) if self.focused else None
        return ClipBatch(images, masks, clip_of, steps, (self.data.ordered,) * len(views), regions)

    @property
    def near(self) -> bool:
        """Frames are looked at through regions around an object; those of several pictures are looked at whole."""
        return self.focused and (self.data.ordered or self.shape.frames == 1)

    def _canvas(self, frame_shape: tuple[int, int]) -> tuple[int, int]:
        """Rows and columns of the frames that clips are made of, before they are looked at through regions."""
        if not self.near:
            side = max(self.shape.canvas, self.shape.size) if self.focused else self.shape.size
            return side, side
        shrink = min(LONGEST_SIDE / max(frame_shape), 1.0)
        return max(round(frame_shape[0] * shrink), 1), max(round(frame_shape[1] * shrink), 1)

    def left_out(self) -> list[str]:
        """Names of the cases that clips never begin with, as nothing in them is large enough to be prompted.

        Raises:
            ShapeError: those are all.
        """
        found = [source.name for index, source in enumerate(self.shelf.sources) if not self._can_begin_with(index)]
        if len(found) == len(self.shelf):
            raise ShapeError(
                f"no structure of the {len(found)} cases ({found[0]}, ...) fills {LEAST_SHARE:.3%} of a frame, the "
                "least that is prompted where it is looked at whole; crop the images around what is to be learnt, or "
                "start from weights that look at slices and single pictures from near, as 'starter' does"
            )
        return found

    def _clip(self, number: int, steps: tuple[int, ...]) -> Crop:
        """Clip `number`."""
        generator = self.lane.generator("clip", number)
        for turn in range(max(CASES_A_CLIP, 2 * len(self.shelf))):  # from anywhere in an epoch, that is every case
            index = self._scheduled(number + turn)
            for view in range(VIEWS_A_CASE if self._can_begin_with(index) else 0):
                found = self._view_of(index, steps, view > 0, generator)
                if found is not None:
                    return found
        raise ShapeError(
            f"{self.shelf.sources[index].name}: no structure can be prompted at {self.shape.size} pixels, nor in any "
            f"other of the {len(self.shelf)} cases; raise 'batch.size', or crop the images around what is to be learnt"
        )

    def _can_begin_with(self, index: int) -> bool:
        """Whether a structure of a case is large enough."""
        extent = self.shelf.extent(index)
        return extent.largest >= self._least_area(extent.frame_shape)

    def _least_area(self, frame_shape: tuple[int, int]) -> float:
        """Pixels of a structure on a frame that can be prompted: where it is looked at from near, from nearest."""
        rows, columns = self._canvas(frame_shape)
        seen = min(LEAST_SIDE, rows) * min(LEAST_SIDE, columns) / (rows * columns) if self.near else 1.0
        return max(LEAST_SHARE * seen * frame_shape[0] * frame_shape[1], 1.0)

    def _scheduled(self, number: int) -> int:
        """The case that a clip begins with: every epoch has its own order."""
        epoch, place = divmod(number, len(self.shelf))
        order = torch.randperm(len(self.shelf), generator=self.lane.generator("epoch", epoch))
        return int(order[place])

    def _view_of(self, index: int, steps: tuple[int, ...], again: bool, generator: Generator) -> Crop | None:
        """A clip that begins with a case, if a structure can be prompted there after all changes."""
        shots, labels = self._chosen(index, steps, again, generator)
        images = torch.stack([self._image(shot) for shot in shots])
        masks = torch.stack([torch.stack([self._mask(shot, label) for shot in shots]) for label in labels])
        if self.augmentation is not None:
            images, masks = augmented(images, masks, self.augmentation, self.data.ordered, generator)
        masks = _promptable(masks, 0.0 if self.near else LEAST_SHARE)
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

    def _chosen(
        self, index: int, steps: tuple[int, ...], again: bool, generator: Generator
    ) -> tuple[list[Shot], list[int]]:
        """The frames of a clip, and the structures that are prompted on the first of them.

        When chosen again, it is among the structures that are large enough somewhere.
        """
        loaded = self.shelf[index]
        least = self._least_area(loaded.case.view.frame_shape)
        areas = {label: area for label, area in loaded.areas.items() if not again or area.max() >= least}
        first = _first_frame(areas, least, generator)
        labels = [label for label, area in areas.items() if area[first] >= least] or list(areas)
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
        """(3, R, C) in [0, 1]."""
        loaded = self.shelf[shot.index]
        pixels = loaded.window.apply(loaded.case.view.to_frames(loaded.case.volume.array)[shot.frame])
        channels = torch.from_numpy(np.atleast_3d(pixels)).permute(2, 0, 1)
        return _stretched(channels, self._canvas(loaded.case.view.frame_shape)).expand(3, -1, -1)

    def _mask(self, shot: Shot, label: int) -> Tensor:
        """(R, C) bool."""
        case = self.shelf[shot.index].case
        canvas = self._canvas(case.view.frame_shape)
        if label not in case.names:
            return torch.zeros(canvas, dtype=torch.bool)
        mask = torch.from_numpy(np.ascontiguousarray(case.truth_on(shot.frame, label)))
        return _stretched(mask[None].float(), canvas)[0] >= MASK_THRESHOLD


def _stretched(image: Tensor, shape: tuple[int, int]) -> Tensor:
    """An image (C, R, Cc) of another shape, made as `medsam2.frames.resizing` makes squares."""
    if image.shape[-2:] == shape:
        return image
    return functional.interpolate(image[None], shape, mode="bilinear", align_corners=False, antialias=True)[0]


def _promptable(masks: Tensor, share: float = LEAST_SHARE) -> Tensor:
    """Those of the masks (O, T, R, C) that fill a share of the first frame, or at least a pixel."""
    least = max(share * masks.shape[-1] * masks.shape[-2], 1)
    return masks[masks[:, 0].flatten(1).sum(1) >= least]


def _first_frame(areas: Areas, least: float, generator: Generator) -> int:
    """A frame on which a structure, any with the same chance, is large enough; else where any is largest."""
    labels = list(areas)
    area = areas[labels[draw_index(len(labels), generator)]]
    frames = np.flatnonzero(area >= least)
    return int(frames[draw_index(len(frames), generator)]) if len(frames) else int(area.argmax())


def _places(first: int, steps: tuple[int, ...], frames: int, backward: bool) -> list[int]:
    """Frames from the first one on, turning round at either end of the volume."""
    period = max(2 * (frames - 1), 1)
    places = [(first + (-step if backward else step)) % period for step in steps]
    return [min(place, period - place) if frames > 1 else 0 for place in places]
