"""`medsam2 train`: learn from a recipe, and write weights that `medsam2 segment --model` takes."""

from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer

from medsam2.cli.options import Debug, Device, Quiet, Verbose
from medsam2.cli.output import Output
from medsam2.segmenter import choose_device
from medsam2.training.export import export_weights
from medsam2.training.launch import EXIT_STOPPED, Outcome, plan, prepare, train, write_plan
from medsam2.training.processes import join_processes
from medsam2.training.recipe import Recipe
from medsam2.training.recipe_files import of_length, shipped_recipes
from medsam2.training.run_folder import RunFolder
from medsam2.training.trainer import Trainer

PER_MILLE = 1000

MOST_NAMED = 5


def train_command(
    recipe: Annotated[
        str,
        typer.Argument(
            help=f"A recipe that comes with medsam2 ({', '.join(shipped_recipes())}), a file (.yaml, .json), or the "
            "folder of a run to go on with."
        ),
    ],
    data: Annotated[str | None, typer.Option(help="Labelled images: LAYOUT:PATH, a folder, a table (.csv).")] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Folder of the run.", show_default="runs/NAME")
    ] = None,
    start: Annotated[str | None, typer.Option(help="Weights to start from: a name, a file, or scratch.")] = None,
    steps: Annotated[int | None, typer.Option(help="Length of the run.")] = None,
    minutes: Annotated[float | None, typer.Option(help="Length of the run, in time instead of steps.")] = None,
    change: Annotated[
        list[str] | None,
        typer.Option("--set", help="Change a setting: optimiser.learning_rate=1e-5. Can be repeated."),
    ] = None,
    tensorboard: Annotated[bool, typer.Option("--tensorboard", help="Log for TensorBoard, too.")] = False,
    check: Annotated[bool, typer.Option("--check", help="Read and check everything, but do not train.")] = False,
    export: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Do not train: write the weights of a run's folder.")
    ] = None,
    device: Device = "auto",
    quiet: Quiet = False,
    verbose: Verbose = False,
    debug: Debug = False,
) -> None:
    """Train, or fine-tune, by a recipe.

    A run that was stopped (exit code 130) or killed goes on if it is started again with the same flags, with the same
    losses as if nothing had happened. Several GPUs: accelerate launch -m medsam2 train ...
    """
    if export is not None:
        export_weights(RunFolder(Path(recipe)), export)
        Output(quiet).say(f"wrote {export}")
        return
    processes = join_processes(choose_device(device))
    out = Output(quiet or processes.rank > 0, verbose)
    named = {key: text for key, text in (("data.source", data), ("start", start)) if text}
    planned, folder = plan(recipe, output, change or (), named)
    planned = of_length(planned, steps, minutes)
    with folder.owned() if processes.rank == 0 and not check else nullcontext():
        with out.progress("reading all cases") as told:
            trainer = prepare(planned, folder, processes, tensorboard, told)
        out.say(_beginning(planned, trainer))
        if trainer.is_first and trainer.lessons.left_out:
            out.warn(_too_small(trainer.lessons.left_out))
        if not check:
            _train(out, trainer)
        elif trainer.is_first and not folder.holds_run:
            write_plan(trainer.run)


def _train(out: Output, trainer: Trainer) -> None:
    with out.progress(f"training {trainer.run.recipe.name}") as told:
        outcome = train(trainer, lambda share: told(round(PER_MILLE * share), PER_MILLE))
    if trainer.is_first:
        _finish(out, outcome, trainer.run.folder)
    if not outcome.finished:
        raise typer.Exit(EXIT_STOPPED)


def _beginning(recipe: Recipe, trainer: Trainer) -> str:
    length = f"{recipe.steps} steps" if recipe.steps else f"{recipe.minutes:g} minutes"
    data = trainer.run.data
    cases = f"{len(data.training)} cases, chosen by {len(data.validation)} others" if data else "synthetic anatomy"
    before = f", going on after {trainer.steps}" if trainer.steps else ""
    return f"{recipe.name}: {length} on {cases}{before}; log: {trainer.run.folder.log}"


def _too_small(names: list[str]) -> str:
    shown = ", ".join(names[:MOST_NAMED]) + (", ..." if len(names) > MOST_NAMED else "")
    return (
        f"no structure of {len(names)} cases is large enough to be prompted where frames are looked at whole; they are "
        f"left out there ({shown}). Crop the images around what is to be learnt"
    )


def _finish(out: Output, outcome: Outcome, folder: RunFolder) -> None:
    if not outcome.finished:
        out.say(f"stopped after {outcome.steps} steps; the same command goes on from there")
        return
    export_weights(folder, folder.weights)
    if outcome.best >= 0:
        out.say(f"Dice on the validation split: {outcome.best:.3f}")
    out.say(f"wrote {folder.weights}; try it: medsam2 segment --model {folder.weights}")
