"""From a training run's folder to a weights file that can be shipped."""

from pathlib import Path
from typing import Any

import torch

from medsam2 import __version__
from medsam2.errors import CheckpointError
from medsam2.network import NetworkConfig, Sam2Network
from medsam2.training.state import load_state
from medsam2.training.trainer import STATE, part_of
from medsam2.weights import WeightsCard, save_network

LICENCE = "Apache-2.0"
DATA = (
    "Synthetic anatomy only (medsam2.synthetic), painted and rendered while training; no image and no label of a "
    "patient, and none of the example data."
)
NOTE = "Small and trained from nothing on synthetic images; for research, not a medical device."


def export_weights(folder: Path, path: Path, name: str) -> WeightsCard:
    """Write the averaged weights of a run, in half precision, with the record of how they came about.

    Args:
        folder: of the run.
        path: the file to write, `.safetensors`.
        name: what the weights are called.

    Raises:
        CheckpointError: the folder holds no state, or the file cannot be written.
    """
    found = load_state(folder / STATE)
    if found is None:
        raise CheckpointError(f"{folder}: there is no training state here; train first")
    tensors, facts = found
    network = Sam2Network(NetworkConfig.from_dict(facts["network"]))
    network.load_state_dict(part_of(tensors, "average."))
    card = WeightsCard(name, network.config, LICENCE, _record(facts), DATA, note=NOTE)
    save_network(network, path, card, dtype=torch.float16)
    return card


def _record(facts: dict[str, Any]) -> dict[str, Any]:
    return {
        "recipe": "python -m medsam2.training",
        "steps": facts["steps"],
        "minutes": round(facts["seconds"] / 60, 1),
        "settings": facts["settings"],
        "medsam2": __version__,
        "torch": torch.__version__,
    }
