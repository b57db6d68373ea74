"""Hiera, the image encoder's trunk (Ryali et al. 2023, arXiv 2306.00989; SAM 2, appendix D)."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from medsam2.network.config import NetworkConfig
from medsam2.network.layers import MLP, attend

POOLING = 2
"""Each stage after the first halves the grid."""

MLP_RATIO = 4


def to_windows(x: Tensor, side: int) -> Tensor:
    """(B, H, W, C) -> (B * windows, side, side, C), the grid padded with zeros to whole windows."""
    height, width = x.shape[1:3]
    below, right = -height % side, -width % side
    if below or right:
        x = F.pad(x, (0, 0, 0, right, 0, below))
    tiles = x.unflatten(2, (-1, side)).unflatten(1, (-1, side))
    return tiles.transpose(2, 3).flatten(0, 2)


def from_windows(windows: Tensor, height: int, width: int) -> Tensor:
    """The inverse of `to_windows`, padding dropped: (B, height, width, C)."""
    side = windows.shape[1]
    down, across = -(-height // side), -(-width // side)
    tiles = windows.unflatten(0, (-1, down, across)).transpose(2, 3)
    return tiles.flatten(3, 4).flatten(1, 2)[:, :height, :width]


def _pool(x: Tensor) -> Tensor:
    """Halve the grid of (B, H, W, C) by its maxima."""
    return F.max_pool2d(x.permute(0, 3, 1, 2), POOLING).permute(0, 2, 3, 1)


class PooledAttention(nn.Module):
    """Self-attention whose queries may be pooled, which halves the grid."""

    def __init__(self, width_in: int, width_out: int, heads: int, pools: bool) -> None:
        super().__init__()
        self.heads, self.pools = heads, pools
        self.qkv = nn.Linear(width_in, 3 * width_out)
        self.projection = nn.Linear(width_out, width_out)

    def forward(self, x: Tensor) -> Tensor:
        """(B, H, W, C) -> (B, H', W', C')."""
        query, key, value = self.qkv(x).chunk(3, dim=-1)
        if self.pools:
            query = _pool(query)
        height, width = query.shape[1:3]
        heads = (part.flatten(1, 2).unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in (query, key, value))
        attended = attend(*heads).transpose(1, 2).flatten(-2)
        projected: Tensor = self.projection(attended.unflatten(1, (height, width)))
        return projected


class Block(nn.Module):
    """One transformer block of Hiera; the first of a stage pools and widens.

    Args:
        width_in: channels before.
        width_out: channels after; the block pools if they are more.
        heads: attention heads.
        window: side of the attention windows in tokens before pooling; 0 attends over the whole image.
    """

    def __init__(self, width_in: int, width_out: int, heads: int, window: int) -> None:
        super().__init__()
        self.window, self.pools = window, width_out != width_in
        self.attention_norm = nn.LayerNorm(width_in, eps=1e-6)
        self.attention = PooledAttention(width_in, width_out, heads, self.pools)
        self.mlp_norm = nn.LayerNorm(width_out, eps=1e-6)
        self.mlp = MLP((width_out, MLP_RATIO * width_out, width_out), nn.GELU)
        self.shortcut = nn.Linear(width_in, width_out) if self.pools else None

    def forward(self, x: Tensor) -> Tensor:
        """(B, H, W, C) -> (B, H', W', C')."""
        normed = self.attention_norm(x)
        shortcut = x if self.shortcut is None else _pool(self.shortcut(normed))
        if self.window:
            attended = self.attention(to_windows(normed, self.window))
            attended = from_windows(attended, *shortcut.shape[1:3])
        else:
            attended = self.attention(normed)
        x = shortcut + attended
        out: Tensor = x + self.mlp(self.mlp_norm(x))
        return out


class Hiera(nn.Module):
    """A hierarchical vision transformer: four stages at strides 4, 8, 16 and 32."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        width = config.embedding_width
        self.patch_embedding = nn.Conv2d(3, width, kernel_size=7, stride=4, padding=3)
        # The position is a coarse grid over the image plus a tile that repeats in each window (arXiv 2311.05613).
        self.position_grid = nn.Parameter(torch.zeros(1, width, config.position_grid, config.position_grid))
        self.position_window = nn.Parameter(torch.zeros(1, width, config.windows[0], config.windows[0]))
        self.blocks = nn.ModuleList()
        self.stage_ends: list[int] = []
        self.widths: list[int] = []
        heads, before = config.heads, width
        for stage, depth in enumerate(config.depths):
            after = config.embedding_width * 2**stage
            for index in range(depth):
                number = len(self.blocks)
                # A stage's first block still sees the grid of the stage before, so it takes that stage's window.
                side = config.windows[stage - 1 if index == 0 and stage else stage]
                window = 0 if number in config.global_blocks else side
                self.blocks.append(Block(before, after, heads * 2**stage, window))
                before = after
            self.stage_ends.append(len(self.blocks) - 1)
            self.widths.append(after)

    def forward(self, images: Tensor) -> list[Tensor]:
        """(B, 3, S, S) -> the four stages' maps, finest first: (B, C_i, S / stride_i, S / stride_i)."""
        x = self.patch_embedding(images)
        x = (x + self._position(*x.shape[-2:])).permute(0, 2, 3, 1)
        stages = []
        for number, block in enumerate(self.blocks):
            x = block(x)
            if number in self.stage_ends:
                stages.append(x.permute(0, 3, 1, 2))
        return stages

    def _position(self, height: int, width: int) -> Tensor:
        """(1, C, height, width): the coarse grid, enlarged, plus the repeated window."""
        grid = F.interpolate(self.position_grid, size=(height, width), mode="bicubic")
        side = self.position_window.shape[-1]
        return grid + self.position_window.tile(1, 1, height // side, width // side)
