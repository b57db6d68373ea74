"""Six orientations: a volume gone through in several planes, both ways, and what was found made one.

MedSAM-2 (arXiv 2408.00874 v2, section 3.3).
"""

import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from medsam2.engine.labels import SMALLEST_CLAIM, LabelAssembly
from medsam2.engine.volume_result import Fusion, ObjectResult, Progress, SegmentationResult, SegmentSettings, SliceMask
from medsam2.engine.volume_run import VolumeRun, clean_and_count
from medsam2.errors import ConfigurationError
from medsam2.frames import FrameStack, Region
from medsam2.network import Sam2Network
from medsam2.prompts import PromptSet, ResolvedObject, SlicePrompt
from medsam2.prompts.prompt_types import MaskArray
from medsam2.spatial import Plane, PlaneView, Volume

MOST_CERTAIN = 8.0
"""Logits are cut to +-8 before they are averaged, so that no plane outvotes two others by itself; -8 is also what a
plane says that saw nothing."""

LOST = "nothing of what its plane shows is left: other planes outvote it, or objects that overlap it take its voxels"

VolumeLogits = NDArray[np.float16]

Seen = tuple[Tensor, Region | None]
"""Logits (4h, 4w) of a frame, and the part of it that they show."""


class OrientationRun:
    """Segments a volume in the plane of its prompts, then in further planes, and fuses what was found.

    An object begins in another plane with its own largest section there, as it was found in the plane of its prompts,
    and with the memories that its policy carries over (all that a sorting policy keeps; `fifo` none, as it knows
    memories by time). Each plane is gone through both ways. Where planes disagree, their mean logit decides, or the
    majority (of a tie, nothing); the prompted slices stand as they were found, what was drawn as it was drawn. Where
    objects overlap, the mean logit decides in both cases.

    Thick slices need no resampling of their own: every frame is stretched to the network's square.

    Args:
        network: in evaluation mode.
        volume: to segment.
        prompts: of all objects.
        settings: with at least one orientation; the planes of the prompts always come first.

    Raises:
        PromptError: the prompts do not fit the volume.
        ConfigurationError: a setting does not fit, or the volume is a single image.
    """

    def __init__(self, network: Sam2Network, volume: Volume, prompts: PromptSet, settings: SegmentSettings) -> None:
        if min(volume.geometry.shape) == 1:
            raise ConfigurationError("orientations were asked for, but a single image has only one; leave them out")
        self.network, self.volume, self.settings = network, volume, settings
        # Parts are kept and holes filled once, at the end.
        plain = replace(settings, largest_component=False, fill_holes=False)
        self._first = VolumeRun.of_prompts(network, volume, prompts, plain)
        window = self._first.window
        self._further = replace(plain, window=(window.lower, window.upper))
        self._stacks: dict[Plane, FrameStack] = {}
        self._seen: dict[int, dict[Plane, dict[int, Seen]]] = {
            one.label: defaultdict(dict) for one in self._first.objects
        }
        self.seconds = 0.0

    def stream(self, progress: Progress | None = None) -> Iterator[SliceMask]:
        """Segment plane after plane and hand out each slice as it is found; the fused label map is `result`.

        Args:
            progress: told (slices done, slices in all) of one plane after the other.
        """
        yield from self._watched(self._first, progress)
        for plane in dict.fromkeys(self.settings.orientations):
            began = time.perf_counter()
            sections = self._sections(plane)
            banks = {one.label: self._first.banks[one.label].carried_over() for one in sections}
            self.seconds += time.perf_counter() - began
            if sections:
                yield from self._watched(VolumeRun(self.network, self.volume, sections, self._further, banks), progress)

    def _watched(self, run: VolumeRun, progress: Progress | None) -> Iterator[SliceMask]:
        """Hand out what a run finds, and note it for the fusion."""
        for mask in run.stream(progress):
            if mask.mask.any():
                frame = self._stack(mask.plane).plane_view.frame_number(mask.slice_index)
                # The section that a further plane begins with is what the first one said, and no second opinion.
                borrowed = mask.prompted and run is not self._first
                # Prompted slices stand to the bit; the others, which are many, are fused in float16.
                logits = mask.logits if mask.prompted else mask.logits.half()
                self._seen[mask.label][mask.plane][frame] = logits * (0 if borrowed else 1), mask.region
            yield mask
        self.seconds += run.seconds

    def _stack(self, plane: Plane) -> FrameStack:
        if plane not in self._stacks:
            view = PlaneView.of(self.volume.geometry, plane)
            size = self.settings.size or self.network.config.size
            self._stacks[plane] = FrameStack(self.volume, view, self._first.window, size)
        return self._stacks[plane]

    def _sections(self, plane: Plane) -> list[ResolvedObject]:
        """The largest section in a plane of each object that was found in another one, as if it were drawn there."""
        view = self._stack(plane).plane_view
        sections = []
        for one in self._first.objects:
            if one.plane != plane and self._seen[one.label]:
                frames = view.to_frames(self._found(one))
                largest = int(frames.sum(axis=(1, 2)).argmax())
                drawn = SlicePrompt(mask=frames[largest].copy())
                sections.append(ResolvedObject(one.name, one.label, plane, {largest: drawn}))
        return sections

    def _found(self, one: ResolvedObject) -> MaskArray:
        """Where the plane of its prompts shows an object, (D, H, W); what was drawn is there to the pixel."""
        found: MaskArray = self._logits(one.label, one.plane) > 0
        frames = self._stack(one.plane).plane_view.to_frames(found)
        for frame, prompt in one.slices.items():
            if prompt.mask is not None:
                frames[frame] = prompt.mask
        return found

    def _logits(self, label: int, plane: Plane) -> VolumeLogits:
        """What a plane says of an object, (D, H, W), within +-`MOST_CERTAIN`."""
        stack = self._stack(plane)
        logits = np.full(self.volume.geometry.shape, -MOST_CERTAIN, np.float16)
        frames = stack.plane_view.to_frames(logits)
        for frame, seen in self._seen[label][plane].items():
            frames[frame] = _laid(stack, seen).clip(-MOST_CERTAIN, MOST_CERTAIN)
        return logits

    def result(self) -> SegmentationResult:
        """The fused label map, cleaned as the settings ask; slices and confidences are those of the prompts' plane."""
        began = time.perf_counter()
        first = self._first.result()
        assembly = LabelAssembly(self.volume.geometry, max(self._seen))
        for one in self._first.objects:
            self._write(assembly, one)
        counts = clean_and_count(assembly.labels, list(self._seen), self.settings)
        objects = tuple(self._counted(one, int(counts[one.label])) for one in first.objects)
        self.seconds += time.perf_counter() - began
        return replace(
            first,
            segmentation=replace(first.segmentation, labels=assembly.labels),
            objects=objects,
            settings=self.settings,
            warnings=self._first.warnings(counts, LOST),
            seconds=self.seconds,
        )

    def _write(self, assembly: LabelAssembly, one: ResolvedObject) -> None:
        """Fuse an object, one at a time as each needs a volume of logits, and claim its voxels slice by slice."""
        planes = self._planes(one.plane)
        fused = fuse((self._logits(one.label, plane) for plane in planes), len(planes), self.settings.fusion)
        stack = self._stack(one.plane)
        view, seen = stack.plane_view, self._seen[one.label][one.plane]
        for frame, logits in enumerate(view.to_frames(fused)):
            prompt = one.slices.get(frame)
            if prompt is None:
                assembly.write(view, frame, one.label, logits.astype(np.float32), prompted=False)
            elif prompt.mask is not None:
                assembly.write_drawn(view, frame, one.label, prompt.mask)
            elif frame in seen:
                assembly.write(view, frame, one.label, _laid(stack, seen[frame]), prompted=True)

    def _planes(self, first: Plane) -> list[Plane]:
        return list(dict.fromkeys((first, *self.settings.orientations)))

    def _counted(self, one: ObjectResult, voxels: int) -> ObjectResult:
        return replace(one, voxels=voxels, volume_ml=voxels * self.volume.geometry.voxel_volume_ml)


def _laid(stack: FrameStack, seen: Seen) -> NDArray[np.float32]:
    """What was seen on a frame, at the frame's own resolution."""
    logits, region = seen
    laid: NDArray[np.float32] = stack.through(region).logits_to_frame(logits.float()).numpy()
    return laid


def fuse(planes: Iterable[VolumeLogits], count: int, fusion: Fusion) -> VolumeLogits:
    """Make one of what several planes say of an object; a logit of 0 is no opinion.

    Args:
        planes: (D, H, W) logits of each; asked for one after the other, as each is a volume.
        count: of the planes.
        fusion: how it is decided whether a voxel is in the object.

    Returns:
        The mean logits, made to be above 0 in the object and nowhere else.
    """
    mean, votes = np.zeros(1, np.float16), np.zeros(1, np.int8)
    for logits in planes:
        mean, votes = mean + logits / np.float16(count), votes + np.sign(logits).astype(np.int8)
    return mean if fusion == "average" else np.where(votes > 0, mean.clip(min=SMALLEST_CLAIM), np.float16(0))
