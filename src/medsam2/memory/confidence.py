"""The confidence memory bank of MedSAM-2's first version (arXiv 2408.00874 v1)."""

from collections.abc import Sequence
from dataclasses import dataclass

from medsam2.network import MemoryEntry


@dataclass(frozen=True)
class Confidence:
    """Keeps the memories of which the network was surest.

    With c_t the estimated IoU of frame t:

    1. confidence: of the memories M and E_t, the K with the largest c stay (of equals, the older);
    2. weighted pick-up: the query F_t attends to memories drawn with p_i = sim(F_t, E_i) / sum_j sim(F_t, E_j), as
       in the second version.

    Here is step 1; step 2 is `Resampling`.
    """

    @property
    def is_queue(self) -> bool:
        """The memories have no order."""
        return False

    def keep(self, kept: Sequence[MemoryEntry], new: MemoryEntry, capacity: int) -> list[MemoryEntry]:
        """The memories that stay."""
        candidates = [*kept, new]
        if len(candidates) > capacity:
            # Backwards, as min() takes the first of equals and the newest has to go.
            candidates.pop(min(range(capacity, -1, -1), key=lambda index: float(candidates[index].iou)))
        return candidates
