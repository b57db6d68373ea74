"""Layers that several parts of the network share."""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

SCORES_AT_ONCE = 4_000_000
"""Attention weights that are held at a time on a CPU: they stay in its last cache."""


class LayerNorm2d(nn.Module):
    """Layer normalisation over the channels of each pixel of a (B, C, H, W) map."""

    def __init__(self, channels: int, eps: float = 1e-6) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        """Normalise (B, C, H, W)."""
        channels_last = F.layer_norm(x.movedim(1, -1), self.weight.shape, self.weight, self.bias, self.eps)
        return channels_last.movedim(-1, 1)


class MLP(nn.Module):
    """Linear layers with an activation between them."""

    def __init__(self, widths: tuple[int, ...], activation: type[nn.Module] = nn.ReLU) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(before, after) for before, after in pairwise(widths))
        self.activation = activation()

    def forward(self, x: Tensor) -> Tensor:
        """Map (..., widths[0]) to (..., widths[-1])."""
        for layer in self.layers[:-1]:
            x = self.activation(layer(x))
        last: Tensor = self.layers[-1](x)
        return last


def attend(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Scaled dot-product attention over (B, heads, tokens, channels).

    PyTorch's fused kernel, but for bfloat16 on a CPU: both it and its backward pass are slower there than the formula.
    Compilers that trace the network have kernels of their own for the fused one.
    """
    is_traced: bool = torch.jit.is_tracing()  # type: ignore[attr-defined, no-untyped-call]
    if query.device.type == "cpu" and query.dtype == torch.bfloat16 and not is_traced:
        parts = attend_in_parts(*(one.flatten(0, 1) for one in (query, key, value)))
        return parts.unflatten(0, query.shape[:2])
    return F.scaled_dot_product_attention(query, key, value)


def attend_in_parts(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Attend by the formula, so many weights at a time that a processor's cache holds them.

    Args:
        query: (B, tokens, C).
        key: (B, L, C).
        value: (B, L, V), of any number of channels.

    Returns:
        (B, tokens, V).
    """
    scaled = query * query.shape[-1] ** -0.5
    rows = max(SCORES_AT_ONCE // (query.shape[1] * key.shape[1]), 1)
    tokens = max(SCORES_AT_ONCE // (rows * key.shape[1]), 1)
    groups = zip(scaled.split(rows), key.split(rows), value.split(rows), strict=True)
    return torch.cat(
        [
            torch.cat([(part @ keys.mT).softmax(-1) @ values for part in queries.split(tokens, dim=1)], dim=1)
            for queries, keys, values in groups
        ]
    )


def split_heads(x: Tensor, heads: int) -> Tensor:
    """(B, tokens, C) -> (B, heads, tokens, C / heads)."""
    return x.unflatten(-1, (heads, -1)).transpose(1, 2)


def merge_heads(x: Tensor) -> Tensor:
    """(B, heads, tokens, C / heads) -> (B, tokens, C)."""
    return x.transpose(1, 2).flatten(-2)
