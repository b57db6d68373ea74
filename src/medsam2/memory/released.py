"""The memory bank as MedSAM-2's released code has it, on comparable features."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from medsam2.memory.similarity import pairwise_similarity
from medsam2.network import MemoryEntry

IOU_MARGIN = 0.1
"""A newcomer may be less confident by this much than the memory that it replaces."""


@dataclass(frozen=True)
class Released:
    """Replaces one of two like memories by a newcomer that is unlike them.

    With c_i the estimated IoU of memory i; K memories are taken as they come, and when the bank is full:

    1. m = argmin_i sim(E_new, E_i), the memory least similar to the newcomer;
    2. x = argmax_{j != m} sim(E_m, E_j), the nearest neighbour of m in the bank;
    3. E_new replaces E_x if sim(E_new, E_m) < sim(E_m, E_x) and c_new > c_x - 0.1; else the bank stays as it is;
    4. the query F_t attends to B memories drawn with p_i = exp(sim(F_t, E_i)) / sum_j exp(sim(F_t, E_j)).

    Here are steps 1 to 3; step 4 is `Resampling`. In the released code K = 16, B is the size of the batch, sim compares
    spatial memories in steps 1 to 3, and features from before with features from after memory attention, flattened
    differently, in step 4. Here sim is the same everywhere, see `medsam2.memory.similarity`.
    """

    @property
    def is_queue(self) -> bool:
        """The memories have no order."""
        return False

    def keep(self, kept: Sequence[MemoryEntry], new: MemoryEntry, capacity: int) -> list[MemoryEntry]:
        """The memories that stay."""
        if len(kept) < capacity:
            return [*kept, new]
        similar = pairwise_similarity([*kept, new])
        to_new, among = similar[-1, :-1], similar[:-1, :-1].fill_diagonal_(-torch.inf)
        m = int(to_new.argmin())
        x = int(among[m].argmax())
        if to_new[m] < among[m, x] and float(new.iou) > float(kept[x].iou) - IOU_MARGIN:
            return [*(entry for entry in kept if entry is not kept[x]), new]
        return list(kept)
