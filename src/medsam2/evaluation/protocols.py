"""The protocols: what is prompted, what is asked of the segmenter, and how its answer is scored.

A protocol is a function of a segmenter, a case and settings that gives measures by label. The segmenter gets the
volume and the declared prompts and nothing else: the truth makes the prompts before (`simulated_prompts`) and judges
the answers after. Structures are prompted together but scored each by its own mask, before overlaps are settled.

Volumes are judged whole, unordered sets picture by picture (`one_prompt`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from enum import StrEnum
from functools import partial

import numpy as np
from numpy.typing import NDArray

from medsam2.datasets.cases import Case
from medsam2.engine.volume_result import SegmentSettings
from medsam2.evaluation.baselines import ellipse_in_box, flood, frozen, grown_from_mask, otsu_in_box
from medsam2.evaluation.corrective_clicks import clicks_to_volume
from medsam2.evaluation.labelled_pictures import LabelledPictures, picture_alone
from medsam2.evaluation.one_prompt import prompt_to_pictures, prompt_to_set
from medsam2.evaluation.prompted_share import share_to_volume
from medsam2.evaluation.protocol_options import DEFAULT_OPTIONS, ProtocolOptions
from medsam2.evaluation.scores import Measures
from medsam2.evaluation.simulated_prompts import PromptKind, slice_prompt, volume_prompts
from medsam2.evaluation.single_slice import SliceAnswer, SliceSegmenter
from medsam2.evaluation.volume_judging import STRUCTURES_AT_ONCE, CaseScores, Segmenting, judged_volume
from medsam2.frames import choose_window
from medsam2.metrics import dice, iou
from medsam2.network import Sam2Network
from medsam2.prompts import SlicePrompt
from medsam2.prompts.prompt_types import MaskArray
from medsam2.prompts.simulation import box_around, corrective_click, first_click
from medsam2.spatial import Plane, PlaneView, Volume

CORRECTIVE_CLICKS = 2


class Protocol(StrEnum):
    """What can be evaluated; the names are those of the command's flag."""

    BOX = "box"
    CLICK = "click"
    CLICKS3 = "clicks3"
    BOX_VOLUME = "box-volume"
    MASK_VOLUME = "mask-volume"
    CLICK_VOLUME = "click-volume"
    BOX_SET = "box-set"
    MASK_SET = "mask-set"
    BOX_SHARE_VOLUME = "box-share-volume"
    MASK_SHARE_VOLUME = "mask-share-volume"
    CLICK_SHARE_VOLUME = "click-share-volume"
    CLICKS5_VOLUME = "clicks5-volume"
    BOX_SHARE_SET = "box-share-set"
    MASK_SHARE_SET = "mask-share-set"

    @property
    def column(self) -> str:
        """Of its Dice in the scores; the names of its other columns begin with that."""
        return self.value.replace("-", "_")


ONE_PROMPT = tuple(Protocol)[:8]
"""Those that prompt one slice or picture: what is run where nothing else is asked for."""


def box_on_slice(segmenter: Segmenting, case: Case, settings: SegmentSettings) -> CaseScores:
    """The prompted slice from its box, beside the ellipse and Otsu's threshold in the box."""
    scores: CaseScores = {}
    for slices, frame, truths in _prompted_slices(segmenter.network, case, settings):
        answers = slices.answers(frame, [slice_prompt(PromptKind.BOX, truth) for truth in truths.values()])
        picture = slices.shown(frame)
        for (label, truth), answer in zip(truths.items(), answers, strict=True):
            box = box_around(truth)
            scores[label] = {
                "box": dice(answer.mask, truth),
                "ellipse": dice(ellipse_in_box(box, truth.shape), truth),
                "otsu": dice(otsu_in_box(picture, box), truth),
            }
    return scores


def click_on_slice(segmenter: Segmenting, case: Case, settings: SegmentSettings) -> CaseScores:
    """The prompted slice from one click: the mask that the network picks, and the best of its three."""
    scores: CaseScores = {}
    for slices, frame, truths in _prompted_slices(segmenter.network, case, settings):
        answers = slices.answers(frame, [slice_prompt(PromptKind.CLICK, truth) for truth in truths.values()])
        picture = slices.shown(frame)
        for (label, truth), answer in zip(truths.items(), answers, strict=True):
            click = first_click(truth)
            flooded = flood(picture, (int(click.y), int(click.x)))
            scores[label] = {**_judged_candidates(answer, truth), "flood": dice(flooded, truth)}
    return scores


def _judged_candidates(answer: SliceAnswer, truth: MaskArray) -> Measures:
    picked = answer.candidates[int(answer.estimates.argmax())]
    return {
        "click": dice(answer.mask, truth),
        "click_best": max(dice(one, truth) for one in answer.candidates),
        "click_regret": max(iou(one, truth) for one in answer.candidates) - iou(picked, truth),
    }


def three_clicks_on_slice(segmenter: Segmenting, case: Case, settings: SegmentSettings) -> CaseScores:
    """The prompted slice from one click and two more, each into the largest error of the answer before.

    All clicks so far are given together, as the command takes them; the answer before is not handed back.
    """
    scores: CaseScores = {}
    for slices, frame, truths in _prompted_slices(segmenter.network, case, settings):
        prompts = [slice_prompt(PromptKind.CLICK, truth) for truth in truths.values()]
        answers = slices.answers(frame, prompts)
        for _ in range(CORRECTIVE_CLICKS):
            corrected = zip(prompts, answers, truths.values(), strict=True)
            prompts = [_with_correction(prompt, answer.mask, truth) for prompt, answer, truth in corrected]
            answers = slices.answers(frame, prompts)
        for (label, truth), answer in zip(truths.items(), answers, strict=True):
            scores[label] = {"clicks3": dice(answer.mask, truth)}
    return scores


def _with_correction(prompt: SlicePrompt, answer: MaskArray, truth: MaskArray) -> SlicePrompt:
    """One more click; a perfect answer gets none."""
    click = corrective_click(truth, answer)
    return prompt if click is None else SlicePrompt((*prompt.points, click))


def _prompted_slices(
    network: Sam2Network, case: Case, settings: SegmentSettings
) -> Iterator[tuple[SliceSegmenter, int, dict[int, MaskArray]]]:
    """Each prompted slice: who segments it, its number there, and the truth (R, C) of its structures by label."""
    whole = SliceSegmenter(network, case.volume, case.view, settings) if case.ordered else None
    for frame, labels in case.labels_by_frame().items():
        truths = {label: case.truth_on(frame, label) for label in labels}
        if whole is not None:
            yield whole, frame, truths
        else:
            picture = picture_alone(case.volume, case.view, frame)
            view = PlaneView.of(picture.geometry, Plane.AXIAL)
            yield SliceSegmenter(network, picture, view, settings), 0, truths


def prompt_to_volume(
    kind: PromptKind,
    segmenter: Segmenting,
    case: Case,
    settings: SegmentSettings,
    options: ProtocolOptions = DEFAULT_OPTIONS,
) -> CaseScores:
    """The whole volume from a prompt on one slice, and the baselines that go with the prompt; nothing for pictures."""
    if not case.is_sequence:
        return {}
    settings = replace(settings, plane=case.view.plane)
    labels = list(case.names)
    scores: CaseScores = {}
    for start in range(0, len(labels), STRUCTURES_AT_ONCE):
        some = labels[start : start + STRUCTURES_AT_ONCE]
        found = segmenter.stream(case.volume, volume_prompts(case, some, kind), settings)
        prompted = {label: (case.prompted_frames[label],) for label in some}
        scores |= judged_volume(found, case, prompted, f"{kind}_volume", options.metrics)
    pictures = _shown(case.volume, case.view, settings)
    return {label: {**scores[label], **_volume_baselines(kind, pictures, case, label)} for label in labels}


def _volume_baselines(kind: PromptKind, pictures: NDArray[np.float32], case: Case, label: int) -> Measures:
    """The baselines that `BASELINES` names for a prompt."""
    truth, frame = case.truth(label), case.prompted_frames[label]
    mask, extent = truth[frame], np.asarray(truth.any(axis=(1, 2)))
    masks: dict[str, MaskArray] = {}
    if kind is not PromptKind.MASK:
        masks["frozen_ellipse"] = frozen(ellipse_in_box(box_around(mask), mask.shape), extent)
    if kind is not PromptKind.CLICK:
        masks["frozen_mask"] = frozen(mask, extent)
    if kind is PromptKind.MASK:
        masks["grown_mask"] = grown_from_mask(pictures, mask, frame)
    if kind is PromptKind.CLICK:
        click = first_click(mask)
        masks["grown_click"] = flood(pictures, (frame, int(click.y), int(click.x)))
    return {name: dice(one, truth) for name, one in masks.items()}


def _shown(volume: Volume, view: PlaneView, settings: SegmentSettings) -> NDArray[np.float32]:
    """All slices as the network is shown them, (T, R, C) grey in [0, 1]; colours are averaged."""
    window = choose_window(volume, settings.window)
    # Slice by slice, as the window computes in float64.
    pictures = (window.apply(picture) for picture in view.to_frames(volume.array))
    return np.stack([picture.mean(-1) if volume.is_rgb else picture for picture in pictures])


Run = Callable[[Segmenting, Case, SegmentSettings], CaseScores]

ON_SLICES: Mapping[Protocol, Run] = {
    Protocol.BOX: box_on_slice,
    Protocol.CLICK: click_on_slice,
    Protocol.CLICKS3: three_clicks_on_slice,
}
"""Protocols of one slice, which leave nothing open."""

WITH_OPTIONS: Mapping[Protocol, Callable[..., CaseScores]] = {
    Protocol.BOX_VOLUME: partial(prompt_to_volume, PromptKind.BOX),
    Protocol.MASK_VOLUME: partial(prompt_to_volume, PromptKind.MASK),
    Protocol.CLICK_VOLUME: partial(prompt_to_volume, PromptKind.CLICK),
    Protocol.BOX_SET: partial(prompt_to_set, PromptKind.BOX),
    Protocol.MASK_SET: partial(prompt_to_set, PromptKind.MASK),
    Protocol.BOX_SHARE_VOLUME: partial(share_to_volume, PromptKind.BOX),
    Protocol.MASK_SHARE_VOLUME: partial(share_to_volume, PromptKind.MASK),
    Protocol.CLICK_SHARE_VOLUME: partial(share_to_volume, PromptKind.CLICK),
    Protocol.CLICKS5_VOLUME: clicks_to_volume,
    Protocol.BOX_SHARE_SET: partial(prompt_to_set, PromptKind.BOX, share=True),
    Protocol.MASK_SHARE_SET: partial(prompt_to_set, PromptKind.MASK, share=True),
}
"""Those that take `options`."""

PROTOCOLS: Mapping[Protocol, Run] = {**ON_SLICES, **WITH_OPTIONS}
"""What is run for each name."""

PictureRun = Callable[[Segmenting, LabelledPictures, SegmentSettings, ProtocolOptions], CaseScores]

OVER_PICTURES: Mapping[Protocol, PictureRun] = {
    Protocol.BOX_SET: partial(prompt_to_pictures, PromptKind.BOX),
    Protocol.MASK_SET: partial(prompt_to_pictures, PromptKind.MASK),
    Protocol.BOX_SHARE_SET: partial(prompt_to_pictures, PromptKind.BOX, share=True),
    Protocol.MASK_SHARE_SET: partial(prompt_to_pictures, PromptKind.MASK, share=True),
}
"""What is run over all single pictures of a data set together."""


def run_of(protocol: Protocol, options: ProtocolOptions) -> Run:
    """What is run for a name, with the options that are asked for."""
    return partial(WITH_OPTIONS[protocol], options=options) if protocol in WITH_OPTIONS else ON_SLICES[protocol]
