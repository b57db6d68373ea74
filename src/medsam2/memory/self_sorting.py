"""The self-sorting memory bank of MedSAM-2 (arXiv 2408.00874 v2, section 3.2): which memories stay."""

from collections.abc import Sequence
from dataclasses import dataclass

from medsam2.memory.similarity import dissimilarity
from medsam2.network import MemoryEntry


@dataclass(frozen=True)
class SelfSorting:
    """Keeps the memories that differ most, whatever their order.

    With c_t the estimated IoU of frame t and sim the cosine of two frames' features before memory attention:

    1. gate: frame t is a candidate only if c_t >= c_thresh; else the memories M stay as they are;
    2. dissimilarity: of the candidates C = M and E_t, the K with the largest D_i = sum over j != i of
       (1 - sim(E_i, E_j)) stay (of equals, the newer);
    3. resampling: the query F_t attends to memories drawn independently, with replacement, with
       p_i = sim(F_t, E_i) / sum_j sim(F_t, E_j).

    Here is step 2; the bank has the gate, and `Resampling` is step 3.

    Attributes:
        dissimilar: False: step 2 keeps the K most recent candidates, for the ablation of the paper's table 3.
    """

    dissimilar: bool = True

    @property
    def is_queue(self) -> bool:
        """Whether the memories stay in the order in which they came."""
        return not self.dissimilar

    def keep(self, kept: Sequence[MemoryEntry], new: MemoryEntry, capacity: int) -> list[MemoryEntry]:
        """The memories that stay."""
        candidates = [*kept, new]
        if len(candidates) > capacity:
            candidates.pop(int(dissimilarity(candidates).argmin()) if self.dissimilar else 0)
        return candidates
