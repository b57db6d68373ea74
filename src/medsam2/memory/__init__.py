"""What is remembered of an object, and what of it a frame attends to."""

from medsam2.memory.bank import MemoryBank, MemoryQuery
from medsam2.memory.fifo import FifoBank
from medsam2.memory.frozen import FrozenBank
from medsam2.memory.options import MemoryOptions, Weights
from medsam2.memory.policies import POLICIES, new_bank, new_banks
from medsam2.memory.sorted_bank import SortedBank, SortingPolicy, SortingRule

__all__ = [
    "POLICIES",
    "FifoBank",
    "FrozenBank",
    "MemoryBank",
    "MemoryOptions",
    "MemoryQuery",
    "SortedBank",
    "SortingPolicy",
    "SortingRule",
    "Weights",
    "new_bank",
    "new_banks",
]
