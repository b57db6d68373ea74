"""The self-sorting memory bank of MedSAM-2 (arXiv 2408.00874 v2, section 3.2)."""

from dataclasses import dataclass

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from medsam2.errors import ConfigurationError
from medsam2.memory.bank import PROMPTED_RECENCY, RECENT_MEMORIES, MemoryQuery
from medsam2.network import MemoryEntry, MemorySelection

SMALLEST_SIMILARITY = 1e-6
"""Negative cosines are raised to this before they become probabilities: the paper's p_i is undefined for them."""


@dataclass(frozen=True)
class SelfSortingOptions:
    """Choices that the paper leaves open.

    Attributes:
        capacity: K, memories kept and memories attended to.
        confidence_threshold: c_thresh, [0, 1]: a frame is remembered if its estimated IoU reaches it.
        pin_prompted: prompted frames are never sorted out and always attended to.
    """

    capacity: int = RECENT_MEMORIES
    confidence_threshold: float = 0.5
    pin_prompted: bool = True

    def __post_init__(self) -> None:
        if self.capacity < 1:
            raise ConfigurationError(f"the memory bank's capacity is {self.capacity}; it must be at least 1")
        if not 0 <= self.confidence_threshold <= 1:
            raise ConfigurationError(f"the confidence threshold is {self.confidence_threshold}; it must lie in [0, 1]")


class SelfSortingBank:
    """Keeps confident, dissimilar memories, whatever their order.

    With c_t the estimated IoU of frame t, sim the cosine of two frames' features before memory attention, and
    D_i = sum over j != i of (1 - sim(E_i, E_j)):

    1. frame t becomes a candidate only if c_t >= c_thresh, and the object is seen on it (object score > 0);
    2. of the memories and the candidate, the K with the largest D_i stay;
    3. a query F_t attends to K memories drawn independently with p_i = sim(F_t, E_i) / sum_j sim(F_t, E_j).

    Without a generator step 3 is deterministic: each kept memory is attended to once. A sorted memory has no time;
    its rank by similarity to the query takes the place of how recent it is.

    Args:
        options: see there.
        generator: draws the memories of step 3; None is the deterministic form.
    """

    def __init__(self, options: SelfSortingOptions | None = None, generator: Generator | None = None) -> None:
        self.options = options or SelfSortingOptions()
        self.generator = generator
        self.prompted: dict[int, MemoryEntry] = {}
        self.kept: list[MemoryEntry] = []

    def add_prompted(self, entry: MemoryEntry) -> None:
        """Remember a prompted frame, pinned or as a candidate like any other."""
        self.kept = [one for one in self.kept if one.frame != entry.frame]
        if self.options.pin_prompted:
            self.prompted[entry.frame] = entry
        else:
            self._sort_in(entry)

    def add(self, entry: MemoryEntry) -> None:
        """Offer a frame: it must be confident, and it must not be the most alike to the others."""
        if float(entry.iou) >= self.options.confidence_threshold and float(entry.object_score) > 0:
            self._sort_in(entry)

    def select(self, query: MemoryQuery) -> MemorySelection:
        """The prompted frames and K of the kept ones, the most similar to the query first."""
        chosen = self._chosen(query.image)
        last = RECENT_MEMORIES - 1
        entries = (*self.prompted.values(), *chosen)
        ranks = (0,) * len(self.prompted) + tuple(range(1, len(chosen) + 1))
        return MemorySelection(
            entries=entries,
            recency=(PROMPTED_RECENCY,) * len(self.prompted) + tuple(min(n, last) for n in range(len(chosen))),
            pointers=tuple(entry.pointer for entry in entries),
            times=tuple(rank / max(self.options.capacity, 1) for rank in ranks),
        )

    def _sort_in(self, entry: MemoryEntry) -> None:
        """Step 2: keep the K candidates that are least like the others."""
        candidates = [*(one for one in self.kept if one.frame != entry.frame), entry]
        if len(candidates) > self.options.capacity:
            candidates.pop(int(dissimilarity(candidates).argmin()))
        self.kept = candidates

    def _chosen(self, image: Tensor) -> list[MemoryEntry]:
        """Step 3: K memories, drawn or all of them, by falling similarity."""
        if not self.kept:
            return []
        similarity = torch.stack([_cosine(image, entry) for entry in self.kept]).clamp_min(SMALLEST_SIMILARITY)
        drawn = torch.arange(len(self.kept))
        if self.generator is not None:
            drawn = torch.multinomial(
                similarity.float().cpu(), self.options.capacity, replacement=True, generator=self.generator
            )
        return [self.kept[int(index)] for index in sorted(drawn, key=lambda index: -float(similarity[index]))]


def dissimilarity(entries: list[MemoryEntry]) -> Tensor:
    """D_i of each entry among the others: (len(entries),)."""
    flat = torch.stack([_unit(entry) for entry in entries])
    return (1 - flat @ flat.T).fill_diagonal_(0).sum(dim=1)


def _image_of(entry: MemoryEntry) -> Tensor:
    if entry.image is None:
        raise ConfigurationError("a self-sorting bank needs entries that hold the frame's image features")
    return entry.image


def _unit(entry: MemoryEntry) -> Tensor:
    return F.normalize(_image_of(entry).float().flatten(), dim=0)


def _cosine(image: Tensor, entry: MemoryEntry) -> Tensor:
    """Cosine of the query's and the entry's features, both (1, C, h, w) and flattened alike."""
    return F.normalize(image.float().flatten(), dim=0) @ _unit(entry)
