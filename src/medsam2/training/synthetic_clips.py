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

LONGEST_GAP = 3
"""Slices of a clip may lie up to this many slices apart."""

ATTEMPTS = 20

FEWEST_PIXELS = 96
"""Of an object where it is prompted: six cells of the masks' stride-4 grid. Less cannot be drawn on it."""

CHOICE = 3
"""Objects drawn for each that is kept."""

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
        size: S in pixels.
    """

    clips: int
    frames: int
    objects: int
    size: int


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
        recipe: of the slabs; its size is replaced by the batch's, and it has at least twice as many frames.
    """

    def __init__(
        self, shape: BatchShape, generator: Generator, device: torch.device, recipe: ClipRecipe | None = None
    ) -> None:
        self.shape, self.generator, self.device = shape, generator, device
        recipe = recipe or ClipRecipe()
        slab = replace(recipe, size=shape.size, frames=max(recipe.frames, 2 * shape.frames))
        self.pool = SlabPool(slab, generator, device)

    def next_batch(self) -> ClipBatch:
        """Make a batch. All its clips share the places of their frames in the video."""
        steps = self._steps()
        clips = [self._clip(steps) for _ in range(self.shape.clips)]
        channels = max(images.shape[1] for images, _, _ in clips)
        images = torch.stack([normalise(images.expand(-1, channels, -1, -1)) for images, _, _ in clips])
        clip_of = torch.arange(len(clips), device=self.device).repeat_interleave(self.shape.objects)
        masks = torch.cat([masks for _, masks, _ in clips])
        return ClipBatch(images, masks, clip_of, steps, tuple(ordered for _, _, ordered in clips))

    def _steps(self) -> tuple[int, ...]:
        """Places of the frames, from 0, with gaps that fit into a slab."""
        longest = min(LONGEST_GAP, (self.pool.recipe.frames - 1) // max(self.shape.frames - 1, 1))
        gap = int(torch.randint(1, max(longest, 1) + 1, (), generator=self.generator))
        return tuple(index * gap for index in range(self.shape.frames))

    def _clip(self, steps: tuple[int, ...]) -> tuple[Tensor, Tensor, bool]:
        """Images (T, C, S, S) in [0, 1] and masks (objects, T, S, S) of one clip, and whether it is ordered."""
        for _ in range(ATTEMPTS):
            slab = self._window(self.pool.draw(), steps)
            clip = Clip(render(slab, self.pool.source), slab.labels, slab.ordered, slab)
            try:
                drawn = sample_targets(clip, CHOICE * self.shape.objects, self.generator, first_frame_share=1.0)
            except ShapeError:  # the window holds nothing worth prompting
                continue
            rows = self._worth_prompting(drawn.masks[:, 0])
            if len(rows):
                chosen = rows[torch.arange(self.shape.objects, device=rows.device) % len(rows)]
                images = clip.images if clip.images.ndim == 4 else clip.images[:, None]
                return images, drawn.masks[chosen], slab.ordered
        raise ShapeError(f"no promptable object in {ATTEMPTS} slabs of {self.pool.recipe}")

    def _worth_prompting(self, masks: Tensor) -> Tensor:
        """Rows of the objects (O, S, S) that are large enough, the scattered ones thinned out."""
        area = masks.flatten(1).float().sum(1)
        large = area >= max(MIN_AREA * self.shape.size**2, FEWEST_PIXELS)
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
    """Grey (T, 1, S, S) or RGB (T, 3, S, S) in [0, 1] to the network's range, (T, 3, S, S)."""
    mean = torch.tensor(IMAGE_MEAN, device=images.device).view(3, 1, 1)
    deviation = torch.tensor(IMAGE_STD, device=images.device).view(3, 1, 1)
    return (images - mean) / deviation
