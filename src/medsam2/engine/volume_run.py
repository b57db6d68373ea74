"""One segmentation of one volume: prompts in, masks of slices out, one label map at the end."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from medsam2.engine.between_drawn import BetweenDrawn, FrameLogits
from medsam2.engine.focus import focused_prompt
from medsam2.engine.labels import LabelAssembly
from medsam2.engine.postprocess import fill_holes, keep_largest_component
from medsam2.engine.propagate import SliceResult, propagate, sweeps
from medsam2.engine.step import DRAWN_LOGIT
from medsam2.engine.track import Track
from medsam2.engine.volume_result import (
    ObjectResult,
    Progress,
    SegmentationResult,
    SegmentSettings,
    SliceConfidence,
    SliceMask,
)
from medsam2.frames import FrameStack, choose_window
from medsam2.memory import MemoryBank, new_banks
from medsam2.network import Sam2Network
from medsam2.prompts import PromptSet, ResolvedObject
from medsam2.prompts.prompt_types import MaskArray
from medsam2.spatial import PlaneView, Segmentation, Volume
from medsam2.spatial.segmentation import LabelArray


@dataclass
class _Found:
    """What is gathered of an object on the way."""

    object: ResolvedObject
    slices: dict[int, SliceConfidence] = field(default_factory=dict)
    seconds: float = 0.0
    any_mask: bool = False


class VolumeRun:
    """Segments a volume once, each object in one plane.

    Args:
        network: in evaluation mode.
        volume: to segment.
        objects: what was prompted, laid into the frames of the volume.
        settings: how; `plane` was for laying out the prompts, and further `orientations` are another's task.
        banks: by label, memories to go on with; None: empty ones.

    Raises:
        ConfigurationError: a setting does not fit.
    """

    def __init__(
        self,
        network: Sam2Network,
        volume: Volume,
        objects: Sequence[ResolvedObject],
        settings: SegmentSettings,
        banks: Mapping[int, MemoryBank] | None = None,
    ) -> None:
        self.network, self.volume, self.objects, self.settings = network, volume, tuple(objects), settings
        self.banks = banks or empty_banks(objects, settings)
        self.window = choose_window(volume, settings.window)
        self.seconds = 0.0
        self._names = {one.label: one.name for one in objects}
        self._assembly = LabelAssembly(volume.geometry, max(self._names))
        self._between: dict[int, BetweenDrawn] = {}
        self._found = [_Found(one) for one in sorted(objects, key=lambda one: one.plane)]

    @classmethod
    def of_prompts(
        cls, network: Sam2Network, volume: Volume, prompts: PromptSet, settings: SegmentSettings
    ) -> "VolumeRun":
        """A run from a user's prompts.

        Raises:
            PromptError: the prompts do not fit the volume.
            ConfigurationError: a setting does not fit.
        """
        return cls(network, volume, prompts.resolve(volume.geometry, settings.plane), settings)

    def stream(self, progress: Progress | None = None) -> Iterator[SliceMask]:
        """Segment, and hand out each slice as it is found: the prompted ones first, then outward from them.

        Closing the iterator cancels the rest; what was found until then is in `result`.
        """
        by_plane = groupby(self._found, key=lambda found: found.object.plane)
        groups = [(PlaneView.of(self.volume.geometry, plane), list(group)) for plane, group in by_plane]
        expected = sum(_most_visits(view, group) for view, group in groups)
        done = 0
        for view, group in groups:
            for masks in self._visits(view, group):
                yield from masks
                done += 1
                if progress:
                    progress(done, expected)
        if progress:
            progress(expected, expected)

    def _visits(self, view: PlaneView, found: list[_Found]) -> Iterator[list[SliceMask]]:
        """Visit the slices of a plane; what was found on each is written before it is handed out."""
        began = time.perf_counter()
        frames = FrameStack(self.volume, view, self.window, self.settings.size or self.network.config.size)
        tracks = [self._track(one.object, frames) for one in found]
        self._between |= {one.object.label: BetweenDrawn(view, self._drawn(one.object)) for one in found}
        for results in propagate(self.network, frames, tracks, self.settings.patience or None, trust_prompts=True):
            masks = [self._write(found[result.track], frames, result) for result in results]
            spent = time.perf_counter() - began
            self.seconds += spent
            for result in results:
                found[result.track].seconds += spent / len(results)
            yield masks
            began = time.perf_counter()

    def _track(self, prompted: ResolvedObject, frames: FrameStack) -> Track:
        prompts = {
            frame: focused_prompt(self.network, frames, frame, prompt) for frame, prompt in prompted.slices.items()
        }
        return Track(self.banks[prompted.label], prompts)

    def _drawn(self, prompted: ResolvedObject) -> dict[int, MaskArray]:
        """The drawn slices that tell of those between them, by frame."""
        masks = {frame: prompt.mask for frame, prompt in prompted.slices.items() if prompt.mask is not None}
        return masks if self.settings.interpolate else {}

    def _write(self, found: _Found, frames: FrameStack, result: SliceResult) -> SliceMask:
        """Put a slice's mask into the label map. A drawn mask stands as it was drawn, to the pixel."""
        view, one = frames.plane_view, found.object
        prompt = one.slices.get(result.frame)
        drawn = prompt.mask if prompt is not None else None
        if drawn is not None:
            mask = drawn
            self._assembly.write_drawn(view, result.frame, one.label, mask)
        else:
            logits = self._logits(one, frames, result)
            mask = logits > 0
            self._assembly.write(view, result.frame, one.label, logits, result.prompted)
        index = view.slice_index(result.frame)
        confidence = result.confidence if mask.any() else 0.0
        found.slices[index] = SliceConfidence(index, confidence, result.object_score, result.prompted)
        found.any_mask |= bool(mask.any())
        return SliceMask(
            name=one.name,
            label=one.label,
            plane=one.plane,
            slice_index=index,
            mask=mask,
            logits=result.logits,
            confidence=confidence,
            object_score=result.object_score,
            prompted=result.prompted,
            region=result.region,
        )

    def _logits(self, one: ResolvedObject, frames: FrameStack, result: SliceResult) -> FrameLogits:
        """What is believed of a slice that was not drawn, (rows, columns): the network, and drawn slices around it."""
        found: FrameLogits = frames.through(result.region).logits_to_frame(result.logits).numpy()
        between = None if result.prompted else self._between[one.label].logits(result.frame)
        return found if between is None else found.clip(-DRAWN_LOGIT, DRAWN_LOGIT) + between

    def result(self) -> SegmentationResult:
        """The label map of all that was found, cleaned as the settings ask, and what there is to say of it."""
        labels = self._assembly.labels
        counts = clean_and_count(labels, [found.object.label for found in self._found], self.settings)
        return SegmentationResult(
            segmentation=Segmentation(labels, self.volume.geometry, self._names, self.volume.source),
            objects=tuple(self._object_result(found, int(counts[found.object.label])) for found in self._in_order()),
            window=self.window,
            settings=self.settings,
            warnings=self.warnings(counts, "all its voxels went to other objects that overlap it"),
            seconds=self.seconds,
        )

    def warnings(self, counts: NDArray[np.int64], lost: str) -> tuple[str, ...]:
        """Sentences for the user on the objects of which nothing is left.

        Args:
            counts: voxels of each label in the label map.
            lost: what to say of an object that was found.
        """
        return tuple(_warning(found, lost) for found in self._in_order() if not counts[found.object.label])

    def _in_order(self) -> list[_Found]:
        """The objects in the order in which they were given."""
        return sorted(self._found, key=lambda found: list(self._names).index(found.object.label))

    def _object_result(self, found: _Found, voxels: int) -> ObjectResult:
        one = found.object
        return ObjectResult(
            name=one.name,
            label=one.label,
            plane=one.plane,
            voxels=voxels,
            volume_ml=voxels * self.volume.geometry.voxel_volume_ml,
            slices=tuple(found.slices[index] for index in sorted(found.slices)),
            seconds=found.seconds,
        )


def empty_banks(
    objects: Sequence[ResolvedObject], settings: SegmentSettings, ordered: bool = True
) -> dict[int, MemoryBank]:
    """An empty memory for each object, by label, as the settings ask."""
    banks = new_banks(len(objects), settings.memory, settings.memory_options, settings.memory_seed, ordered)
    return {one.label: bank for one, bank in zip(objects, banks, strict=True)}


def clean_and_count(labels: LabelArray, objects: Sequence[int], settings: SegmentSettings) -> NDArray[np.int64]:
    """Clean the objects of a label map in place as the settings ask; then the number of voxels of each label."""
    # Holes last: what another object loses may leave one.
    for clean, wanted in ((keep_largest_component, settings.largest_component), (fill_holes, settings.fill_holes)):
        for label in objects if wanted else ():
            clean(labels, label)
    counts = np.zeros(max(objects) + 1, np.int64)
    # Slice by slice, as bincount makes a copy in int64.
    for part in labels:
        counts += np.bincount(part.ravel(), minlength=len(counts))
    return counts


def _most_visits(view: PlaneView, found: list[_Found]) -> int:
    """How many slices are visited if nothing is given up; one that is visited in both passes counts twice."""
    prompted = {frame for one in found for frame in one.object.slices}
    passes = sweeps([min(one.object.slices) for one in found], view.frame_count)
    return len(prompted) + sum(len(sweep.frames) for sweep in passes)


def _warning(found: _Found, lost: str) -> str:
    one = found.object
    if not found.slices:
        return f"{one.name} (label {one.label}): not looked at, as the run was ended before"
    if found.any_mask:
        return f"{one.name} (label {one.label}): {lost}"
    return (
        f"{one.name} (label {one.label}): nothing was found, not even on the prompted slice; "
        "check the prompt's place, or prompt with a box or a mask"
    )
