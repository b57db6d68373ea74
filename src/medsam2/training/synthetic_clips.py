"""Clips of synthetic anatomy, made while training goes on."""

from collections import deque
from dataclasses import dataclass, replace

import torch
from torch import Generator, Tensor

from medsam2.errors import ShapeError
from medsam2.frames.frame_stack import IMAGE_MEAN, IMAGE_STD
from medsam2.synthetic import Clip, ClipRecipe, RandomSource, Slab, augment_slab, make_scene, render, sample_targets
from medsam2.synthetic.clips import draw_kind
from medsam2.synthetic.targets import MIN_AREA
from medsam2.training.clip_loss import ClipBatch
from medsam2.training.crops import Crop, cut, follow

LONGEST_GAP = 3
"""Slices of a clip may lie up to this many slices apart."""

ATTEMPTS = 20

FEWEST_PIXELS = 96
"""Of an object where it is prompted, as the network sees it: six cells of the masks' stride-4 grid."""

INSIDE = 0.9
"""Share of an object that must lie within the region that is looked at, to be prompted there."""

CHOICE = 4
"""Objects drawn for each look."""

SCATTERED, SCATTERED_KEPT = 0.35, 0.15
"""People prompt organs and lesions more often than all cells or vessels at once: of the objects that fill less than the
first share of their rows and columns, the second share is kept."""


@dataclass(frozen=True)
class BatchShape:
    """What a batch holds.

    Attributes:
        clips: F.
        frames: T of each.
        objects: of each clip.
        size: S in pixels, of what the network sees.
        canvas: side in pixels of the frames that are painted. (Frames of cases keep their own pixels where objects are
            looked at from near; pictures of which several are looked at whole have as many as the canvas before that.)
        looks: clips that are cut from one painted scene, each following another object; divides `clips`.
        unordered: share of the scenes that are sets of images without an order.
    """

    clips: int
    frames: int
    objects: int
    size: int
    canvas: int = 256
    looks: int = 1
    unordered: float = 0.3


class SlabPool:
    """Painted slabs, each used for several clips: painting costs more than rendering.

    Args:
        recipe: of the slabs.
        generator: origin of all randomness; advanced.
        device: where slabs are painted and kept.
        capacity: slabs kept; the oldest goes first.
        clips_per_slab: how many clips are made for each slab that is painted, once the pool is full.
    """

    def __init__(
        self,
        recipe: ClipRecipe,
        generator: Generator,
        device: torch.device,
        capacity: int = 192,
        clips_per_slab: float = 6.0,
    ) -> None:
        self.recipe, self.source = recipe, RandomSource(generator, device)
        self.slabs: deque[Slab] = deque(maxlen=capacity)
        self.clips_per_slab = clips_per_slab

    def draw(self) -> Slab:
        """A slab, turned and scaled afresh."""
        filling = len(self.slabs) < (self.slabs.maxlen or 1)
        if not self.slabs or self.source.chance(max(0.5 if filling else 0.0, 1 / self.clips_per_slab)):
            kind, ordered = draw_kind(self.recipe, self.source)
            self.slabs.append(make_scene(kind, self.recipe, self.source, ordered))
        return augment_slab(self.slabs[self.source.integer(0, len(self.slabs) - 1)], self.source)


class SyntheticClips:
    """An endless source of clip batches.

    Args:
        shape: of each batch.
        generator: origin of all randomness, on the CPU; advanced.
        device: where clips are made.
        recipe: of the slabs; its size is replaced by the batch's canvas, and it has at least twice as many frames.
    """

    def __init__(
        self, shape: BatchShape, generator: Generator, device: torch.device, recipe: ClipRecipe | None = None
    ) -> None:
        self.shape, self.generator, self.device = shape, generator, device
        recipe = recipe or ClipRecipe(unordered_share=shape.unordered)
        slab = replace(recipe, size=shape.canvas, frames=max(recipe.frames, 2 * shape.frames))
        self.pool = SlabPool(slab, generator, device)

    def next_batch(self) -> ClipBatch:
        """Make a batch. All its clips share the places of their frames in the video."""
        steps = self._steps()
        crops: list[Crop] = []
        ordered: list[bool] = []
        while len(crops) < self.shape.clips:
            looks, of_volume = self._scene(steps)
            crops += looks
            ordered += [of_volume] * len(looks)
        crops, ordered = crops[: self.shape.clips], ordered[: self.shape.clips]
        channels = max(crop.images.shape[1] for crop in crops)
        images = torch.stack([normalise(crop.images.expand(-1, channels, -1, -1)) for crop in crops])
        clip_of = torch.arange(len(crops), device=self.device).repeat_interleave(self.shape.objects)
        masks = torch.cat([crop.masks for crop in crops])
        return ClipBatch(images, masks, clip_of, steps, tuple(ordered), torch.stack([crop.regions for crop in crops]))

    def _steps(self) -> tuple[int, ...]:
        """Places of the frames, from 0, with gaps that fit into a slab."""
        longest = min(LONGEST_GAP, (self.pool.recipe.frames - 1) // max(self.shape.frames - 1, 1))
        gap = int(torch.randint(1, max(longest, 1) + 1, (), generator=self.generator))
        return tuple(index * gap for index in range(self.shape.frames))

    def _scene(self, steps: tuple[int, ...]) -> tuple[list[Crop], bool]:
        """Several looks at one painted scene, and whether it is ordered."""
        for _ in range(ATTEMPTS):
            slab = self._window(self.pool.draw(), steps)
            clip = Clip(render(slab, self.pool.source), slab.labels, slab.ordered, slab)
            try:
                drawn = sample_targets(clip, CHOICE * self.shape.looks, self.generator, first_frame_share=1.0).masks
            except ShapeError:  # the window holds nothing worth prompting
                continue
            images = clip.images if clip.images.ndim == 4 else clip.images[:, None]
            rows = self._worth_prompting(drawn[:, 0])[: self.shape.looks]
            found = [look for row in rows if (look := self._look(images, drawn, int(row), slab.ordered)) is not None]
            if found:
                return found, slab.ordered
        raise ShapeError(f"no promptable object in {ATTEMPTS} slabs of {self.pool.recipe}")

    def _look(self, images: Tensor, masks: Tensor, main: int, ordered: bool) -> Crop | None:
        """A clip that follows one object, with others that can be prompted in it; None if it is cut too small."""
        regions = follow(masks[main], self.pool.source, ordered)
        crop = cut(images, masks, regions, self.shape.size, self.pool.source)
        area = crop.masks[:, 0].flatten(1).float().sum(1)
        first = regions[0]
        kept = masks[:, 0, first.y0 : first.y1, first.x0 : first.x1].flatten(1).float().sum(1)
        inside = kept >= INSIDE * masks[:, 0].flatten(1).float().sum(1)
        large = (area >= FEWEST_PIXELS) & inside
        if not bool(large[main]):
            return None
        others = [row for row in large.nonzero()[:, 0].tolist() if row != main]
        rows = ([main] + others[: self.shape.objects - 1] + [main] * self.shape.objects)[: self.shape.objects]
        return replace(crop, masks=crop.masks[rows])

    def _worth_prompting(self, masks: Tensor) -> Tensor:
        """Rows of the objects (O, R, R) that are large enough, the scattered ones thinned out."""
        area = masks.flatten(1).float().sum(1)
        large = area >= MIN_AREA * self.shape.canvas**2
        box = masks.any(1).float().sum(1) * masks.any(2).float().sum(1)
        kept = torch.rand(len(masks), generator=self.generator).to(masks.device) < SCATTERED_KEPT
        return (large & ((area / box.clamp_min(1) >= SCATTERED) | kept)).nonzero()[:, 0]

    def _window(self, slab: Slab, steps: tuple[int, ...]) -> Slab:
        """The frames of a clip, in rising or falling order, starting anywhere they fit."""
        room = len(slab.instances) - 1 - steps[-1]
        start = int(torch.randint(room + 1, (), generator=self.generator))
        places = torch.tensor(steps, device=slab.instances.device) + start
        if bool(torch.rand((), generator=self.generator) < 0.5):
            places = len(slab.instances) - 1 - places
        return replace(slab, instances=slab.instances[places])


def normalise(images: Tensor) -> Tensor:
    """Grey (..., 1, S, S) or RGB (..., 3, S, S) in [0, 1] to the network's range, (..., 3, S, S)."""
    mean = torch.tensor(IMAGE_MEAN, device=images.device).view(3, 1, 1)
    deviation = torch.tensor(IMAGE_STD, device=images.device).view(3, 1, 1)
    return (images - mean) / deviation
