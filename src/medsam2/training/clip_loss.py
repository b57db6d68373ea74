"""One clip through the engine: prompted, propagated, corrected, judged (MedSAM-2 v2, section 4; SAM 2, appendix D)."""

from collections import defaultdict
from dataclasses import dataclass, field, replace

import torch
from torch import Generator, Tensor

from medsam2.engine.step import MOST_AMBIGUOUS_POINTS
from medsam2.engine.track import Advance, Moment, NetworkPrompt, Track, advance, pad_points
from medsam2.memory import MemoryBank, new_bank
from medsam2.network import ImageFeatures, MaskPrediction, Sam2Network
from medsam2.network.outputs import PointKind
from medsam2.training.losses import FrameLoss, consensus_loss, frame_loss, likeness_loss
from medsam2.training.prompting import PromptMix, corrective_clicks, first_prompts

LONG_VIDEO = 64
"""Clips pose as pieces of a video of this many frames: the times of pointers are as they will be in use."""


@dataclass(frozen=True)
class ClipBatch:
    """Clips to learn from.

    Attributes:
        images: (F, T, C, S, S) normalised frames of F clips, C = 1 or 3; every object is prompted on frame 0.
        truth: (B, T, S, S) bool masks of B objects; none is empty on frame 0.
        clip_of: (B,) int64, the clip of each object.
        steps: (T,) the frames' places in the video, rising from 0; gaps are slices that were left out.
        ordered: (F,) whether a clip's frames are slices of one volume, or images without an order.
        regions: (F, T, 4) what part of each frame is looked at, as in `ImageFeatures`; None: all of it.
    """

    images: Tensor
    truth: Tensor
    clip_of: Tensor
    steps: tuple[int, ...]
    ordered: tuple[bool, ...]
    regions: Tensor | None = None


@dataclass(frozen=True)
class ClipSettings:
    """How a clip is prompted.

    Attributes:
        prompts: kinds of first prompts.
        first_frame_corrections: most corrective clicks on the prompted frame.
        later_correction: share of clips in which one later frame gets a corrective click.
    """

    prompts: PromptMix = field(default_factory=PromptMix)
    first_frame_corrections: int = 2
    later_correction: float = 0.3


@dataclass
class ClipOutcome:
    """What one batch of clips gave: the loss to go down, and what to log.

    Attributes:
        total: scalar.
        scores: named (sum, count) pairs.
    """

    total: Tensor
    scores: dict[str, list[float]] = field(default_factory=lambda: defaultdict(lambda: [0.0, 0.0]))

    def note(self, name: str, values: Tensor) -> None:
        """Log the mean of the values that are not NaN."""
        known = values.detach().float()
        known = known[~known.isnan()]
        self.scores[name][0] += float(known.sum())
        self.scores[name][1] += len(known)


class ClipRun:
    """A batch of clips on its way through the engine."""

    def __init__(self, network: Sam2Network, batch: ClipBatch, settings: ClipSettings, generator: Generator) -> None:
        self.network, self.batch, self.settings, self.generator = network, batch, settings, generator
        regions = None if batch.regions is None else batch.regions.flatten(0, 1)
        flat = replace(network.encode_image(batch.images.flatten(0, 1)), regions=regions)
        self.features = [self._frame(flat, index) for index in range(len(batch.steps))]
        self.tracks = [Track(_bank(batch.ordered[clip])) for clip in batch.clip_of.tolist()]
        self.outcome = ClipOutcome(flat.stride16.new_zeros((), dtype=torch.float32))
        self.judged = 0

    def _frame(self, flat: ImageFeatures, index: int) -> ImageFeatures:
        """Frame `index` of each object's clip."""
        return flat.take(self.batch.clip_of * len(self.batch.steps) + index)

    def run(self) -> ClipOutcome:
        """Prompt frame 0, propagate, correct on the way."""
        self._prompt_first_frame()
        corrected = self._frame_to_correct()
        for index in range(1, len(self.batch.steps)):
            answers = self._advance(index)
            self._judge(index, answers, "tracked")
            if index == corrected:
                self._correct(index, answers, remembers=True)
        self.outcome.total = self.outcome.total / max(self.judged, 1)
        return self.outcome

    def _prompt_first_frame(self) -> None:
        prompts = first_prompts(self.batch.truth[:, 0], self.settings.prompts, self.generator)
        for track, prompt in zip(self.tracks, prompts, strict=True):
            track.prompts[0] = prompt
        answers = self._advance(0)
        for answer in answers:
            points = self.tracks[answer.rows[0]].prompts[0].kinds
            self._judge(0, [answer], "box" if len(points) > 1 else "click")
        for _ in range(self._draw(self.settings.first_frame_corrections + 1)):
            answers = self._correct(0, answers, remembers=False)

    def _frame_to_correct(self) -> int:
        """The frame that gets a corrective click, or -1."""
        if (
            len(self.batch.steps) < 2
            or float(torch.rand((), generator=self.generator)) > self.settings.later_correction
        ):
            return -1
        return 1 + self._draw(len(self.batch.steps) - 1)

    def _draw(self, below: int) -> int:
        return int(torch.randint(below, (), generator=self.generator))

    def _advance(self, index: int, rows: list[int] | None = None) -> list[Advance]:
        """Take some of the tracks, or all, to a frame; the rows that come back count all tracks."""
        chosen = list(range(len(self.tracks))) if rows is None else rows
        features = self.features[index] if rows is None else self.features[index].take(self._index(chosen))
        # A prompt says that the object is there. Without one the network decides, as it must in use: what it remembers
        # of its own mistakes is what it has to learn to mistrust.
        prompted = any(self.batch.steps[index] in self.tracks[row].prompts for row in chosen)
        present = torch.ones(len(chosen), dtype=torch.bool, device=self.batch.truth.device) if prompted else None
        moment = Moment(self.batch.steps[index], 1, LONG_VIDEO)
        found = advance(self.network, features, [self.tracks[row] for row in chosen], moment, present)
        return [replace(one, rows=[chosen[row] for row in one.rows]) for one in found]

    def _index(self, rows: list[int]) -> Tensor:
        return torch.tensor(rows, device=self.batch.truth.device)

    def _judge(self, index: int, answers: list[Advance], name: str) -> None:
        for answer in answers:
            if answer.prediction.candidates is None:  # the mask was given
                continue
            truth = self.batch.truth[answer.rows, index]
            loss = self._loss(index, answer.rows, answer.prediction.candidates, truth)
            self.outcome.total = self.outcome.total + loss.total() * len(answer.rows)
            if answer.likeness is not None:
                self._judge_likeness(answer.likeness, truth)
            self.judged += len(answer.rows)
            self._log(loss, truth, name, answer)

    def _judge_likeness(self, drawn: Tensor, truth: Tensor) -> None:
        """The first drawing is judged for itself: what tells objects apart is learnt soonest from what it tells."""
        loss, dice = likeness_loss(drawn, truth)
        self.outcome.total = self.outcome.total + loss.sum()
        self.outcome.note("dice likeness", dice)

    def _loss(self, index: int, rows: list[int], candidates: MaskPrediction, truth: Tensor) -> FrameLoss:
        """The loss of the mask that `engine.step` would take."""
        counts = [self._points_given(row, index) for row in rows]
        ordered = torch.tensor(self.batch.ordered, device=truth.device)[self.batch.clip_of[rows]]
        if self.network.config.consensus and not any(counts):
            return consensus_loss(candidates, truth, ordered)
        ambiguous = torch.tensor(counts, device=truth.device) <= MOST_AMBIGUOUS_POINTS
        return frame_loss(candidates, truth, ordered, ambiguous)

    def _points_given(self, row: int, index: int) -> int:
        prompt = self.tracks[row].prompts.get(self.batch.steps[index])
        return 0 if prompt is None else int((prompt.kinds != PointKind.PADDING).sum())

    def _log(self, loss: FrameLoss, truth: Tensor, name: str, answer: Advance) -> None:
        self.outcome.note(f"dice {name}", loss.dice)
        self.outcome.note("regret", loss.regret)
        self.outcome.note("iou error", loss.iou)
        here = truth.flatten(1).any(1)
        seen = (answer.prediction.object_score.detach() > 0).float()
        nothing = torch.full_like(seen, torch.nan)
        self.outcome.note("seen if absent", torch.where(here, nothing, seen))
        self.outcome.note("seen if present", torch.where(here, seen, nothing))

    def _correct(self, index: int, answers: list[Advance], remembers: bool) -> list[Advance]:
        """Add a click to each object that is on the frame and whose mask was not drawn, and ask again."""
        rows, logits = self._correctable(index, answers)
        if not rows:
            return []
        points, kinds = corrective_clicks(self.batch.truth[rows, index], logits, self.generator)
        keep_previous = float(torch.rand((), generator=self.generator)) < 0.5 or remembers
        step = self.batch.steps[index]
        for place, row in enumerate(rows):
            old = self.tracks[row].prompts.get(step, NetworkPrompt(points[place, :0], kinds[place, :0]))
            self.tracks[row].prompts[step] = NetworkPrompt(
                torch.cat((old.points, points[place])),
                torch.cat((old.kinds, kinds[place])),
                previous=logits[place, None] if keep_previous else None,
                remembers=remembers,
            )
        self._pad(rows, step)
        found = self._advance(index, rows)
        self._judge(index, found, "corrected")
        return found

    def _correctable(self, index: int, answers: list[Advance]) -> tuple[list[int], Tensor]:
        """Rows, and the logits (rows, S / 4, S / 4) they had."""
        rows, logits = [], []
        for answer in answers:
            if answer.prediction.candidates is None:
                continue
            for place, row in enumerate(answer.rows):
                if bool(self.batch.truth[row, index].any()):
                    rows.append(row)
                    logits.append(answer.prediction.logits[place].detach())
        return rows, torch.stack(logits).clamp(-32, 32) if logits else torch.empty(0)

    def _pad(self, rows: list[int], step: int) -> None:
        longest = max(len(self.tracks[row].prompts[step].points) for row in rows)
        for row in rows:
            self.tracks[row].prompts[step] = pad_points(self.tracks[row].prompts[step], longest)


def _bank(ordered: bool) -> MemoryBank:
    """The memory that is segmented with by default: `SegmentSettings` and `SetSettings` say so."""
    return new_bank("fifo" if ordered else "self-sorting", ordered=ordered)


def clip_loss(network: Sam2Network, batch: ClipBatch, settings: ClipSettings, generator: Generator) -> ClipOutcome:
    """Run a batch of clips and judge every answer.

    Args:
        network: in training mode.
        batch: the clips.
        settings: how they are prompted.
        generator: on the CPU; advanced.
    """
    return ClipRun(network, batch, settings, generator).run()
