"""Do weights under our names fit a network, and which network would they fit?"""

from collections.abc import Mapping
from dataclasses import asdict
from functools import lru_cache
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from medsam2.errors import CheckpointError
from medsam2.network import PRESETS, NetworkConfig, Sam2Network

SHOWN = 5
"""How many keys of a kind a message names."""


@lru_cache(maxsize=16)
def expected_shapes(config: NetworkConfig) -> Mapping[str, torch.Size]:
    """The names and shapes of a network's weights (no memory is spent on the weights)."""
    with torch.device("meta"):
        network = Sam2Network(config)
    return {key: tensor.shape for key, tensor in network.state_dict().items()}


def check_fit(state: Mapping[str, Tensor], config: NetworkConfig) -> None:
    """Refuse weights that are not exactly those of a network.

    Args:
        state: weights under our names.
        config: the network that they are meant for.

    Raises:
        CheckpointError: keys are missing, unexpected or misshapen. The message names them and, where one is known,
            the configuration that would fit.
    """
    expected = expected_shapes(config)
    differences = {
        "missing": sorted(expected.keys() - state.keys()),
        "unexpected": sorted(state.keys() - expected.keys()),
        "misshapen": [
            f"{key} {tuple(state[key].shape)} instead of {tuple(shape)}"
            for key, shape in expected.items()
            if key in state and state[key].shape != shape
        ],
    }
    if any(differences.values()):
        found = "; ".join(_listed(kind, keys) for kind, keys in differences.items() if keys)
        raise CheckpointError(f"the weights do not fit the {_described(config)}: {found}. {_way_out(state, config)}")


def fitting_preset(state: Mapping[str, Tensor]) -> str:
    """The name of the preset that weights under our names belong to, told from their shapes.

    Heads, later windows and blocks of global attention leave no trace in the shapes; they come with the preset. SAM
    2.1 is told from SAM 2.0 by the parameters of its timed memory.

    Raises:
        CheckpointError: no preset has these shapes.
    """
    seen = _visible_settings(state)
    for name, preset in PRESETS.items():
        settings = asdict(preset) | {"window": preset.windows[0]}
        if all(settings[key] == value for key, value in seen.items()):
            return name
    described = ", ".join(f"{key} {value}" for key, value in seen.items())
    raise CheckpointError(
        f"the weights fit no known network ({', '.join(PRESETS)}); their shapes say: {described}. Save them with "
        "medsam2's save_network, which stores the configuration beside them"
    )


def _visible_settings(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """The settings of `NetworkConfig` that the shapes show, `windows` by its first one."""
    try:
        grid, window = state["image_encoder.position_grid"], state["image_encoder.position_window"]
        return {
            "embedding_width": grid.shape[1],
            "position_grid": grid.shape[-1],
            "window": window.shape[-1],
            "depths": _depths(state),
            "width": state["neck.laterals.0.weight"].shape[0],
            "feedforward": state["mask_decoder.transformer.layers.0.mlp.layers.0.weight"].shape[0],
            "memory_layers": _count(state, "memory_attention.layers.{}.self_norm.weight"),
            "timed_memory": "memory_layout.pointer_time.weight" in state,
        }
    except (KeyError, IndexError) as error:
        raise CheckpointError(
            f"these are not the weights of a SAM 2 network: '{error.args[0]}' is missing or misshapen"
        ) from error


def _depths(state: Mapping[str, Tensor]) -> tuple[int, ...]:
    """Blocks in each stage; the first block of a stage after the first has a shortcut of its own."""
    blocks = _count(state, "image_encoder.blocks.{}.mlp_norm.weight")
    starts = [0, *(n for n in range(blocks) if f"image_encoder.blocks.{n}.shortcut.weight" in state), blocks]
    return tuple(after - before for before, after in pairwise(starts))


def _count(state: Mapping[str, Tensor], pattern: str) -> int:
    """How many layers there are, numbered from 0 without a gap."""
    number = 0
    while pattern.format(number) in state:
        number += 1
    return number


def _listed(kind: str, keys: list[str]) -> str:
    more = f" and {len(keys) - SHOWN} more" if len(keys) > SHOWN else ""
    return f"{len(keys)} {kind} ({', '.join(keys[:SHOWN])}{more})"


def _described(config: NetworkConfig) -> str:
    names = [name for name, preset in PRESETS.items() if preset == config]
    return f"configuration '{names[0]}'" if names else f"configuration {config}"


def _way_out(state: Mapping[str, Tensor], config: NetworkConfig) -> str:
    """What to do about weights that do not fit."""
    try:
        name = fitting_preset(state)
    except CheckpointError:
        return "No known configuration fits: the file is incomplete, or of another architecture"
    if expected_shapes(PRESETS[name]) == expected_shapes(config):
        return f"They look like '{name}', but incomplete or altered: get the file again"
    return f"The configuration '{name}' would fit"
