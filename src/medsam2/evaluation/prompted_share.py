"""A share of the slices prompted, each with probability p, as the paper prompts at test (arXiv 2408.00874 v2).

What is drawn does not depend on the reference; of the drawn slices, those with the object are prompted. On the others
there is nothing to point at, and nothing is said: that the object is absent is not told.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from medsam2.datasets.cases import Case
from medsam2.engine.volume_result import SegmentSettings
from medsam2.evaluation.protocol_options import DEFAULT_OPTIONS, SHARE_OF_SLICES, ProtocolOptions
from medsam2.evaluation.simulated_prompts import PromptKind, prompts_on
from medsam2.evaluation.volume_judging import STRUCTURES_AT_ONCE, CaseScores, Segmenting, judged_volume
from medsam2.metrics import dice
from medsam2.prompts.prompt_types import MaskArray


def share_to_volume(
    kind: PromptKind,
    segmenter: Segmenting,
    case: Case,
    settings: SegmentSettings,
    options: ProtocolOptions = DEFAULT_OPTIONS,
) -> CaseScores:
    """The whole volume from prompts on a share of its slices, beside the nearest prompted slice's true mask.

    A structure of which no slice is drawn is prompted where it is largest, as everywhere else. Nothing for pictures.
    """
    if not case.is_sequence:
        return {}
    settings = replace(settings, plane=case.view.plane)
    frames = {label: drawn_frames(case, label, options) for label in case.names}
    labels = list(frames)
    column = f"{kind}_share_volume"
    scores: CaseScores = {}
    for start in range(0, len(labels), STRUCTURES_AT_ONCE):
        some = {label: frames[label] for label in labels[start : start + STRUCTURES_AT_ONCE]}
        found = segmenter.stream(case.volume, prompts_on(case, some, kind), settings)
        scores |= judged_volume(found, case, some, column, options.metrics)
    return {label: {**scores[label], **_nearest_baseline(kind, case, label, frames)} for label in labels}


def drawn_frames(case: Case, label: int, options: ProtocolOptions) -> tuple[int, ...]:
    """The frames that are prompted for a structure, ascending."""
    share = SHARE_OF_SLICES if options.share is None else options.share
    drawn = options.generator(case.name, label).random(case.view.frame_count) < share
    there = tuple(t for t in np.flatnonzero(drawn).tolist() if case.truth_on(t, label).any())
    return there or (case.prompted_frames[label],)


def nearest_mask(truth: MaskArray, prompted: tuple[int, ...]) -> MaskArray:
    """On every slice of the true extent, the mask of the nearest prompted slice; of two, the lower one's.

    Args:
        truth: (T, R, C).
        prompted: frames, ascending.
    """
    distance = np.abs(np.arange(len(truth))[:, None] - np.array(prompted))
    nearest = np.array(prompted)[distance.argmin(1)]
    return truth[nearest] & np.asarray(truth.any(axis=(1, 2)))[:, None, None]


def _nearest_baseline(
    kind: PromptKind, case: Case, label: int, frames: Mapping[int, tuple[int, ...]]
) -> dict[str, float]:
    truth = case.truth(label)
    return {
        "nearest_mask": dice(nearest_mask(truth, frames[label]), truth),
        f"{kind}_share_volume_prompts": float(len(frames[label])),
    }
