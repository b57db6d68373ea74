"""Pictures of where a model failed most: the structures with the least Dice are asked for again, and drawn."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from medsam2.datasets.cases import Case, CaseSet
from medsam2.engine.set_result import ImageMask, SetSettings
from medsam2.engine.volume_result import Progress, SegmentSettings
from medsam2.evaluation.labelled_pictures import picture_alone
from medsam2.evaluation.protocol_options import DEFAULT_OPTIONS, ProtocolOptions
from medsam2.evaluation.protocols import Protocol, run_of
from medsam2.evaluation.run_log import ScoredCase
from medsam2.evaluation.scores import StructureScores, is_known
from medsam2.evaluation.simulated_prompts import PromptKind, slice_prompt
from medsam2.evaluation.single_slice import SliceSegmenter
from medsam2.evaluation.volume_judging import FoundSlice, Segmenting
from medsam2.frames import SetImage, choose_window
from medsam2.prompts import PromptSet, SlicePrompt
from medsam2.prompts.prompt_types import MaskArray
from medsam2.reporting.evaluation_pictures import contour_picture
from medsam2.spatial import Plane, PlaneView, Volume

WORST_SHOWN = 8

STREAMED = tuple(protocol for protocol in Protocol if protocol.value.endswith("-volume"))
"""Protocols that go through a whole volume, in the order in which one is chosen to be shown."""

ON_SLICE: Mapping[Protocol, PromptKind] = {Protocol.BOX: PromptKind.BOX, Protocol.CLICK: PromptKind.CLICK}
"""Those of one slice that can be shown; chosen where nothing went through a volume."""


@dataclass(frozen=True, eq=False)
class WorstCase:
    """A structure and pictures of it.

    Attributes:
        scores: of the structure.
        column: of the Dice that it was chosen by.
        pictures: what each shows, and its PNG file.
    """

    scores: StructureScores
    column: str
    pictures: tuple[tuple[str, bytes], ...]


@dataclass(frozen=True, eq=False)
class _Answer:
    """What was found of a structure: by frame its masks (R, C), and what was prompted."""

    masks: Mapping[int, MaskArray]
    prompts: Mapping[int, SlicePrompt]


def worst_of(scored: Sequence[ScoredCase], column: str, count: int = WORST_SHOWN) -> list[StructureScores]:
    """The structures with the least value in a column, the least first; of equals, those that come first."""
    rows = [row for case in scored for row in case.scores if is_known(row.values, column)]
    return sorted(rows, key=lambda row: row.values[column])[:count]


def shown_column(scored: Sequence[ScoredCase]) -> str | None:
    """The Dice by which the worst are chosen: of the first protocol that can be shown; None if there is none."""
    for protocol in (*STREAMED, *ON_SLICE):
        if any(is_known(row.values, protocol.column) for case in scored for row in case.scores):
            return protocol.column
    return None


def draw_worst(
    segmenter: Segmenting,
    cases: CaseSet,
    scored: Sequence[ScoredCase],
    settings: SegmentSettings,
    options: ProtocolOptions = DEFAULT_OPTIONS,
    progress: Progress | None = None,
    count: int = WORST_SHOWN,
) -> Iterator[WorstCase]:
    """Ask again for the structures with the least Dice, and draw them.

    Args:
        segmenter: that was evaluated.
        cases: on which.
        scored: what came of it.
        settings: with which.
        options: with which.
        progress: told (structures drawn, structures to draw).
        count: how many, at most.
    """
    column = shown_column(scored)
    if column is None:
        return
    protocol = Protocol(column.replace("_", "-"))
    sources = {source.name: source for source in cases.sources}
    rows = worst_of(scored, column, count)
    for done, row in enumerate(rows, start=1):
        case = sources[row.case].load()
        alone = replace(case, names={row.label: case.names[row.label]})
        answer = _answer(protocol, segmenter, alone, settings, options)
        yield WorstCase(row, column, tuple(_pictures(alone, row.label, answer, settings)))
        if progress:
            progress(done, len(rows))


def _answer(
    protocol: Protocol, segmenter: Segmenting, case: Case, settings: SegmentSettings, options: ProtocolOptions
) -> _Answer:
    if protocol not in ON_SLICE:
        watched = _Watched(segmenter, case.view)
        run_of(protocol, options)(watched, case, settings)
        return _Answer(watched.masks, watched.prompts)
    ((label, frame),) = case.prompted_frames.items()
    prompt = slice_prompt(ON_SLICE[protocol], case.truth_on(frame, label))
    volume, view, shown = _shown_alone(case, frame)
    (found,) = SliceSegmenter(segmenter.network, volume, view, settings).answers(shown, [prompt])
    return _Answer({frame: found.mask}, {frame: prompt})


class _Watched:
    """A segmenter of one structure that keeps what it was last asked and what it answered."""

    def __init__(self, segmenter: Segmenting, view: PlaneView) -> None:
        self.network = segmenter.network
        self.masks: dict[int, MaskArray] = {}
        self.prompts: Mapping[int, SlicePrompt] = {}
        self._segmenter, self._view = segmenter, view

    def stream(
        self, volume: Volume, prompts: PromptSet, settings: SegmentSettings | None = None
    ) -> Iterator[FoundSlice]:
        (resolved,) = prompts.resolve(volume.geometry, self._view.plane)
        self.masks, self.prompts = {}, resolved.slices
        for one in self._segmenter.stream(volume, prompts, settings):
            self.masks[self._view.frame_number(one.slice_index)] = one.mask
            yield one

    def stream_set(
        self,
        images: Sequence[SetImage],
        template: str | Sequence[str],
        prompts: PromptSet | Sequence[PromptSet],
        settings: SetSettings | None = None,
    ) -> Iterator[ImageMask]:
        return self._segmenter.stream_set(images, template, prompts, settings)


def _pictures(case: Case, label: int, answer: _Answer, settings: SegmentSettings) -> Iterator[tuple[str, bytes]]:
    """The prompted slice, and the one with the most pixels that are wrong."""
    truth = case.truth(label)
    nothing = np.zeros(case.view.frame_shape, bool)
    wrong = {t: int(np.count_nonzero(truth[t] ^ answer.masks.get(t, nothing))) for t in range(len(truth))}
    prompted, worst = case.prompted_frames[label], max(wrong, key=lambda t: wrong[t])
    chosen = {prompted: "prompted"} if len(answer.masks) < 2 or prompted == worst else {prompted: "prompted", worst: ""}
    for frame, what in chosen.items():
        picture = contour_picture(
            frame=_shown(case, frame, settings),
            found=answer.masks.get(frame, nothing),
            reference=truth[frame],
            spacing_mm=case.view.frame_spacing_mm,
            prompt=answer.prompts.get(frame),
        )
        place = f"slice {case.view.slice_index(frame)}"
        yield f"{place}, {what or f'the worst: {wrong[frame]:,} pixels wrong'}", picture


def _shown(case: Case, frame: int, settings: SegmentSettings) -> NDArray[np.float32]:
    """A slice as it is shown to the network, (R, C) or (R, C, 3) in [0, 1]."""
    volume, view, number = _shown_alone(case, frame)
    return choose_window(volume, settings.window).apply(view.to_frames(volume.array)[number])


def _shown_alone(case: Case, frame: int) -> tuple[Volume, PlaneView, int]:
    """What is shown with a slice: the whole volume, or of an unordered set the picture alone; and its number there."""
    if case.ordered:
        return case.volume, case.view, frame
    picture = picture_alone(case.volume, case.view, frame)
    return picture, PlaneView.of(picture.geometry, Plane.AXIAL), 0
