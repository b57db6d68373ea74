"""Starting a run, or going on with one: everything that can be wrong is found before the first step."""

import json
import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from medsam2.errors import CheckpointError, ConfigurationError
from medsam2.network import NetworkConfig, Sam2Network
from medsam2.training.adaptation import adapt
from medsam2.training.processes import Processes
from medsam2.training.recipe import SCRATCH, SYNTHETIC, Recipe, sized
from medsam2.training.recipe_files import read_recipe, shipped_recipes
from medsam2.training.run_folder import RunFolder
from medsam2.training.state import SavedState, load_state
from medsam2.training.trainer import Run, Trainer, initialised

if TYPE_CHECKING:
    from medsam2.training.training_data import TrainingData

CHANGEABLE = ("name", "steps", "minutes", "save_minutes", "log_steps", "validation", "licence")
"""Settings that may be others when a run goes on; a longer run makes the learning rate rise again."""

BYTES_A_WEIGHT = 4

EXIT_STOPPED = 130
"""What a process exits with whose run was asked to stop; any other that Ctrl-C has ended does so, too."""


@dataclass(frozen=True)
class Outcome:
    """How a run ended.

    Attributes:
        steps: made in all.
        finished: its end was reached; else it was asked to stop.
        best: mean Dice of the best weights on the validation split, [0, 1]; below 0: nothing was tried.
    """

    steps: int
    finished: bool
    best: float


def plan(
    what: str, folder: Path | None, changes: Sequence[str] = (), texts: Mapping[str, str] | None = None
) -> tuple[Recipe, RunFolder]:
    """The recipe and the folder that a user means.

    Args:
        what: a recipe's name or file, or the folder of a run to go on with.
        folder: of the run; None: `runs/NAME`.
        changes: settings to change, see `read_recipe`.
        texts: the same.

    Raises:
        ConfigurationError: there is no such recipe or run, or a setting means nothing.
        FormatError: the recipe cannot be read.
    """
    found = RunFolder(Path(what))
    if found.recipe.exists():
        if folder is not None and folder.resolve() != found.path.resolve():
            raise ConfigurationError(
                f"{what} is a run's folder, where the run goes on; leave '-o {folder}' out, or give {found.recipe} for "
                "another run by the same recipe"
            )
        return read_recipe(str(found.recipe), changes, texts), found
    if found.path.is_dir() and what not in shipped_recipes():  # a folder of data may be called like a recipe
        raise ConfigurationError(f"{what}: holds no run ({found.recipe.name} is missing); give a recipe")
    recipe = read_recipe(what, changes, texts)
    return recipe, RunFolder(folder or Path("runs") / recipe.name)


def prepare(
    recipe: Recipe,
    folder: RunFolder,
    processes: Processes,
    boards: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Trainer:
    """Read and check everything: data, weights, the folder, the state of an earlier part of the run; write nothing.

    Between this and the end of the training, the first process should own the folder (`RunFolder.owned`).

    Args:
        recipe: of the run.
        folder: of the run.
        processes: this one and the others.
        boards: log for TensorBoard, too.
        progress: told (cases read, cases in all).

    Raises:
        MedSAM2Error: something does not fit, and what.
    """
    saved = load_state(folder.state)
    network, start = starting_network(recipe, folder, saved)
    recipe = sized(recipe, network.config.size)
    data = _data(recipe, progress)
    if saved is not None:
        check_same_run(recipe, data, recipe.accumulate * processes.count, saved[1], folder)
    if processes.rank == 0:
        folder.check(BYTES_A_WEIGHT * sum(one.numel() for one in network.parameters()))
    run = Run(recipe, folder, processes, data, start, boards, AskedToEnd())
    return Trainer(network.to(processes.device), run, saved)


def write_plan(run: Run) -> None:
    """Write what is run, and on whom, beside its result.

    Raises:
        FormatError: it cannot be written.
    """
    run.folder.write_recipe(run.recipe)
    if run.data is not None:
        run.folder.write_splits(run.data.patients)


def train(trainer: Trainer, progress: Callable[[float], None] = lambda _: None) -> Outcome:
    """Go on to the end, or until the process is asked to end (SIGTERM, Ctrl-C); the state is saved either way.

    Args:
        trainer: from `prepare`.
        progress: told the share of the run that is done.

    Raises:
        FormatError: the recipe or the splits cannot be written.
        CheckpointError: another file of the run cannot be written.
        MissingDependencyError: TensorBoard is wanted, and not installed.
    """
    if trainer.is_first:
        write_plan(trainer.run)
    finished = trainer.train(progress)
    return Outcome(trainer.steps, finished, trainer.best)


class AskedToEnd:
    """Whether a signal has asked the process to end; then the trainer saves first. A second one ends it at once."""

    def __init__(self) -> None:
        self._asked = False
        self._before = {number: signal.signal(number, self._ask) for number in (signal.SIGTERM, signal.SIGINT)}

    def _ask(self, *_: object) -> None:
        self._asked = True
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def __call__(self) -> bool:
        """Whether it was asked."""
        return self._asked


def _data(recipe: Recipe, progress: Callable[[int, int], None] | None) -> "TrainingData | None":
    if recipe.data.source == SYNTHETIC:
        return None
    from medsam2.training.training_data import open_training_data

    return open_training_data(recipe.data, progress)


def starting_network(recipe: Recipe, folder: RunFolder, saved: SavedState | None) -> tuple[Sam2Network, dict[str, Any]]:
    """The network that a run begins or goes on with, adapted, and what is known of the weights that it began with.

    Raises:
        CheckpointError: the weights are unknown, out of reach or damaged; the run was made before there were recipes.
    """
    torch.manual_seed(recipe.seed)  # first values of all that is not loaded
    start: dict[str, Any] = {}
    if saved is not None:
        if "recipe" not in saved[1]:
            raise CheckpointError(
                f"{folder.path}: the run there was made by an earlier medsam2; write its weights with --export FILE, "
                "and let a recipe start from that file"
            )
        network, start = Sam2Network(NetworkConfig.from_dict(saved[1]["network"])), saved[1]["start"]
    elif recipe.start == SCRATCH:
        network = initialised(Sam2Network(NetworkConfig.preset(recipe.network or "")))
    else:
        from medsam2.weights import load_network

        loaded = load_network(recipe.start)
        network = loaded.network.requires_grad_(True)
        start = {"name": loaded.card.name, "licence": loaded.card.licence, "sha256": loaded.sha256}
    adapt(network, recipe.encoder)
    return network, start


def check_same_run(
    recipe: Recipe, data: "TrainingData | None", lanes: int, facts: dict[str, Any], folder: RunFolder
) -> None:
    """Refuse to go on with a run that was another one.

    Raises:
        ConfigurationError: its recipe, its data or the number of its batches a step differ.
    """
    there, here = _flat(facts["recipe"]), _flat(json.loads(json.dumps(asdict(recipe))))
    changed = [key for key in sorted(there.keys() | here.keys()) if there.get(key) != here.get(key)]
    for key in changed:
        if key.partition(".")[0] not in CHANGEABLE:
            raise ConfigurationError(
                f"{folder.path}: the run there has '{key}' {there.get(key)!r}, the recipe {here.get(key)!r}; choose "
                "another folder with -o, or the same recipe"
            )
    if data is not None and json.loads(json.dumps(data.facts)) != facts["data"]:
        raise ConfigurationError(f"{folder.path}: the run there was made on other cases; choose another folder with -o")
    if lanes != facts["lanes"]:
        raise ConfigurationError(
            f"{folder.path}: the run there learns from {facts['lanes']} batches a step, this one would from {lanes}; "
            "set 'accumulate' so that processes times accumulate is the same"
        )


def _flat(plain: Any, prefix: str = "") -> dict[str, Any]:
    """Values by their path; those of a list together."""
    if not isinstance(plain, dict):
        return {prefix: plain}
    joined: dict[str, Any] = {}
    for key, value in plain.items():
        joined |= _flat(value, f"{prefix}.{key}" if prefix else key)
    return joined
