"""Which weights learn: all, all but the image encoder, or the encoder by low-rank updates (LoRA)."""

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from medsam2.network import Sam2Network
from medsam2.network.hiera import PooledAttention
from medsam2.training.recipe import EncoderSettings


class LowRankUpdate(nn.Module):
    """A frozen matrix plus a learnt one of low rank (Hu et al. 2021, arXiv 2106.09685, section 4.1).

    The update begins at zero, and its scale (alpha / r in the paper) is 1.

    Args:
        weight: (outputs, inputs) of the frozen matrix.
        rank: of the update.
    """

    def __init__(self, weight: Tensor, rank: int) -> None:
        super().__init__()
        outputs, inputs = weight.shape
        self.down = nn.Parameter(torch.empty(rank, inputs, device=weight.device))
        self.up = nn.Parameter(torch.zeros(outputs, rank, device=weight.device))
        nn.init.kaiming_uniform_(self.down, a=5**0.5)

    def forward(self, weight: Tensor) -> Tensor:
        """(outputs, inputs) -> the same, updated."""
        updated: Tensor = weight + self.up @ self.down
        return updated


def adapt(network: Sam2Network, settings: EncoderSettings) -> None:
    """Freeze the image encoder, or give it low-rank updates, as the settings say.

    With updates, names of weights change: `plain_weights` gives those of the plain network.
    """
    if settings.mode == "train":
        return
    network.image_encoder.requires_grad_(False)
    if settings.mode == "lora":
        for layer in _attention_matrices(network):
            parametrize.register_parametrization(layer, "weight", LowRankUpdate(layer.weight, settings.rank))


@torch.no_grad()
def plain_weights(network: Sam2Network, settings: EncoderSettings, weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """The weights of an adapted network as those of a plain one, its updates added in.

    Args:
        network: of the plain structure; its own weights are overwritten.
        settings: how the adapted one was made.
        weights: of the adapted one.
    """
    adapt(network, settings)
    network.load_state_dict(weights)
    if settings.mode == "lora":
        for layer in _attention_matrices(network):
            parametrize.remove_parametrizations(layer, "weight", leave_parametrized=True)
    return network.state_dict()


def _attention_matrices(network: Sam2Network) -> list[nn.Linear]:
    """Of the image encoder."""
    blocks = [module for module in network.image_encoder.modules() if isinstance(module, PooledAttention)]
    return [layer for block in blocks for layer in (block.qkv, block.projection)]
