"""Conditioning a frame on memories (SAM 2, section 4)."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from medsam2.network.config import MEMORY_CHANNELS
from medsam2.network.layers import attend, attend_in_parts
from medsam2.network.outputs import MemoryTokens
from medsam2.network.position import grid_sinusoids, rotary_angles, rotate

POSITION_SHARE = 0.1
"""How much of the sinusoidal position is added to the frame's features (SAM 2's released code)."""


class RotaryAttention(nn.Module):
    """One-head attention with rotary positions.

    Args:
        width: channels of queries and output.
        key_width: channels of keys and values before projection.
    """

    def __init__(self, width: int, key_width: int) -> None:
        super().__init__()
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(key_width, width)
        self.value = nn.Linear(key_width, width)
        self.projection = nn.Linear(width, width)

    def forward(self, query: Tensor, key: Tensor, value: Tensor, angles: Tensor, unplaced: int = 0) -> Tensor:
        """Attend.

        Args:
            query: (B or 1, h * w, C).
            key: (B, L, C'), whole grids of h * w cells, then `unplaced` tokens that have no place in the image.
            value: (B, L, C').
            angles: of the h x w grid.
            unplaced: how many keys at the end are not rotated.

        Returns:
            (B, h * w, C).
        """
        q = rotate(self.query(query), angles).expand(len(key), -1, -1)
        k = self.key(key)
        placed = k.shape[1] - unplaced
        k = torch.cat((rotate(k[:, :placed], angles), k[:, placed:]), dim=1) if placed else k
        if value.shape[-1] < k.shape[-1] and value.device.type == "cpu" and not torch.is_grad_enabled():
            # A mean of projected values is the projected mean, of a quarter of the channels. PyTorch's fused kernel,
            # which a GPU and training take, wants as many channels of values as of keys.
            attended = self.value(attend_in_parts(q, k, value))
        else:
            attended = attend(q[:, None], k[:, None], self.value(value)[:, None])[:, 0]
        out: Tensor = self.projection(attended)
        return out


class MemoryAttentionLayer(nn.Module):
    """Self-attention, cross-attention to memory, feed-forward; each on normalised input and added."""

    def __init__(self, width: int, feedforward: int) -> None:
        super().__init__()
        self.self_attention = RotaryAttention(width, width)
        self.self_norm = nn.LayerNorm(width)
        self.memory_attention = RotaryAttention(width, MEMORY_CHANNELS)
        self.memory_norm = nn.LayerNorm(width)
        self.expand = nn.Linear(width, feedforward)
        self.contract = nn.Linear(feedforward, width)
        self.mlp_norm = nn.LayerNorm(width)

    def forward(self, x: Tensor, memory: MemoryTokens, angles: Tensor) -> Tensor:
        """(B or 1, h * w, C) -> (B, h * w, C); what objects share is computed once, up to their memories."""
        normed = self.self_norm(x)
        x = x + self.self_attention(normed, normed, normed, angles)
        keys = memory.tokens + memory.position
        x = x + self.memory_attention(self.memory_norm(x), keys, memory.tokens, angles, unplaced=memory.pointer_tokens)
        out: Tensor = x + self.contract(F.relu(self.expand(self.mlp_norm(x))))
        return out


class MemoryAttention(nn.Module):
    """Layers of memory attention and a last normalisation."""

    def __init__(self, width: int, feedforward: int, layers: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(MemoryAttentionLayer(width, feedforward) for _ in range(layers))
        self.norm = nn.LayerNorm(width)

    def forward(self, features: Tensor, memory: MemoryTokens) -> Tensor:
        """Condition the features of B objects' frames, or of one that they share, on their memories: (B, C, h, w)."""
        channels, height, width = features.shape[1:]
        position = grid_sinusoids(channels, height, width, features.device).to(features.dtype)
        x = (features + POSITION_SHARE * position).flatten(2).transpose(1, 2)
        angles = rotary_angles(channels, height, width, features.device)
        for layer in self.layers:
            x = layer(x, memory, angles)
        normed: Tensor = self.norm(x)
        return normed.transpose(1, 2).unflatten(2, (height, width))
