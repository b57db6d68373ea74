"""Runs protocols over cases, one case after another."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from medsam2.datasets.cases import Case, CaseSet
from medsam2.engine.volume_run import SegmentSettings, slice_index
from medsam2.evaluation.protocols import CaseScores, Protocol, Segmenting, run_of
from medsam2.evaluation.run_log import RunLog, ScoredCase
from medsam2.evaluation.scores import COLUMNS, Measures, StructureScores
from medsam2.evaluation.volume_metrics import DICE_ALONE, VolumeMetrics

Progress = Callable[[int, int], None]
"""Told (steps done, steps in all); a step is one protocol on one case."""


def evaluate(
    segmenter: Segmenting,
    cases: CaseSet,
    protocols: Sequence[Protocol],
    settings: SegmentSettings,
    log: RunLog | None = None,
    progress: Progress | None = None,
    metrics: VolumeMetrics = DICE_ALONE,
) -> Iterator[ScoredCase]:
    """Score all cases.

    Args:
        segmenter: what is evaluated.
        cases: what it is evaluated on, loaded one at a time.
        protocols: what is asked of it.
        settings: how it segments.
        log: cases that it holds are not run again, others are added to it.
        progress: told how far it is.
        metrics: of whole volumes.

    Yields:
        Each case when it is done.
    """
    steps = len(cases.sources) * len(protocols)
    for number, source in enumerate(cases.sources):
        case = source.load()
        before = number * len(protocols)
        scored = log.find(case.name, case.image_sha256, case.labels_sha256) if log else None
        if scored is None:
            scores: CaseScores = {}
            for step, protocol in enumerate(protocols):
                if progress:
                    progress(before + step, steps)
                _add(scores, run_of(protocol, metrics)(segmenter, case, settings))
            scored = _scored(case, source.whose, scores)
            if log:
                log.add(scored)
        if progress:
            progress(before + len(protocols), steps)
        yield scored


def _add(scores: CaseScores, more: CaseScores) -> None:
    for label, values in more.items():
        scores[label] = {**scores.get(label, {}), **values}


def _scored(case: Case, patient: str, scores: CaseScores) -> ScoredCase:
    return ScoredCase(
        name=case.name,
        image_sha256=case.image_sha256,
        labels_sha256=case.labels_sha256,
        slices=case.view.frame_count,
        patient=patient,
        scores=tuple(_structure(case, label, scores.get(label, {})) for label in case.names),
    )


def _structure(case: Case, label: int, values: Measures) -> StructureScores:
    frame = case.prompted_frames[label]
    return StructureScores(
        case=case.name,
        structure=case.names[label],
        label=label,
        plane=case.view.plane.value,
        prompted_slice=slice_index(case.view, frame),
        pixels=int(case.truth_on(frame, label).sum()),
        values={column: values[column] for column in COLUMNS if column in values},
        volume_ml=int(np.count_nonzero(case.truth(label))) * case.volume.geometry.voxel_volume_ml,
    )
