"""How long to train, on what, how fast."""

from dataclasses import dataclass, field

from medsam2.training.clip_loss import ClipSettings
from medsam2.training.prompting import PromptMix
from medsam2.training.synthetic_clips import BatchShape


@dataclass(frozen=True)
class Task:
    """What is practised in a step.

    Attributes:
        batch: what a batch holds, in each process.
        clip: how clips are prompted.
    """

    batch: BatchShape
    clip: ClipSettings = field(default_factory=ClipSettings)


@dataclass(frozen=True)
class Stage:
    """A part of the schedule.

    Attributes:
        share: of the whole time, (0, 1].
        tasks: they take turns, step by step.
    """

    share: float
    tasks: tuple[Task, ...]


@dataclass(frozen=True)
class TrainingSettings:
    """Everything that a run is made of; it is written beside its result.

    Attributes:
        minutes: time to train; the schedule is a matter of time, so that any machine gets through all of it.
        stages: in order; their shares add up to 1.
        learning_rate: the highest; it rises over `warm_up_steps` and falls as a cosine to `last_rate` of it.
        warm_up_steps: steps of linear rise.
        last_rate: share of the learning rate at the end.
        weight_decay: AdamW's.
        clip_norm: gradients are scaled down to this norm.
        average: decay of the moving average of the weights; the average is what is kept.
        seed: of the first process; the others count up from it.
        save_minutes: time between checkpoints.
    """

    minutes: float
    stages: tuple[Stage, ...]
    learning_rate: float = 7e-4
    warm_up_steps: int = 100
    last_rate: float = 0.02
    weight_decay: float = 0.05
    clip_norm: float = 1.0
    average: float = 0.998
    seed: int = 0
    save_minutes: float = 4.0

    def stage_at(self, progress: float) -> int:
        """Index of the stage at a share of the time, [0, 1]."""
        passed = 0.0
        for index, stage in enumerate(self.stages):
            passed += stage.share
            if progress < passed:
                return index
        return len(self.stages) - 1


SINGLE_IMAGES = ClipSettings(PromptMix(box=0.45, mask=0.0), first_frame_corrections=2)
CLIPS = ClipSettings(PromptMix(box=0.4, mask=0.25), first_frame_corrections=1)


def starter_on_cpu(minutes: float) -> TrainingSettings:
    """The starter model on two CPU cores: single images, short clips, then both in turn at full size.

    The last clips are as long as the memory is deep, so that all its places in time are practised. A step on single
    images costs a quarter of one on clips, and shows four times as many prompts.
    """
    return TrainingSettings(
        minutes=minutes,
        stages=(
            Stage(0.22, (Task(BatchShape(clips=8, frames=1, objects=4, size=128), SINGLE_IMAGES),)),
            Stage(0.16, (Task(BatchShape(clips=3, frames=4, objects=3, size=128), CLIPS),)),
            Stage(
                0.62,
                (
                    Task(BatchShape(clips=4, frames=1, objects=4, size=256), SINGLE_IMAGES),
                    Task(BatchShape(clips=1, frames=8, objects=4, size=256), CLIPS),
                ),
            ),
        ),
    )
