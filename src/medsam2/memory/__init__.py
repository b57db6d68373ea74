"""What is remembered of an object, and what of it a frame attends to."""

from medsam2.memory.bank import MemoryBank, MemoryQuery
from medsam2.memory.fifo import FifoBank
from medsam2.memory.policies import POLICIES, new_bank
from medsam2.memory.self_sorting import SelfSortingBank, SelfSortingOptions

__all__ = [
    "POLICIES",
    "FifoBank",
    "MemoryBank",
    "MemoryQuery",
    "SelfSortingBank",
    "SelfSortingOptions",
    "new_bank",
]
