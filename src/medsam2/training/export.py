"""From a training run to a weights file that can be shipped, with the record of how it came about."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from medsam2 import __version__
from medsam2.errors import CheckpointError
from medsam2.files import written_whole
from medsam2.network import NetworkConfig, Sam2Network
from medsam2.training.adaptation import plain_weights
from medsam2.training.plain_values import settings_from
from medsam2.training.recipe import SCRATCH, EncoderSettings, Recipe
from medsam2.training.run_folder import RunFolder
from medsam2.training.state import load_state, part_of

STARTER = "starter"
STARTER_LICENCE = "Apache-2.0"
"""Of runs that know no recipe: before there were recipes, all trained the starter."""

SYNTHETIC_DATA = (
    "Synthetic anatomy only (medsam2.synthetic), painted and rendered while training, some of it from label maps of a "
    "brain template and of nuclei (medsam2/synthetic/maps); no image, and nothing of the example CT."
)
NOTE = "For research, not a medical device."


def export_weights(folder: RunFolder, path: Path) -> None:
    """Write the result of a run, finished or not: the best weights if a trial chose any, else the last, averaged.

    Args:
        folder: of the run.
        path: the file to write, `.safetensors`.

    Raises:
        CheckpointError: the folder holds no state, or the file cannot be written.
    """
    found = load_state(folder.state)
    if found is None:
        raise CheckpointError(f"{folder.path}: there is no training state here; train first")
    tensors, facts = found
    if facts.get("best", -1.0) >= 0 and folder.weights.exists():  # without a trial, it is what a shorter run ended with
        _copy(folder.weights, path)
        return
    write_weights(facts, {**part_of(tensors, "network."), **part_of(tensors, "average.")}, path)


def _copy(source: Path, path: Path) -> None:
    if source.resolve() == path.resolve():
        return
    if path.suffix != source.suffix:
        raise CheckpointError(f"{path} must end in {source.suffix}")
    try:
        with written_whole(path) as draft:
            draft.write_bytes(source.read_bytes())
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be written ({error.strerror})") from error


def write_weights(facts: dict[str, Any], weights: dict[str, Tensor], path: Path) -> None:
    """Write weights in half precision, with their card.

    Args:
        facts: of the run's state.
        weights: of the network as it was adapted; low-rank updates are added in.
        path: the file, `.safetensors`.

    Raises:
        CheckpointError: the weights are not finite, or the file cannot be written.
    """
    from medsam2.weights import WeightsCard, save_network

    config, encoder = NetworkConfig.from_dict(facts["network"]), EncoderSettings()
    name, licence, data = STARTER, STARTER_LICENCE, SYNTHETIC_DATA
    scores: dict[str, float] = {}
    if "recipe" in facts:
        recipe = settings_from(Recipe, facts["recipe"])
        config, encoder = replace(config, size=recipe.side), recipe.encoder
        name, licence, data = recipe.name, _licence(recipe, facts), _data(recipe, facts)
        scores = {"validation dice": round(facts["best"], 4)} if facts["best"] >= 0 else {}
    network = Sam2Network(config)
    network.load_state_dict(plain_weights(Sam2Network(config), encoder, weights))
    card = WeightsCard(name, config, licence, _record(facts), data, scores, NOTE)
    save_network(network, path, card, dtype=torch.float16)


def _licence(recipe: Recipe, facts: dict[str, Any]) -> str:
    """What the recipe states, or what is known of what the weights come from."""
    if recipe.licence is not None:
        return recipe.licence
    start, data = facts["start"], facts["data"] or {"title": "synthetic anatomy", "licence": "free"}
    origins = [f"of '{start['name']}': {start['licence']}"] if start else []
    return "; ".join([*origins, f"of the data, {data['title']}: {data['licence']}"])


def _data(recipe: Recipe, facts: dict[str, Any]) -> str:
    before = "" if recipe.start == SCRATCH else f"Begun from '{facts['start'].get('name', recipe.start)}'. "
    data = facts["data"]
    if data is None:
        return before + SYNTHETIC_DATA
    splits = data["splits"]["training"]
    return f"{before}{data['title']} ({data['origin']}): {splits['cases']} cases of {splits['patients']} patients."


def _record(facts: dict[str, Any]) -> dict[str, Any]:
    """Of the training; runs before there were recipes have settings instead."""
    known = ("steps", "recipe", "settings", "start", "data")
    told = {key: facts[key] for key in known if facts.get(key)}
    versions = {"medsam2": __version__, "torch": torch.__version__}
    plain: dict[str, Any] = json.loads(json.dumps(told))
    return {**plain, "minutes": round(facts["seconds"] / 60, 1), **versions}
