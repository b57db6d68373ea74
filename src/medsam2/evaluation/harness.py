"""Runs protocols over cases, one case after another."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from medsam2.datasets.cases import Case, CaseSet, CaseSource, joint_sha256
from medsam2.engine.volume_result import SegmentSettings
from medsam2.evaluation.labelled_pictures import LabelledPictures
from medsam2.evaluation.protocol_options import DEFAULT_OPTIONS, ProtocolOptions
from medsam2.evaluation.protocols import OVER_PICTURES, Protocol, run_of
from medsam2.evaluation.run_log import RunLog, ScoredCase
from medsam2.evaluation.scores import COLUMNS, Measures, StructureScores
from medsam2.evaluation.volume_judging import CaseScores, Segmenting

Progress = Callable[[int, int], None]
"""Told (steps done, steps in all); a step is one protocol on one case."""


def evaluate(
    segmenter: Segmenting,
    cases: CaseSet,
    protocols: Sequence[Protocol],
    settings: SegmentSettings,
    log: RunLog | None = None,
    progress: Progress | None = None,
    options: ProtocolOptions = DEFAULT_OPTIONS,
) -> Iterator[ScoredCase]:
    """Score all cases; then, by the protocols of sets, all that are single pictures together, as one more case.

    Args:
        segmenter: what is evaluated.
        cases: what it is evaluated on, loaded one at a time.
        protocols: what is asked of it.
        settings: how it segments.
        log: cases that it holds are not run again, others are added to it.
        progress: told how far it is.
        options: what the protocols leave open.

    Yields:
        Each case when it is done.
    """
    together = [protocol for protocol in protocols if protocol in OVER_PICTURES]
    steps = len(cases.sources) * len(protocols)
    pictures: list[tuple[CaseSource, ScoredCase]] = []
    for number, source in enumerate(cases.sources):
        case = source.load()
        before = number * len(protocols)
        scored = log.find(case.name, case.image_sha256, case.labels_sha256) if log else None
        if scored is None:
            scores: CaseScores = {}
            for step, protocol in enumerate(protocols):
                if progress:
                    progress(before + step, steps)
                _add(scores, run_of(protocol, options)(segmenter, case, settings))
            scored = _scored(case, source.whose, scores)
            if log:
                log.add(scored)
        if progress:
            progress(before + len(protocols), steps)
        if scored.slices == 1:
            pictures.append((source, scored))
        yield scored
    if together and len(pictures) > 1:
        yield _all_pictures(segmenter, cases.name, pictures, together, settings, log, options)


def _all_pictures(
    segmenter: Segmenting,
    name: str,
    pictures: Sequence[tuple[CaseSource, ScoredCase]],
    protocols: Sequence[Protocol],
    settings: SegmentSettings,
    log: RunLog | None,
    options: ProtocolOptions,
) -> ScoredCase:
    """All single pictures of a set as one unordered set."""
    title = f"{name}, all {len(pictures)} pictures"
    image_sha256 = joint_sha256([scored.image_sha256 for _, scored in pictures])
    labels_sha256 = joint_sha256([scored.labels_sha256 for _, scored in pictures])
    known = log.find(title, image_sha256, labels_sha256) if log else None
    if known is not None:
        return known
    every = LabelledPictures.of_sources(title, [source for source, _ in pictures])
    scores: CaseScores = {}
    for protocol in protocols:
        _add(scores, OVER_PICTURES[protocol](segmenter, every, settings, options))
    rows = tuple(
        StructureScores(
            case=title,
            structure=structure,
            label=label,
            plane=pictures[0][1].scores[0].plane,
            prompted_slice=0,
            pixels=every.areas[every.showing(label)[0]][label],
            values=_in_order(scores[label]),
        )
        for label, structure in every.names.items()
    )
    scored = ScoredCase(title, image_sha256, labels_sha256, len(pictures), rows)
    if log:
        log.add(scored)
    return scored


def _in_order(values: Measures) -> Measures:
    return {column: values[column] for column in COLUMNS if column in values}


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
        prompted_slice=case.view.slice_index(frame),
        pixels=int(case.truth_on(frame, label).sum()),
        values=_in_order(values),
        volume_ml=int(np.count_nonzero(case.truth(label))) * case.volume.geometry.voxel_volume_ml,
    )
