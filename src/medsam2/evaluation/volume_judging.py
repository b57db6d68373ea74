"""How the masks of a volume are judged as they come, slice by slice."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Protocol

from medsam2.datasets.cases import Case
from medsam2.engine.volume_result import SegmentSettings
from medsam2.evaluation.one_prompt import SegmentingSets
from medsam2.evaluation.scores import Measures
from medsam2.evaluation.volume_metrics import PackedMask, VolumeMetrics
from medsam2.metrics import SliceOverlap
from medsam2.network import Sam2Network
from medsam2.prompts import PromptSet
from medsam2.prompts.prompt_types import MaskArray
from medsam2.spatial import Volume

STRUCTURES_AT_ONCE = 16
"""Of a volume that go through it together: a drawn mask takes as many bytes as the volume has voxels."""

CaseScores = dict[int, Measures]
"""Measures by label."""


class FoundSlice(Protocol):
    """What was found of one object on one slice; `medsam2.engine.volume_run.SliceMask` is one."""

    @property
    def label(self) -> int:
        """Of the object."""

    @property
    def slice_index(self) -> int:
        """Index of the slice in the file."""

    @property
    def mask(self) -> MaskArray:
        """(R, C) bool in the view of the case's plane."""


class Segmenting(SegmentingSets, Protocol):
    """What is evaluated; `medsam2.Segmenter` is one."""

    network: Sam2Network

    def stream(
        self, volume: Volume, prompts: PromptSet, settings: SegmentSettings | None = None
    ) -> Iterator[FoundSlice]:
        """Segment a volume from prompts, slice by slice."""


def judged_volume(
    found: Iterator[FoundSlice],
    case: Case,
    prompted: Mapping[int, Collection[int]],
    column: str,
    metrics: VolumeMetrics,
) -> CaseScores:
    """Score the masks of some structures, each by its own.

    Args:
        found: slices as they are found.
        case: the truth.
        prompted: by label, the frames that were prompted; a mask that is missing there is not counted as missed.
        column: of the Dice; the others begin with its name.
        metrics: besides Dice.
    """
    overlaps = {label: SliceOverlap(case.truth(label)) for label in prompted}
    shape = (case.view.frame_count, *case.view.frame_shape)
    masks = {label: PackedMask(shape) for label in prompted if metrics.need_masks}
    seen: set[int] = set()
    began = time.perf_counter()
    for one in found:
        frame = case.view.frame_number(one.slice_index)
        overlaps[one.label].add(frame, one.mask, case.truth_on(frame, one.label))
        if one.label in masks:
            masks[one.label].put(frame, one.mask)
        seen.add(frame)
    seconds = (time.perf_counter() - began) / max(len(seen), 1)
    return {
        label: {
            column: overlap.dice,
            f"{column}_false": overlap.false_share(),
            f"{column}_missed": overlap.missed_share(prompted[label]),
            f"{column}_unprompted": overlap.dice_without(prompted[label]),
            f"{column}_seconds": seconds,
            **(measured_volume(masks[label].whole(), case, label, column, metrics) if masks else {}),
        }
        for label, overlap in overlaps.items()
    }


def seconds_of_case(seconds: Sequence[float]) -> float:
    """The seconds of all structures of a case, from what was noted of each: those of the chunk that it went with.

    Args:
        seconds: of every structure, in their order.
    """
    return sum(seconds[::STRUCTURES_AT_ONCE])


def measured_volume(mask: MaskArray, case: Case, label: int, column: str, metrics: VolumeMetrics) -> Measures:
    """The chosen metrics besides Dice, by column.

    Args:
        mask: (T, R, C).
        case: the truth.
        label: of the structure.
        column: of the Dice.
        metrics: that are wanted.
    """
    values = metrics.measure(mask, case.truth(label), spacing_mm(case))
    return {f"{column}_{metric}": value for metric, value in values.items()}


def spacing_mm(case: Case) -> tuple[float, float, float]:
    """Spacing of slices, rows and columns."""
    return case.view.slice_spacing_mm, *case.view.frame_spacing_mm
