"""One-prompt segmentation of an unordered set: what is prompted on one picture is judged on all the others.

With several runs each begins from another picture and in another order, both drawn at random: how much depends on what
was prompted (as figure 5 of MedSAM-2, arXiv 2408.00874 v2). Or a share of the pictures is prompted, as in its tests.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import mean, stdev
from typing import Protocol

import numpy as np

from medsam2.datasets.cases import Case
from medsam2.engine.set_result import ImageMask, SetSettings
from medsam2.engine.volume_result import SegmentSettings
from medsam2.evaluation.labelled_pictures import LabelledPictures
from medsam2.evaluation.protocol_options import DEFAULT_OPTIONS, SHARE_OF_PICTURES, ProtocolOptions
from medsam2.evaluation.scores import Measures
from medsam2.evaluation.simulated_prompts import PromptKind, in_volume, slice_prompt
from medsam2.frames import SetImage, image_view
from medsam2.metrics import dice
from medsam2.prompts import PromptSet
from medsam2.prompts.prompt_types import MaskArray
from medsam2.spatial import Volume


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


@dataclass(frozen=True)
class Plan:
    """What one run over a set is made of, in numbers of pictures.

    Attributes:
        templates: those that are prompted.
        order: in which all are handed over.
    """

    templates: tuple[int, ...]
    order: tuple[int, ...]


@dataclass(frozen=True)
class _Judgement:
    """One picture: its Dice, NaN where the structure is not on it; whether it got a mask; the baseline's Dice."""

    dice: float
    any_mask: bool
    copied: float


def prompt_to_set(
    kind: PromptKind,
    segmenter: SegmentingSets,
    case: Case,
    settings: SegmentSettings,
    options: ProtocolOptions = DEFAULT_OPTIONS,
    share: bool = False,
) -> dict[int, Measures]:
    """All pictures of an unordered case from prompts on one, or on a share; nothing for volumes and single pictures."""
    if case.ordered or case.view.frame_count == 1:
        return {}
    return prompt_to_pictures(kind, segmenter, LabelledPictures.of_case(case), settings, options, share)


def prompt_to_pictures(
    kind: PromptKind,
    segmenter: SegmentingSets,
    pictures: LabelledPictures,
    settings: SegmentSettings,
    options: ProtocolOptions = DEFAULT_OPTIONS,
    share: bool = False,
) -> dict[int, Measures]:
    """Each structure of a set from prompts of its own, beside a template's true mask copied onto every other picture.

    Args:
        kind: of the prompts.
        segmenter: what is evaluated.
        pictures: the set.
        settings: window and size.
        options: how many runs, what is remembered, and the seed of what is drawn.
        share: each picture is prompted with the options' probability, and not just one.

    Returns:
        By label; means are over pictures, then over runs.
    """
    how = set_settings(settings, options)
    column = f"{kind}_share_set" if share else f"{kind}_set"
    scores = {}
    for label in pictures.names:
        plans = plan_runs(pictures, label, options, share)
        runs = [list(_run(kind, segmenter, pictures, label, plan, how)) for plan in plans]
        scores[label] = _measured(runs, column)
    return scores


def set_settings(settings: SegmentSettings, options: ProtocolOptions) -> SetSettings:
    """How sets are segmented: with the window and the size of volumes, and a memory policy of their own.

    Raises:
        ConfigurationError: no memory policy has that name.
    """
    how = SetSettings(window=settings.window, size=settings.size)
    return how if options.memory_of_sets is None else replace(how, memory=options.memory_of_sets)


def plan_runs(pictures: LabelledPictures, label: int, options: ProtocolOptions, share: bool) -> list[Plan]:
    """The runs for one structure; its templates show it.

    One run alone begins from the picture on which the structure is largest and keeps the order. Of several, no two
    begin from one picture as long as there are others.
    """
    showing, count = pictures.showing(label), len(pictures.pictures)
    generator = options.generator(pictures.name, label)
    if share:
        chance = SHARE_OF_PICTURES if options.share is None else options.share
        drawn = [generator.random(count) < chance for _ in range(options.templates)]
        templates = [tuple(n for n in showing if mask[n]) or (showing[0],) for mask in drawn]
    elif options.templates == 1:
        templates = [(showing[0],)]
    else:
        shuffled = generator.permutation(showing).tolist()
        templates = [(shuffled[run % len(shuffled)],) for run in range(options.templates)]
    if options.templates == 1:
        return [Plan(one, tuple(range(count))) for one in templates]
    return [Plan(one, tuple(generator.permutation(count).tolist())) for one in templates]


def _run(
    kind: PromptKind,
    segmenter: SegmentingSets,
    pictures: LabelledPictures,
    label: int,
    plan: Plan,
    how: SetSettings,
) -> Iterator[_Judgement]:
    """Judge all pictures but the templates."""
    by_name = {one.name: one for one in pictures.pictures}
    truths = {(one := pictures.pictures[number]).name: one.truth(label) for number in plan.templates}
    prompts = [_prompt(kind, by_name[name].read(), truth) for name, truth in truths.items()]
    images = [pictures.pictures[number] for number in plan.order]
    names = list(truths)
    found = (
        segmenter.stream_set(images, names[0], prompts[0], how)
        if len(names) == 1
        else segmenter.stream_set(images, names, prompts, how)
    )
    for mask in found:
        if mask.segmentation is not None and mask.name not in truths:
            view = image_view(mask.segmentation.geometry, mask.name)
            own = view.to_frames(mask.segmentation.labels)[0] == 1
            yield _judge(own, by_name[mask.name].truth(label), truths[names[0]])


def _prompt(kind: PromptKind, picture: Volume, truth: MaskArray) -> PromptSet:
    prompt = slice_prompt(kind, truth)
    return PromptSet((in_volume({0: prompt}, image_view(picture.geometry), "structure", 1),))


def _judge(found: MaskArray, truth: MaskArray, template: MaskArray) -> _Judgement:
    if not truth.any():
        return _Judgement(math.nan, bool(found.any()), math.nan)
    return _Judgement(dice(found, truth), bool(found.any()), dice(_stretched(template, truth.shape), truth))


def _stretched(mask: MaskArray, shape: tuple[int, ...]) -> MaskArray:
    """A mask laid over a picture of another size."""
    rows, columns = (np.arange(to) * of // to for of, to in zip(mask.shape, shape, strict=True))
    return mask[np.ix_(rows, columns)]


def _measured(runs: Sequence[Sequence[_Judgement]], column: str) -> Measures:
    """Mean Dice over the pictures with the structure; the share of those without it that get a mask."""
    there = [[one for one in run if not math.isnan(one.dice)] for run in runs]
    by_run = [mean(one.dice for one in run) for run in there if run]
    absent = [one for run in runs for one in run if math.isnan(one.dice)]
    baseline = "copied_share_mask" if column.endswith("_share_set") else "copied_mask"
    return {
        column: _mean(by_run),
        f"{column}_std": stdev(by_run) if len(by_run) > 1 else math.nan,
        f"{column}_false": _mean([float(one.any_mask) for one in absent]),
        baseline: _mean([mean(one.copied for one in run) for run in there if run]),
    }


def _mean(values: Sequence[float]) -> float:
    return mean(values) if values else math.nan
