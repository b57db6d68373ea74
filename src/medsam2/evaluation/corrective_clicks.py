"""A box and five corrective clicks, by the rules of CVPR 2025's "Interactive 3D Biomedical Image Segmentation".

The rules are those of the challenge's evaluation script (github.com/JunMa11/CVPR-MedSegFMCompetition,
`CVPR25_iter_eval.py`): one answer to the box, then five more, each after one click a structure: in the largest
26-connected component of voxels that are wrong, where it is deepest, positive where the object was missed and negative
where there is none. A structure that is right to the voxel gets no click.

Three things differ. The challenge's box also tells on which slices the object begins and ends; here only the slice is
told on which it is largest, with its box there. Each structure is judged by its own mask and not by a label map, as
structures may overlap. And the file's `boxes`, stored as Python objects, are not read, but made from the labels.

Clicks are given with `with_corrections`: each is said of what was found on its slice.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from medsam2.datasets.cases import Case
from medsam2.engine.volume_result import SegmentSettings
from medsam2.evaluation.protocol_options import DEFAULT_OPTIONS, ProtocolOptions
from medsam2.evaluation.scores import Measures
from medsam2.evaluation.simulated_prompts import PromptKind, volume_prompts
from medsam2.evaluation.volume_judging import (
    STRUCTURES_AT_ONCE,
    CaseScores,
    Segmenting,
    measured_volume,
    spacing_mm,
)
from medsam2.metrics import dice, normalized_surface_dice, require_monai
from medsam2.prompts import PointPrompt, PromptSet
from medsam2.prompts.corrections import with_corrections
from medsam2.prompts.prompt_types import MaskArray
from medsam2.spatial import PlaneView

CLICKS = 5
TOLERANCE_MM = 2.0
TIES_SEED = 42
"""The challenge chooses so among the deepest voxels; so that the clicks are the same, so is it chosen here."""

COLUMN = "clicks5_volume"

TOUCHING = np.ones((3, 3, 3), bool)
"""Neighbours by face, edge or corner."""


def clicks_to_volume(
    segmenter: Segmenting, case: Case, settings: SegmentSettings, options: ProtocolOptions = DEFAULT_OPTIONS
) -> CaseScores:
    """The whole volume from the box on one slice, then after each of five clicks; nothing for pictures.

    Raises:
        MissingDependencyError: MONAI is not installed.
    """
    require_monai()
    if not case.is_sequence:
        return {}
    settings = replace(settings, plane=case.view.plane)
    labels = list(case.names)
    scores: CaseScores = {}
    for start in range(0, len(labels), STRUCTURES_AT_ONCE):
        scores |= _interact(segmenter, case, labels[start : start + STRUCTURES_AT_ONCE], settings, options)
    return scores


def _interact(
    segmenter: Segmenting, case: Case, labels: Sequence[int], settings: SegmentSettings, options: ProtocolOptions
) -> CaseScores:
    boxes = volume_prompts(case, labels, PromptKind.BOX)
    clicks: dict[int, list[PointPrompt]] = {label: [] for label in labels}
    rounds: dict[int, list[tuple[float, float]]] = {label: [] for label in labels}
    prompts, found, seconds = boxes, dict[int, MaskArray](), 0.0
    for number in range(CLICKS + 1):
        if number:
            for label in labels:
                clicks[label] += next_clicks(found[label], case.truth(label), case.view)
            corrected = (with_corrections(one, clicks[one.label], found[one.label], case.view) for one in boxes.objects)
            prompts = PromptSet(tuple(corrected))
        began = time.perf_counter()
        found = _answered(segmenter, case, prompts, settings)
        seconds += time.perf_counter() - began
        for label in labels:
            rounds[label].append(_judged(found[label], case, label))
    return {
        label: {
            **_columns(rounds[label]),
            **measured_volume(found[label], case, label, COLUMN, options.metrics),
            f"{COLUMN}_seconds": seconds,
        }
        for label in labels
    }


def next_clicks(found: MaskArray, truth: MaskArray, view: PlaneView) -> list[PointPrompt]:
    """The click that corrects the most; none where nothing is wrong.

    Args:
        found: (T, R, C) bool.
        truth: (T, R, C) bool.
        view: whose frames they are.
    """
    wrong, count = ndimage.label(found ^ truth, TOUCHING)
    if count == 0:
        return []
    sizes = np.bincount(wrong.ravel())
    sizes[0] = 0
    largest = int(sizes.argmax())
    window = ndimage.find_objects(wrong, largest)[largest - 1]
    place = _deepest(wrong[window] == largest) + np.array([side.start for side in window])
    t, y, x = place.tolist()
    i, j, k = view.to_index([(t, x, y)])[0].tolist()
    return [PointPrompt(i, j, k, bool(truth[t, y, x]))]


def _deepest(component: MaskArray) -> NDArray[np.int64]:
    """The voxel (t, y, x) that is farthest from the component's edge; of several one by the challenge's seed."""
    depth = ndimage.distance_transform_edt(np.pad(component, 1))[1:-1, 1:-1, 1:-1]
    deepest = np.argwhere(depth == depth.max())
    chosen: NDArray[np.int64] = deepest[np.random.RandomState(TIES_SEED).choice(len(deepest))]
    return chosen


def _answered(segmenter: Segmenting, case: Case, prompts: PromptSet, settings: SegmentSettings) -> dict[int, MaskArray]:
    """The masks (T, R, C) of all structures, by label."""
    shape = (case.view.frame_count, *case.view.frame_shape)
    masks = {one.label: np.zeros(shape, bool) for one in prompts.objects}
    for one in segmenter.stream(case.volume, prompts, settings):
        masks[one.label][case.view.frame_number(one.slice_index)] = one.mask
    return masks


def _judged(found: MaskArray, case: Case, label: int) -> tuple[float, float]:
    truth = case.truth(label)
    return dice(found, truth), normalized_surface_dice(found, truth, spacing_mm(case), TOLERANCE_MM)


def _columns(rounds: Sequence[tuple[float, float]]) -> Measures:
    """Dice and NSD after the box and after each click."""
    return {
        COLUMN: rounds[-1][0],
        **{f"{COLUMN}_dsc_{number}": one[0] for number, one in enumerate(rounds, start=1)},
        **{f"{COLUMN}_nsd_{number}": one[1] for number, one in enumerate(rounds, start=1)},
    }
