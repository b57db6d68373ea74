"""`python -m medsam2.training FOLDER`: train the starter model from nothing, or go on with it; `--export` ships it."""

import argparse
from pathlib import Path

from medsam2.network import NetworkConfig
from medsam2.training.export import export_weights
from medsam2.training.launch import launch
from medsam2.training.settings import starter_on_cpu

STARTER = "starter"


def main(arguments: list[str] | None = None) -> None:
    """Train, or write the weights of what was trained."""
    parser = argparse.ArgumentParser(prog="python -m medsam2.training", description=__doc__)
    parser.add_argument("folder", type=Path, help="state and log; a run that is there goes on")
    parser.add_argument(
        "--minutes", type=float, default=90, help="of training in all, earlier parts of the run included"
    )
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--processes", type=int, default=2, help="on a CPU, one a core")
    parser.add_argument("--export", type=Path, metavar="FILE", help="do not train; write the run's weights here")
    given = parser.parse_args(arguments)
    if given.export is not None:
        export_weights(given.folder, given.export, STARTER)
        return
    config, settings = NetworkConfig.preset(STARTER), starter_on_cpu(given.minutes)
    launch(config, settings, given.folder, given.device, given.processes)


if __name__ == "__main__":
    main()
