"""What a memory bank is: it remembers one object's frames and says which of them to attend to."""

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from medsam2.network import MemoryEntry, MemorySelection
from medsam2.network.config import MEMORY_COUNT

PROMPTED_RECENCY = MEMORY_COUNT - 1
"""Row of the temporal embedding for prompted frames (SAM 2, appendix D)."""

RECENT_MEMORIES = MEMORY_COUNT - 1
"""Spatial memories of frames without a prompt that SAM 2 attends to."""

POINTERS = 16
"""Object pointers that SAM 2 attends to, the prompted one included (SAM 2's released configuration)."""


@dataclass(frozen=True)
class MemoryQuery:
    """The frame that asks for memories.

    Attributes:
        frame: its index.
        direction: +1 when frames are visited in rising order, -1 in falling.
        frame_count: frames of the whole video.
        image: (1, C, h, w), its features before any memory.
        draws: memories may be drawn at random; False asks for the deterministic form, which leaves the bank's generator
            as it was.
    """

    frame: int
    direction: int
    frame_count: int
    image: Tensor
    draws: bool = True


class MemoryBank(Protocol):
    """The memory of one object. A policy is one class with these four verbs."""

    def add_prompted(self, entry: MemoryEntry) -> None:
        """Remember a frame that the user prompted; it replaces what was remembered of that frame."""

    def add(self, entry: MemoryEntry) -> None:
        """Offer a frame that was segmented from memory; the policy may decline it."""

    def select(self, query: MemoryQuery) -> MemorySelection:
        """Which memories the frame attends to; there is at least one prompted frame."""

    def carried_over(self) -> "MemoryBank":
        """The bank with which another plane or another volume begins, in order: what is worth knowing there, too."""
