"""What AdamW is told of each weight, and how fast it learns at each moment (MedSAM-2 v2, section 4)."""

import math
from collections import defaultdict
from typing import Any

import torch
from torch import nn

from medsam2.network import Sam2Network
from medsam2.training.recipe import OptimiserSettings

BETAS = (0.9, 0.999)
"""AdamW's (MedSAM-2 v2, section 4)."""


def make_optimiser(network: Sam2Network, settings: OptimiserSettings) -> torch.optim.AdamW:
    """AdamW over the weights that learn; each group has its `scale` of the learning rate."""
    return torch.optim.AdamW(parameter_groups(network, settings), lr=settings.learning_rate, betas=BETAS)


def parameter_groups(network: Sam2Network, settings: OptimiserSettings) -> list[dict[str, Any]]:
    """Weights of equal rate and equal decay.

    Weight decay is for matrices and filters, not for biases, gains, tokens and embeddings.
    """
    groups: dict[tuple[float, float], list[nn.Parameter]] = defaultdict(list)
    for name, parameter in network.named_parameters():
        if parameter.requires_grad:
            is_weight = parameter.ndim > 1 and name.endswith(("weight", ".up", ".down")) and "token" not in name
            decay = settings.weight_decay if is_weight else 0.0
            groups[_scale(name, len(network.image_encoder.blocks), settings.layer_decay), decay].append(parameter)
    return [
        {"params": parameters, "scale": scale, "weight_decay": decay}
        for (scale, decay), parameters in sorted(groups.items(), key=lambda group: group[0])
    ]


def _scale(name: str, blocks: int, layer_decay: float) -> float:
    """Of the learning rate: 1 behind the image encoder, less for each of its blocks from the last to the first."""
    if not name.startswith("image_encoder."):
        return 1.0
    parts = name.split(".")
    depth = int(parts[2]) + 1 if parts[1] == "blocks" else 0
    return layer_decay ** (blocks + 1 - depth)


def learning_rate(settings: OptimiserSettings, steps: int, progress: float) -> float:
    """The rate of the next step, before a group's scale.

    Args:
        settings: the schedule.
        steps: made so far.
        progress: share of the run that is done, [0, 1].
    """
    rise = min((steps + 1) / settings.warm_up_steps, 1.0)
    fall = settings.last_rate + (1 - settings.last_rate) * (1 + math.cos(math.pi * progress)) / 2
    return settings.learning_rate * rise * fall
