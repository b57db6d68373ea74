"""The training loop: steps, trials on the validation split, saves. One for all recipes, devices and processes."""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from medsam2.errors import CheckpointError
from medsam2.network import Sam2Network
from medsam2.training.clip_loss import clip_loss
from medsam2.training.export import write_weights
from medsam2.training.lessons import Lesson, Lessons
from medsam2.training.optimiser import learning_rate, make_optimiser
from medsam2.training.processes import Processes
from medsam2.training.recipe import Recipe
from medsam2.training.run_folder import RunFolder
from medsam2.training.run_log import RunLog, Sums, add_to
from medsam2.training.state import SavedState, part_of, save_state

if TYPE_CHECKING:
    from medsam2.training.training_data import TrainingData


@dataclass(frozen=True)
class Run:
    """What a run is made of.

    Attributes:
        recipe: all settings.
        folder: state, log and results.
        processes: this one and the others.
        data: the cases; None: synthetic anatomy.
        start: what is known of the weights that it began with, for the record.
        boards: log for TensorBoard, too.
        should_stop: asked after each step of the first process; when it says so, the state is saved and all end. A
            trial that was due is held when the run goes on.
    """

    recipe: Recipe
    folder: RunFolder
    processes: Processes
    data: "TrainingData | None" = None
    start: dict[str, Any] = field(default_factory=dict)
    boards: bool = False
    should_stop: Callable[[], bool] = lambda: False


class Trainer:
    """Trains a network, from where a run was left.

    All that is drawn depends on the seed and on the place in the run (`draws`), so that the state holds no generator:
    weights, their average, the optimiser's moments and a few counts are all that a run goes on from.

    Args:
        network: on the device, adapted as the recipe says.
        run: what the run is made of.
        saved: where it was left; None: at its beginning.
    """

    def __init__(self, network: Sam2Network, run: Run, saved: SavedState | None = None) -> None:
        self.network, self.run = network.train(), run
        self.learning = {name: one for name, one in network.named_parameters() if one.requires_grad}
        self.average = {name: one.detach().clone() for name, one in self.learning.items()}
        self.optimiser = make_optimiser(network, run.recipe.optimiser)
        self.lessons = Lessons(run.recipe, run.data, run.processes, network.config.focus > 0)
        self.steps, self.seconds, self.best = 0, 0.0, -1.0
        self.owes_trial = False
        """The last step's weights are still to be tried; its row is not in the log yet."""
        self.sums: Sums = {}
        self.log: RunLog | None = None
        if saved is not None:
            self._resume(saved)

    @property
    def progress(self) -> float:
        """Share of the run that is done."""
        recipe = self.run.recipe
        done = self.steps / recipe.steps if recipe.steps else self.seconds / (60 * (recipe.minutes or 1))
        return min(done, 1.0)

    @property
    def is_first(self) -> bool:
        """This process writes the files."""
        return self.run.processes.rank == 0

    def open_log(self) -> None:
        """Cut the log back to where the run was left, and write on from there; the first process does.

        Raises:
            CheckpointError: the log cannot be written.
            MissingDependencyError: TensorBoard is wanted, and not installed.
        """
        folder = self.run.folder
        if self.is_first:
            logged = self.steps - self.owes_trial
            self.log = RunLog(folder.log, logged, folder.boards if self.run.boards else None)

    def train(self, progress: Callable[[float], None] = lambda _: None) -> bool:
        """Go on to the end.

        Args:
            progress: told the share of the run that is done.

        Returns:
            Whether the end was reached, its trial included; else the run was asked to stop.

        Raises:
            CheckpointError: a file of the run cannot be written.
            MissingDependencyError: TensorBoard is wanted, and not installed.
        """
        self.open_log()
        if self.owes_trial:
            self._hold_trial()
        saved, stopped = time.monotonic(), False
        while self.progress < 1 and not stopped:
            began = time.monotonic()
            self.step()
            spent = time.monotonic() - began
            due = time.monotonic() - saved > 60 * self.run.recipe.save_minutes
            said = self.run.processes.first_says([self.seconds + spent, self.run.should_stop(), due])
            self.seconds, stopped, due = said[0], bool(said[1]), bool(said[2])
            self.owes_trial = self._trial_is_due()
            if not self.owes_trial:  # else the row tells its score, too
                self._write_log(None)
            if due or stopped or self.owes_trial or self.progress == 1:
                self.save()  # before the trial: whoever wants the process to end may not wait for that
                saved = time.monotonic()
            if self.owes_trial and not stopped:
                self._hold_trial()
            progress(self.progress)
        return self.progress == 1 and not self.owes_trial

    def step(self) -> None:
        """Learn from one batch a lane."""
        recipe = self.run.recipe
        rate = self._rate()
        for group in self.optimiser.param_groups:
            group["lr"] = rate * group["scale"]
        self.optimiser.zero_grad(set_to_none=False)
        for lesson in self.lessons.at(self.steps, recipe.stage_at(self.progress)):
            self._learn(lesson)
        self.run.processes.share_gradients(list(self.learning.values()))
        norm = nn.utils.clip_grad_norm_(self.learning.values(), recipe.optimiser.clip_norm)
        if torch.isfinite(norm):
            self.optimiser.step()
        self._forget_gradients_without_moments()
        self.steps += 1
        self._update_average()
        if self.is_first:
            add_to(self.sums, {"gradient norm": (float(norm), 1.0)})

    def _rate(self) -> float:
        return learning_rate(self.run.recipe.optimiser, self.steps, self.progress)

    def _learn(self, lesson: Lesson) -> None:
        recipe, device = self.run.recipe, self.run.processes.device
        with torch.autocast(device.type, torch.bfloat16, enabled=recipe.precision == "bfloat16"):
            outcome = clip_loss(self.network, lesson.batch, lesson.task.clip, lesson.generator)
        if outcome.total.requires_grad:  # single images whose masks were all drawn leave nothing to judge
            (outcome.total / recipe.accumulate).backward()
        add_to(self.sums, {**outcome.scores, "loss": (float(outcome.total.detach()), 1.0)})

    def _forget_gradients_without_moments(self) -> None:
        """Whether a weight that a batch does not use moves on depends on its momentum, and that alone is saved."""
        for one in self.learning.values():
            if one not in self.optimiser.state:
                one.grad = None

    @torch.no_grad()
    def _update_average(self) -> None:
        decay = min(self.run.recipe.optimiser.average, (1 + self.steps) / (10 + self.steps))
        for name, one in self.learning.items():
            self.average[name].lerp_(one, 1 - decay)

    def _trial_is_due(self) -> bool:
        due = self.steps % self.run.recipe.validation.every == 0 or self.progress == 1
        return due and self.run.data is not None and bool(self.run.data.validation)

    def _hold_trial(self) -> None:
        """Try the weights on the validation split, log the score, and save."""
        score = self._try_weights()
        self.owes_trial = False
        self._write_log(score)
        self.save()

    def _try_weights(self) -> float:
        """Mean Dice on the validation split; the best weights are written."""
        from medsam2.training.validation import trial

        recipe, processes = self.run.recipe, self.run.processes
        cases = self.run.data.spread_validation(recipe.validation.cases) if self.run.data else ()
        with self._averaged():
            found = list(trial(self.network, cases, recipe, (processes.rank, processes.count)))
        known = [one for part in processes.everyone_s(found) for one in part if not math.isnan(one)]
        score = sum(known) / len(known) if known else 0.0
        if score > self.best:
            self.best = score
            if self.is_first:
                write_weights(self.facts(), self.weights(), self.run.folder.weights)
        return score

    @contextmanager
    def _averaged(self) -> Iterator[None]:
        """The network with its averaged weights, in evaluation mode."""
        kept = {name: one.detach().clone() for name, one in self.learning.items()}
        self._set_weights(self.average)
        self.network.eval()
        try:
            yield
        finally:
            self._set_weights(kept)
            self.network.train()

    @torch.no_grad()
    def _set_weights(self, weights: dict[str, Tensor]) -> None:
        for name, one in self.learning.items():
            one.copy_(weights[name])

    def weights(self) -> dict[str, Tensor]:
        """The weights to keep: those that learn, averaged."""
        return {**self.network.state_dict(), **self.average}

    def _write_log(self, tried: float | None) -> None:
        if self.steps % self.run.recipe.log_steps and tried is None and self.progress < 1:
            return
        self._join_sums()
        if self.log is None:
            return
        place = {
            "steps": self.steps,
            "seconds": round(self.seconds, 1),
            "stage": self.run.recipe.stage_at(self.progress),
            "learning rate": self._rate(),
        }
        self.log.write(place, self.sums, tried)
        self.sums = {}

    def _join_sums(self) -> None:
        """What every process has summed up goes to the first."""
        everyone = self.run.processes.everyone_s(self.sums)
        self.sums = {}
        for sums in everyone if self.is_first else ():
            add_to(self.sums, sums)

    def save(self) -> None:
        """Write the state; all processes take part.

        Raises:
            CheckpointError: it cannot be written; the one before stays.
        """
        self._join_sums()
        if not self.is_first:
            return
        try:
            save_state(self.run.folder.state, self._tensors(), self.facts())
        except (OSError, RuntimeError) as error:  # PyTorch's writer knows no OSError
            reason = getattr(error, "strerror", None) or str(error).splitlines()[0]
            raise CheckpointError(
                f"{self.run.folder.state}: the state of step {self.steps} cannot be written ({reason}); "
                "the one before is whole, and the same command goes on from there"
            ) from error

    def _tensors(self) -> dict[str, Tensor]:
        tensors = {f"network.{name}": tensor for name, tensor in self.network.state_dict().items()}
        tensors |= {f"average.{name}": tensor for name, tensor in self.average.items()}
        for name, parameter in self.learning.items():
            for key, value in self.optimiser.state.get(parameter, {}).items():
                tensors[f"optimizer.{name}.{key}"] = torch.as_tensor(value)
        return tensors

    def facts(self) -> dict[str, Any]:
        """All of the state that is not a tensor."""
        return {
            "steps": self.steps,
            "seconds": self.seconds,
            "best": self.best,
            "owes trial": self.owes_trial,
            "drawn": self.lessons.drawn,
            "lanes": self.lessons.lanes,
            "sums": self.sums,
            "recipe": asdict(self.run.recipe),
            "network": self.network.config.to_dict(),
            "data": self.run.data.facts if self.run.data else None,
            "start": self.run.start,
        }

    def _resume(self, saved: SavedState) -> None:
        tensors, facts = saved
        self.network.load_state_dict(part_of(tensors, "network."))
        for name, tensor in part_of(tensors, "average.").items():
            self.average[name].copy_(tensor)
        moments = part_of(tensors, "optimizer.")
        for name, parameter in self.learning.items():
            state = {
                key: moments[f"{name}.{key}"] for key in ("step", "exp_avg", "exp_avg_sq") if f"{name}.{key}" in moments
            }
            if state:
                on_device = {
                    key: value if key == "step" else value.to(parameter.device) for key, value in state.items()
                }
                self.optimiser.state[parameter] = on_device
                # What has learnt before moves on with its momentum, even in a batch that does not use it.
                parameter.grad = torch.zeros_like(parameter)
        self.steps, self.seconds, self.best = facts["steps"], facts["seconds"], facts["best"]
        self.owes_trial = facts.get("owes trial", False)
        self.lessons.drawn = dict(facts["drawn"])
        self.sums = {name: list(one) for name, one in facts["sums"].items()} if self.is_first else {}


@torch.no_grad()
def initialised(network: Sam2Network) -> Sam2Network:
    """First values for training from nothing.

    Small normal embeddings where the published files start from zero, and a residual gain that lets the memory encoder
    learn at once.
    """
    for name, parameter in network.named_parameters():
        if name.endswith("gain"):
            parameter.fill_(0.1)
        elif not name.endswith("bias") and not parameter.any():
            nn.init.normal_(parameter, std=0.02)
    return network
