"""Selected memories, laid out as tokens with positions in space and time (SAM 2, section 4 and appendix D)."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from medsam2.network.config import MEMORY_CHANNELS, MEMORY_COUNT
from medsam2.network.outputs import MemorySelection, MemoryTokens
from medsam2.network.position import grid_sinusoids, time_sinusoids


class MemoryLayout(nn.Module):
    """Turns memories into the keys and values of memory attention.

    Args:
        width: C, channels of an object pointer; it is split into C / 64 tokens.
        timed: object pointers carry their time (SAM 2.1).
    """

    def __init__(self, width: int, timed: bool) -> None:
        super().__init__()
        self.width = width
        self.recency = nn.Parameter(torch.zeros(MEMORY_COUNT, MEMORY_CHANNELS))
        self.pointer_time = nn.Linear(width, MEMORY_CHANNELS) if timed else None

    def forward(self, selections: Sequence[MemorySelection]) -> MemoryTokens:
        """Lay out the memories of B objects, all of one layout.

        Args:
            selections: B of them, with equally many entries and equally many pointers.
        """
        spatial, place = self._spatial(selections)
        pointers, time = self._pointers(selections)
        pointers = pointers.to(spatial.dtype)
        return MemoryTokens(torch.cat((spatial, pointers), dim=1), torch.cat((place, time), dim=1), pointers.shape[1])

    def _spatial(self, selections: Sequence[MemorySelection]) -> tuple[Tensor, Tensor]:
        """Tokens and positions (B, K * h * w, 64)."""
        dtype, device = self.recency.dtype, self.recency.device
        stacked = torch.stack([torch.cat([entry.features for entry in one.entries]) for one in selections])
        rows = torch.tensor([one.recency for one in selections], device=device)
        place = grid_sinusoids(MEMORY_CHANNELS, *stacked.shape[-2:], device).to(dtype)
        position = place + self.recency[rows][..., None, None]
        return _as_tokens(stacked.to(dtype)), _as_tokens(position)

    def _pointers(self, selections: Sequence[MemorySelection]) -> tuple[Tensor, Tensor]:
        """Tokens and positions (B, P * C / 64, 64)."""
        dtype, device = self.recency.dtype, self.recency.device
        parts = self.width // MEMORY_CHANNELS
        if not selections[0].pointers:
            none = torch.zeros(len(selections), 0, MEMORY_CHANNELS, dtype=dtype, device=device)
            return none, none
        stacked = torch.stack([torch.cat(one.pointers) for one in selections])
        tokens = stacked.unflatten(-1, (parts, MEMORY_CHANNELS)).flatten(1, 2)
        if self.pointer_time is None:
            return tokens, torch.zeros_like(tokens, dtype=dtype)
        times = torch.tensor([one.times for one in selections], dtype=torch.float32, device=device)
        position = self.pointer_time(time_sinusoids(times, self.width).to(dtype))
        return tokens, position.repeat_interleave(parts, dim=1)


def _as_tokens(maps: Tensor) -> Tensor:
    """(B, K, C, h, w) -> (B, K * h * w, C)."""
    return maps.flatten(3).transpose(2, 3).flatten(1, 2)
