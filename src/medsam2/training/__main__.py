"""`python -m medsam2.training RECIPE`: what `medsam2 train` does, where only torch and NumPy are installed.

Then the recipe has to be a .json file (the `recipe.json` of `medsam2 train RECIPE --check`), and its data synthetic.
"""

import argparse
import sys
from contextlib import nullcontext
from pathlib import Path

from medsam2.errors import MedSAM2Error
from medsam2.training.export import export_weights
from medsam2.training.launch import EXIT_STOPPED, plan, prepare, train
from medsam2.training.processes import join_processes
from medsam2.training.recipe_files import of_length
from medsam2.training.run_folder import RunFolder


def main(arguments: list[str] | None = None) -> None:
    """Train, or write the weights of what was trained."""
    parser = argparse.ArgumentParser(prog="python -m medsam2.training", description=__doc__)
    parser.add_argument("recipe", help="name or file of a recipe, or the folder of a run")
    parser.add_argument("-o", "--output", type=Path, help="folder of the run; a run that is there goes on")
    parser.add_argument("--steps", type=int, help="length of the run, in place of the recipe's")
    parser.add_argument("--minutes", type=float, help="the same, in minutes")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--export", type=Path, metavar="FILE", help="do not train; write the weights of a run's folder")
    given = parser.parse_args(arguments)
    try:
        if given.export is not None:
            export_weights(RunFolder(Path(given.recipe)), given.export)
            return
        recipe, folder = plan(given.recipe, given.output)
        processes = join_processes(given.device)
        with folder.owned() if processes.rank == 0 else nullcontext():
            outcome = train(prepare(of_length(recipe, given.steps, given.minutes), folder, processes))
    except MedSAM2Error as error:
        sys.exit(f"medsam2: error: {error}")
    if not outcome.finished:
        sys.exit(EXIT_STOPPED)


if __name__ == "__main__":
    main()
