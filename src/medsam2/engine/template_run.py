"""One prompt across patients: what is prompted in one scan is found in another (MedSAM-2, section 3: one-prompt).

Each scan is a video; here two of them make one, the prompted slices of the template first.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import groupby

import torch

from medsam2.engine.focus import whole_prompt, whole_side
from medsam2.engine.propagate import EncodedFrames
from medsam2.engine.track import Moment, Track, advance
from medsam2.engine.volume_result import (
    ObjectResult,
    Progress,
    SegmentationResult,
    SegmentSettings,
    SliceConfidence,
    SliceMask,
)
from medsam2.engine.volume_run import VolumeRun, empty_banks
from medsam2.errors import ConfigurationError, PromptError
from medsam2.frames import FrameStack, choose_window
from medsam2.memory import FrozenBank
from medsam2.network import Sam2Network
from medsam2.prompts import PromptSet, ResolvedObject, SlicePrompt
from medsam2.prompts.prompt_types import MaskArray
from medsam2.spatial import Plane, PlaneView, Volume


@dataclass(frozen=True)
class Sighting:
    """Where an object of the template is seen best in the other scan.

    Attributes:
        frame: of the plane's view.
        confidence: estimated intersection over union, [0, 1].
        mask: (rows, columns) bool, on the slice.
    """

    frame: int
    confidence: float
    mask: MaskArray


class TemplateRun:
    """Finds in a volume what was prompted in another one, the template.

    Each slice of the volume is looked at with the memory of the template's prompted slices alone. On the slice where
    the network is surest of it the object begins, as it was found there, and is followed both ways from there; policies
    other than `fifo` take the template's memory along, if the network looks at whole slices there, too.

    Args:
        network: in evaluation mode.
        volume: to segment.
        template: the prompted volume.
        prompts: of all objects, in the template's voxel indices.
        settings: how; the window is chosen for each volume by itself.

    Raises:
        PromptError: the prompts do not fit the template.
        ConfigurationError: a setting does not fit.
    """

    def __init__(
        self, network: Sam2Network, volume: Volume, template: Volume, prompts: PromptSet, settings: SegmentSettings
    ) -> None:
        if settings.orientations:
            raise ConfigurationError("orientations were asked for with a template; leave one of them out")
        self.network, self.volume, self.template, self.settings = network, volume, template, settings
        self.objects = prompts.resolve(template.geometry, settings.plane)
        self.size = settings.size or network.config.size
        self.sightings: dict[int, Sighting] = {}
        self._run: VolumeRun | None = None
        self._seconds = 0.0

    def stream(self, progress: Progress | None = None) -> Iterator[SliceMask]:
        """Look for the objects, then segment and hand out each slice as it is found.

        Args:
            progress: told (slices done, slices in all), first of the search, then of the segmentation.

        Raises:
            PromptError: no object of the template is seen anywhere in the volume.
        """
        began = time.perf_counter()
        # A slice of one patient is not the neighbour of a slice of another: no order.
        banks = empty_banks(self.objects, self.settings, ordered=False)
        for plane, group in groupby(sorted(self.objects, key=lambda one: one.plane), key=lambda one: one.plane):
            objects = list(group)
            tracks = [Track(banks[one.label]) for one in objects]
            visits = self._remember_template(plane, objects, tracks)
            self._search(plane, objects, tracks, visits, progress)
        if not self.sightings:
            raise PromptError(
                "none of the template's objects is seen in the volume; prompt a slice of the volume itself, "
                "or take a template that looks more like it"
            )
        begun = [self._beginning(one) for one in self.objects if one.label in self.sightings]
        # Memories of whole slices, and finer ones, are of no use to looks from near.
        focuses = self.network.config.focus > 0
        carried = None if focuses else {one.label: banks[one.label].carried_over() for one in begun}
        self._run = VolumeRun(self.network, self.volume, begun, self.settings, carried)
        self._seconds = time.perf_counter() - began
        yield from self._run.stream(progress)

    def result(self) -> SegmentationResult:
        """As of `VolumeRun`; no slice counts as prompted, and objects that were not seen are empty.

        Raises:
            ConfigurationError: nothing has been segmented yet.
        """
        if self._run is None:
            raise ConfigurationError("the template run has no result yet; go through its stream first")
        found = self._run.result()
        seen = {one.label: self._without_prompt(one) for one in found.objects}
        unseen = [one for one in self.objects if one.label not in seen]
        return replace(
            found,
            segmentation=replace(found.segmentation, names={one.label: one.name for one in self.objects}),
            objects=tuple(seen.get(one.label, _nothing(one)) for one in self.objects),
            warnings=(*(f"{one.name} (label {one.label}): not seen on any slice" for one in unseen), *found.warnings),
            seconds=found.seconds + self._seconds,
        )

    def _remember_template(self, plane: Plane, objects: list[ResolvedObject], tracks: list[Track]) -> int:
        """Remember the prompted slices as the first frames of the video; how many they are."""
        frames = self._stack(self.template, plane)
        encoded = EncodedFrames(self.network, frames)
        prompted = sorted({frame for one in objects for frame in one.slices})
        for visit, frame in enumerate(prompted):
            rows = [row for row, one in enumerate(objects) if frame in one.slices]
            for row in rows:
                given, _ = whole_prompt(self.network, frames, self.size, frame, objects[row].slices[frame])
                tracks[row].prompts[visit] = given
            present = torch.ones(len(rows), dtype=torch.bool, device=self.network.device)
            with torch.inference_mode():
                advance(
                    self.network, encoded[frame], [tracks[row] for row in rows], Moment(visit, 1, len(frames)), present
                )
        return len(prompted)

    def _search(
        self, plane: Plane, objects: list[ResolvedObject], tracks: list[Track], visits: int, progress: Progress | None
    ) -> None:
        """Look at each slice with the template's memory alone, and note where each object is seen best."""
        frames = self._stack(self.volume, plane)
        encoded = EncodedFrames(self.network, frames)
        looking = [Track(FrozenBank(track.bank)) for track in tracks]
        moment = Moment(visits, 1, len(frames) + visits)
        for frame in range(len(frames)):
            with torch.inference_mode():
                for one in advance(self.network, encoded[frame], looking, moment):
                    for place, row in enumerate(one.rows):
                        mask = frames.logits_to_frame(one.prediction.logits[place].float().cpu()).numpy() > 0
                        if mask.any():
                            self._note(objects[row].label, Sighting(frame, float(one.prediction.iou[place]), mask))
            if progress:
                progress(frame + 1, len(frames))

    def _note(self, label: int, seen: Sighting) -> None:
        best = self.sightings.get(label)
        if best is None or seen.confidence > best.confidence:
            self.sightings[label] = seen

    def _beginning(self, one: ResolvedObject) -> ResolvedObject:
        """The object as if it had been drawn where it was seen best."""
        seen = self.sightings[one.label]
        return ResolvedObject(one.name, one.label, one.plane, {seen.frame: SlicePrompt(mask=seen.mask)})

    def _stack(self, volume: Volume, plane: Plane) -> FrameStack:
        """Whole slices: nothing is known of where an object is."""
        view, side = PlaneView.of(volume.geometry, plane), whole_side(self.network, self.size)
        return FrameStack(volume, view, choose_window(volume, self.settings.window), side)

    def _without_prompt(self, one: ObjectResult) -> ObjectResult:
        """The slice on which the object began is not prompted, and as sure as it was when it was seen."""
        seen = self.sightings[one.label]
        begun = PlaneView.of(self.volume.geometry, one.plane).slice_index(seen.frame)
        slices = [
            SliceConfidence(begun, seen.confidence, slice_.object_score, False)
            if slice_.slice_index == begun
            else slice_
            for slice_ in one.slices
        ]
        return replace(one, slices=tuple(slices))


def _nothing(one: ResolvedObject) -> ObjectResult:
    return ObjectResult(one.name, one.label, one.plane, voxels=0, volume_ml=0.0, slices=(), seconds=0.0)
