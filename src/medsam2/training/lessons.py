"""What is learnt from in each step: the task whose turn it is, and a batch for each lane of this process."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import Generator

from medsam2.training.clip_loss import ClipBatch
from medsam2.training.clip_sources import AheadOfTime, ClipSource, SyntheticSource
from medsam2.training.draws import Lane, generator_at
from medsam2.training.processes import Processes
from medsam2.training.recipe import Recipe, Task

if TYPE_CHECKING:  # reading images takes packages that synthetic anatomy does without
    from medsam2.training.case_clips import CaseClips
    from medsam2.training.case_shelf import CaseShelf
    from medsam2.training.training_data import TrainingData


@dataclass(frozen=True)
class Lesson:
    """A batch to learn from.

    Attributes:
        task: how its clips are prompted.
        batch: the clips.
        generator: draws the prompts.
    """

    task: Task
    batch: ClipBatch
    generator: Generator


class Lessons:
    """The lessons of a run.

    A step's batches are numbered through all processes (its lanes): two processes with one batch each get what one
    process gets that accumulates two.

    Args:
        recipe: of the run.
        data: the cases; None: synthetic anatomy.
        processes: this one and the others.
        focused: the network looks at objects through regions (`NetworkConfig.focus`).

    Raises:
        ShapeError: of a task no case can be prompted.
    """

    def __init__(
        self, recipe: Recipe, data: "TrainingData | None", processes: Processes, focused: bool = False
    ) -> None:
        self.recipe, self.data, self.processes, self.focused = recipe, data, processes, focused
        self.lanes = recipe.accumulate * processes.count
        self.drawn: dict[str, int] = {}
        """By stage and task, the batches that each lane has had so far: with it a run goes on."""
        self.left_out = self._left_out()
        """Cases with which clips of some task never begin, as nothing in them is large enough to be prompted."""
        self._stage = -1
        self._sources: list[list[ClipSource]] = []

    def at(self, steps: int, stage: int) -> list[Lesson]:
        """This process's lessons of a step.

        Args:
            steps: made so far.
            stage: of the recipe.
        """
        if stage != self._stage:
            self._stage, self._sources = stage, self._sources_of(stage)
        tasks = self.recipe.stages[stage].tasks
        turn = steps % len(tasks)
        key = f"{stage}.{turn}"
        number = self.drawn.get(key, 0)
        self.drawn[key] = number + 1
        return [
            Lesson(tasks[turn], source.batch(number), generator_at(self.recipe.seed, "prompts", steps, lane))
            for lane, source in zip(self._own_lanes(), self._sources[turn], strict=True)
        ]

    def _own_lanes(self) -> range:
        return range(self.processes.rank, self.lanes, self.processes.count)

    def _sources_of(self, stage: int) -> list[list[ClipSource]]:
        """For each task of a stage one source a lane."""
        tasks = self.recipe.stages[stage].tasks
        lanes = [
            [Lane(self.recipe.seed, (stage, turn), index, self.lanes) for index in self._own_lanes()]
            for turn in range(len(tasks))
        ]
        if self.data is None:
            device = self.processes.device
            return [
                [SyntheticSource(task.batch, lane, device) for lane in own]
                for task, own in zip(tasks, lanes, strict=True)
            ]
        return self._case_sources(tasks, lanes, self.data)

    def _left_out(self) -> list[str]:
        if self.data is None:
            return []
        shelf = self._shelf(self.data)
        tasks = {task.batch: task for stage in self.recipe.stages for task in stage.tasks}
        found = {name for task in tasks.values() for name in self._clips(shelf, task, Lane(0, (0, 0))).left_out()}
        return [source.name for source in self.data.training if source.name in found]

    def _case_sources(
        self, tasks: tuple[Task, ...], lanes: list[list[Lane]], data: "TrainingData"
    ) -> list[list[ClipSource]]:
        shelf, thread = self._shelf(data), ThreadPoolExecutor(1)

        def source(task: Task, lane: Lane) -> ClipSource:
            return AheadOfTime(self._clips(shelf, task, lane), self.processes.device, thread)

        return [[source(task, lane) for lane in own] for task, own in zip(tasks, lanes, strict=True)]

    def _shelf(self, data: "TrainingData") -> "CaseShelf":
        from medsam2.training.case_shelf import CaseShelf

        settings = self.recipe.data
        return CaseShelf(data.training, settings.cases_in_memory, settings.window, data.extents)

    def _clips(self, shelf: "CaseShelf", task: Task, lane: Lane) -> "CaseClips":
        from medsam2.training.case_clips import CaseClips

        return CaseClips(shelf, task.batch, self.recipe.data, self.recipe.augmentation, lane, self.focused)
