"""A recipe: everything that a training run is made of. It is written beside its result."""

from dataclasses import dataclass, field, replace
from itertools import accumulate
from typing import Literal

import numpy as np

from medsam2.errors import ConfigurationError
from medsam2.frames import choose_window
from medsam2.network import NetworkConfig
from medsam2.network.config import SIZE_MULTIPLE, Precision
from medsam2.spatial import Geometry, Volume
from medsam2.training.augmentation import Augmentation
from medsam2.training.clip_loss import ClipSettings
from medsam2.training.synthetic_clips import BatchShape

SYNTHETIC = "synthetic"
"""As `data.source`: painted anatomy."""

SCRATCH = "scratch"
"""As `start`: no weights."""

ROUNDING = 1e-6

ANY_VOLUME = Volume(np.zeros((1, 1, 1), np.float32), Geometry((1, 1, 1), np.eye(4)))
"""To try a window on: whether there is such a window does not depend on the volume."""


@dataclass(frozen=True)
class DataSettings:
    """What is trained on, and what the best weights are chosen by.

    Attributes:
        source: "synthetic", or labelled images as `medsam2 evaluate --on` takes them: LAYOUT:PATH, a folder, a table.
        ordered: clips are slices of one volume; else pictures without an order, each of another case.
        channel: only images of this channel, where cases have several.
        splits: JSON file of patients by split, in place of the set's own.
        training: name of the split to train on.
        validation: name of the split to choose by.
        validation_share: of the training split's patients, taken out to choose by where the set has no such split; 0:
            the last weights are kept. Nothing else of the set is ever read.
        window: intensities shown, see `medsam2.frames.choose_window`.
        longest_gap: the slices of a clip lie up to this many slices apart.
        cases_in_memory: cases that are kept; others are read again.
    """

    source: str = SYNTHETIC
    ordered: bool = True
    channel: str | None = None
    splits: str | None = None
    training: str = "training"
    validation: str = "validation"
    validation_share: float = 0.2
    window: str = "auto"
    longest_gap: int = 1
    cases_in_memory: int = 16

    def __post_init__(self) -> None:
        if not 0 <= self.validation_share < 1:
            raise ConfigurationError(f"'data.validation_share' is {self.validation_share}; expected a share below 1")
        if self.training == self.validation:
            raise ConfigurationError(f"'{self.training}' is to be trained on and chosen by; expected two splits")
        _at_least(1, {"data.longest_gap": self.longest_gap, "data.cases_in_memory": self.cases_in_memory})
        try:
            choose_window(ANY_VOLUME, self.window)
        except ConfigurationError as error:
            raise ConfigurationError(f"'data.window': {error}") from error


@dataclass(frozen=True)
class Task:
    """What is practised in a step.

    Attributes:
        batch: what a batch holds; of size 0: that of the network that the run starts from.
        clip: how clips are prompted.
    """

    batch: BatchShape
    clip: ClipSettings = field(default_factory=ClipSettings)

    def __post_init__(self) -> None:
        shape, prompts = self.batch, self.clip.prompts
        _at_least(1, {f"batch.{key}": getattr(shape, key) for key in ("clips", "frames", "objects", "canvas", "looks")})
        _at_least(0, {"clip.first_frame_corrections": self.clip.first_frame_corrections})
        _shares({"batch.unordered": shape.unordered, "clip.later_correction": self.clip.later_correction})
        _shares({"clip.prompts.central": prompts.central})
        if shape.size < 0 or shape.size % SIZE_MULTIPLE:
            raise ConfigurationError(
                f"'batch.size' is {shape.size} pixels; expected a multiple of {SIZE_MULTIPLE}, or 0: the network's own"
            )
        if min(prompts.box, prompts.mask) < 0 or prompts.box + prompts.mask > 1 + ROUNDING:
            raise ConfigurationError(
                f"'clip.prompts' has {prompts.box} of boxes and {prompts.mask} of masks; expected shares, of 1 together"
            )
        if shape.frames == 1 and prompts.mask >= 1:
            raise ConfigurationError(
                "clips of one frame, prompted by its mask, leave nothing to learn; add other prompts"
            )


@dataclass(frozen=True)
class Stage:
    """A part of the run.

    Attributes:
        tasks: they take turns, step by step. The last one of the last stage is what the weights are for: they are
            tried as it practises, and remember its size.
        share: of the run, (0, 1].
    """

    tasks: tuple[Task, ...]
    share: float = 1.0

    def __post_init__(self) -> None:
        if not self.tasks:
            raise ConfigurationError("a stage has no task; expected at least one")
        if not 0 < self.share <= 1 + ROUNDING:
            raise ConfigurationError(f"a stage's 'share' is {self.share}; expected more than 0, and at most 1")


@dataclass(frozen=True)
class OptimiserSettings:
    """AdamW and its schedule (MedSAM-2 v2, section 4: warm-up, then a cosine).

    Attributes:
        learning_rate: the highest; it rises over `warm_up_steps` and falls as a cosine to `last_rate` of it.
        warm_up_steps: steps of linear rise.
        last_rate: share of the learning rate at the end.
        weight_decay: on matrices and filters.
        clip_norm: gradients are scaled down to this norm.
        layer_decay: a block of the image encoder learns this many times as fast as the next one; 1: all alike.
        average: decay of the moving average of the weights; the average is what is kept.
    """

    learning_rate: float = 1e-4
    warm_up_steps: int = 100
    last_rate: float = 0.02
    weight_decay: float = 0.05
    clip_norm: float = 1.0
    layer_decay: float = 1.0
    average: float = 0.998

    def __post_init__(self) -> None:
        if self.learning_rate <= 0 or not 0 < self.layer_decay <= 1 or not 0 <= self.average < 1:
            raise ConfigurationError(
                f"'optimiser' has learning_rate {self.learning_rate}, layer_decay {self.layer_decay}, average "
                f"{self.average}; expected above 0, in (0, 1], in [0, 1)"
            )
        if not self.clip_norm > 0 or not self.weight_decay >= 0:
            raise ConfigurationError(
                f"'optimiser' has clip_norm {self.clip_norm}, weight_decay {self.weight_decay}; expected above 0, not "
                "below 0"
            )
        _shares({"optimiser.last_rate": self.last_rate})
        _at_least(1, {"optimiser.warm_up_steps": self.warm_up_steps})


@dataclass(frozen=True)
class EncoderSettings:
    """What becomes of the image encoder.

    Attributes:
        mode: "train" all of it, "freeze" it, or "lora": freeze it, and learn low-rank updates of its attention.
        rank: of these updates.
    """

    mode: Literal["train", "freeze", "lora"] = "train"
    rank: int = 8

    def __post_init__(self) -> None:
        _at_least(1, {"encoder.rank": self.rank})


@dataclass(frozen=True)
class ValidationSettings:
    """When and how the weights are tried on the validation split.

    Attributes:
        every: steps between trials; there is one at the end, too.
        cases: most cases, spread over the split; None: all.
        structures: most structures of a case, the largest first.
    """

    every: int = 500
    cases: int | None = 16
    structures: int = 8

    def __post_init__(self) -> None:
        _at_least(1, {"validation.every": self.every, "validation.structures": self.structures})
        _at_least(1, {"validation.cases": 1 if self.cases is None else self.cases})


@dataclass(frozen=True)
class Recipe:
    """A whole run.

    Attributes:
        name: what the weights will be called.
        stages: in order; their shares add up to 1.
        start: weights to go on from, by name or file; "scratch": none.
        network: preset of a network from scratch.
        steps: length of the run; or
        minutes: length of the run: then any machine gets through the whole schedule, and no two runs are alike.
        accumulate: batches of a step in each process; their gradients are averaged.
        data: see `DataSettings`.
        optimiser: see `OptimiserSettings`.
        encoder: see `EncoderSettings`.
        augmentation: see `Augmentation`; None: the images as they are. (Synthetic anatomy is varied by its painter.)
        validation: see `ValidationSettings`.
        precision: of the computation; weights and their average are float32.
        seed: of everything that is drawn.
        save_minutes: time between saved states.
        log_steps: steps that a row of the log tells the mean of.
        licence: of the weights; None: what is known of the weights and data that they come from.
    """

    name: str
    stages: tuple[Stage, ...]
    start: str = "starter"
    network: str | None = None
    steps: int | None = None
    minutes: float | None = None
    accumulate: int = 1
    data: DataSettings = field(default_factory=DataSettings)
    optimiser: OptimiserSettings = field(default_factory=OptimiserSettings)
    encoder: EncoderSettings = field(default_factory=EncoderSettings)
    augmentation: Augmentation | None = field(default_factory=Augmentation)
    validation: ValidationSettings = field(default_factory=ValidationSettings)
    precision: Precision = "bfloat16"
    seed: int = 0
    save_minutes: float = 4.0
    log_steps: int = 20
    licence: str | None = None

    def __post_init__(self) -> None:
        if (self.steps is None) == (self.minutes is None) or (self.steps or self.minutes or 0) <= 0:
            raise ConfigurationError(
                f"'steps' is {self.steps} and 'minutes' is {self.minutes}; expected one of them, above 0"
            )
        if not self.stages or abs(sum(stage.share for stage in self.stages) - 1) > ROUNDING:
            shares = ", ".join(str(stage.share) for stage in self.stages)
            raise ConfigurationError(f"the stages' shares are {shares or 'none'}; expected a sum of 1")
        if (self.start == SCRATCH) != (self.network is not None):
            raise ConfigurationError(
                f"'start' is '{self.start}' and 'network' is {self.network!r}; expected a network's name with "
                f"'start: {SCRATCH}', and only there: weights know their own"
            )
        if self.network is not None:
            NetworkConfig.preset(self.network)
        _at_least(1, {"accumulate": self.accumulate, "log_steps": self.log_steps})

    def stage_at(self, progress: float) -> int:
        """Index of the stage at a share of the run, [0, 1]."""
        ends = accumulate(stage.share for stage in self.stages)
        return next((index for index, end in enumerate(ends) if progress < end - ROUNDING), len(self.stages) - 1)

    @property
    def aim(self) -> Task:
        """What the weights are for, and are tried at: the last stage's last task."""
        return self.stages[-1].tasks[-1]

    @property
    def side(self) -> int:
        """Input side in pixels that the weights are for."""
        return self.aim.batch.size

    @property
    def for_sets(self) -> bool:
        """The weights are for pictures that are segmented by one prompt for all, rather than by one for each."""
        return not self.data.ordered and self.aim.batch.frames > 1


def sized(recipe: Recipe, side: int) -> Recipe:
    """The recipe with the network's own input side, pixels, where it leaves it open."""

    def task(one: Task) -> Task:
        return one if one.batch.size else replace(one, batch=replace(one.batch, size=side))

    stages = (replace(stage, tasks=tuple(map(task, stage.tasks))) for stage in recipe.stages)
    return replace(recipe, stages=tuple(stages))


def _at_least(least: int, values: dict[str, int]) -> None:
    for name, value in values.items():
        if value < least:
            raise ConfigurationError(f"'{name}' is {value}; expected at least {least}")


def _shares(values: dict[str, float]) -> None:
    for name, value in values.items():
        if not 0 <= value <= 1:
            raise ConfigurationError(f"'{name}' is {value}; expected a share, 0..1")
