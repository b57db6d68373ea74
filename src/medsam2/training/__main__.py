"""`python -m medsam2.training`: train the starter model from nothing, or go on with it."""

import argparse
from pathlib import Path

from medsam2.network import NetworkConfig
from medsam2.training.launch import launch
from medsam2.training.settings import starter_on_cpu

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="state and log; a run that is there goes on")
    parser.add_argument("--minutes", type=float, default=90)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--processes", type=int, default=2)
    given = parser.parse_args()
    launch(NetworkConfig.preset("starter"), starter_on_cpu(given.minutes), given.folder, given.device, given.processes)
