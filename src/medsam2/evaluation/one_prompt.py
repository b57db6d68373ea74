"""One-prompt segmentation of an unordered set: what is prompted on one picture is judged on all the others."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from statistics import mean
from typing import Protocol

import numpy as np

from medsam2.datasets.cases import Case
from medsam2.engine.set_result import ImageMask, SetSettings
from medsam2.engine.volume_run import SegmentSettings
from medsam2.evaluation.scores import Measures
from medsam2.evaluation.simulated_prompts import PromptKind, slice_prompt
from medsam2.frames import NamedVolume, SetImage
from medsam2.metrics import dice
from medsam2.prompts import BoxPrompt, MaskPrompt, ObjectPrompts, PromptSet
from medsam2.prompts.prompt_types import MaskArray
from medsam2.spatial import Geometry, PlaneView, Volume


class SegmentingSets(Protocol):
    """What is evaluated here; `medsam2.Segmenter` is one."""

    def stream_set(
        self,
        images: Sequence[SetImage],
        template: str | Sequence[str],
        prompts: PromptSet | Sequence[PromptSet],
        settings: SetSettings | None = None,
    ) -> Iterator[ImageMask]:
        """Segment a set of images from one prompted image, image by image."""


def prompt_to_set(
    kind: PromptKind, segmenter: SegmentingSets, case: Case, settings: SegmentSettings
) -> dict[int, Measures]:
    """All pictures of an unordered set from a prompt on one, the template; nothing for volumes and single pictures.

    Each structure has as its template the picture on which it is largest, and a run of its own. The baseline is the
    template's true mask, copied onto every other picture.
    """
    if case.ordered or case.view.frame_count == 1:
        return {}
    pictures = [NamedVolume(str(t), picture_alone(case.volume, case.view, t)) for t in range(case.view.frame_count)]
    how = SetSettings(window=settings.window, size=settings.size)
    scores = {}
    for label, template in case.prompted_frames.items():
        prompts = PromptSet((_on_picture(kind, case.truth_on(template, label)),))
        others = {
            int(mask.name): mask.segmentation.labels[0] == 1
            for mask in segmenter.stream_set(pictures, str(template), prompts, how)
            if mask.segmentation is not None and int(mask.name) != template
        }
        scores[label] = _judged(others, case, label, f"{kind}_set")
    return scores


def picture_alone(volume: Volume, view: PlaneView, frame: int) -> Volume:
    """One picture of an unordered set, whose intensities have nothing to do with the others'."""
    array = view.to_frames(volume.array)[frame : frame + 1]
    return Volume(array, Geometry(array.shape[:3], np.eye(4)))


def _on_picture(kind: PromptKind, truth: MaskArray) -> ObjectPrompts:
    """The prompt of one structure in the voxel indices of a picture alone."""
    prompt = slice_prompt(kind, truth)
    if prompt.box is not None:
        box = prompt.box
        corners = BoxPrompt(int(box.x0), int(box.y0), 0, int(box.x1), int(box.y1), 0)
        return ObjectPrompts("structure", 1, boxes=(corners,))
    return ObjectPrompts("structure", 1, masks=(MaskPrompt(truth[None]),))


def _judged(found: Mapping[int, MaskArray], case: Case, label: int, column: str) -> Measures:
    """Mean Dice over the other pictures with the structure; the share of those without it that get a mask."""
    copied = case.truth_on(case.prompted_frames[label], label)
    truths = {frame: case.truth_on(frame, label) for frame in found}
    there = [frame for frame, truth in truths.items() if truth.any()]
    absent = [frame for frame in found if frame not in there]
    return {
        column: _mean([dice(found[frame], truths[frame]) for frame in there]),
        f"{column}_false": _mean([float(found[frame].any()) for frame in absent]),
        "copied_mask": _mean([dice(copied, truths[frame]) for frame in there]),
    }


def _mean(values: Sequence[float]) -> float:
    return mean(values) if values else math.nan
