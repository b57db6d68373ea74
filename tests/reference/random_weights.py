"""Random weights under which every part of a network counts."""

import torch
from torch import nn

WEIGHTED = (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)
BIAS = 0.1
"""Small, so that what differs between inputs is not drowned in what is common to all."""


@torch.no_grad()
def randomise(model: nn.Module, seed: int) -> None:
    """Draw every parameter anew: weights by fan-in, gains of norms around 1, biases small, all others standard normal.

    Also those that SAM 2 initialises to zero or 1e-6 (position embeddings, layer gains, the embeddings for "no
    memory" and "no object"), so that nothing is equal by being switched off.
    """
    generator = torch.Generator().manual_seed(seed)
    for module in model.modules():
        for name, parameter in module.named_parameters(recurse=False):
            noise = torch.randn(parameter.shape, generator=generator)
            if name == "bias":
                noise *= BIAS
            elif name == "weight" and isinstance(module, WEIGHTED):
                noise *= _inputs(module) ** -0.5
            elif name == "weight" and not isinstance(module, nn.Embedding):
                noise = 1 + 0.2 * noise
            parameter.copy_(noise)


def _inputs(module: nn.Module) -> int:
    """How many numbers one output of a layer sums up."""
    weight = module.weight
    return len(weight) if isinstance(module, nn.ConvTranspose2d) else weight[0].numel()
