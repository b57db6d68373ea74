"""The bank that all sorting policies share: who may enter, what is pinned, what is attended to."""

from collections.abc import Sequence
from dataclasses import Field, dataclass, field, replace
from typing import Any, ClassVar, Protocol

from torch import Generator

from medsam2.memory.bank import PROMPTED_RECENCY, RECENT_MEMORIES, MemoryQuery
from medsam2.memory.nearby import JUST_BEFORE, mask_before, out_of_reach
from medsam2.memory.resampling import Resampling
from medsam2.memory.similarity import image_of, similarity
from medsam2.network import MemoryEntry, MemorySelection, SeenMask

ELSEWHERE = -1_000_000
"""Indices of frames of another plane go down from this one: far from all that a sweep asks for."""


class SortingRule(Protocol):
    """Which memories stay when one more comes.

    A rule is a frozen dataclass; if it has fields, they are options of `MemoryOptions` that no other rule has.
    """

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]

    @property
    def is_queue(self) -> bool:
        """Whether the memories stay in the order in which they came."""

    def keep(self, kept: Sequence[MemoryEntry], new: MemoryEntry, capacity: int) -> list[MemoryEntry]:
        """The memories that stay, at most `capacity`, older ones first; none of them is of the frame of `new`."""


@dataclass(frozen=True)
class SortingPolicy:
    """A rule and all that is chosen about it; see `MemoryOptions` for the meaning of the options.

    Attributes:
        rule: which memories stay.
        capacity: K.
        confidence_threshold: c_thresh.
        pin_prompted: prompted frames are not sorted.
        resampling: which of the memories that stayed are attended to.
    """

    rule: SortingRule
    capacity: int = RECENT_MEMORIES
    confidence_threshold: float = 0.0
    pin_prompted: bool = True
    resampling: Resampling = field(default_factory=Resampling)


class SortedBank:
    """The prompted frames, and those that a sorting rule keeps.

    A frame enters if the network saw the object on it (object score > 0) with enough confidence; it takes the place of
    what was kept of it before. What the user prompted is never replaced by what was found from memory.

    A sorted memory has no time: an unordered set has none, and in a volume the bank may hold slices of any distance.
    Its rank by similarity to the query takes the place of how long ago it was (in a queue, its place there). A memory
    that is attended to several times has one rank: its copies add weight, and are no other memories.

    Args:
        policy: how memories are sorted.
        generator: draws the memories that a query attends to; None is the deterministic form, see `Resampling`.
        ordered: neighbouring frames show neighbouring places: the mask just before tells about where the object is.
    """

    def __init__(self, policy: SortingPolicy, generator: Generator | None = None, ordered: bool = True) -> None:
        self.policy, self.generator, self.ordered = policy, generator, ordered
        self.prompted: dict[int, MemoryEntry] = {}
        self.kept: list[MemoryEntry] = []
        self._masks: dict[int, SeenMask | None] = {}
        self._prompted: set[int] = set()

    def add_prompted(self, entry: MemoryEntry) -> None:
        """Remember a prompted frame, pinned or sorted like any other; the user's word needs no confidence."""
        self._prompted.add(entry.frame)
        self._remember_mask(entry)
        self.kept = self._without(entry.frame)
        if self.policy.pin_prompted:
            self.prompted[entry.frame] = entry.without_image()
        else:
            self._sort_in(entry)

    def add(self, entry: MemoryEntry) -> None:
        """Offer a frame; if it may not enter, what is kept stays as it is."""
        self._remember_mask(entry)
        seen = bool(entry.object_score > 0)
        confident = bool(entry.iou >= self.policy.confidence_threshold)
        if seen and confident and entry.frame not in self.prompted:
            self._sort_in(entry)

    def select(self, query: MemoryQuery) -> MemorySelection:
        """The pinned frames, then what the policy takes of the kept ones, best rank first."""
        picked = self._picked(query)
        entries = (*self.prompted.values(), *(entry for _, entry in picked))
        ranks = [rank for rank, _ in picked]
        pinned = len(self.prompted)
        return MemorySelection(
            entries=entries,
            recency=(PROMPTED_RECENCY,) * pinned + tuple(min(rank, RECENT_MEMORIES - 1) for rank in ranks),
            pointers=tuple(entry.pointer for entry in entries),
            times=(0.0,) * pinned + tuple((rank + 1) / self.policy.capacity for rank in ranks),
            before=mask_before(query, self._masks) if self.ordered else None,
        )

    def carried_over(self) -> "SortedBank":
        """A bank that holds the same memories, pinned and kept, as if of frames that no sweep will reach."""
        other = SortedBank(self.policy, self.generator)
        # Frames are told apart by their indices, and those of the other plane would be taken for these.
        entries = [*self.prompted.values(), *self.kept]
        moved = [replace(entry, frame=ELSEWHERE - number) for number, entry in enumerate(entries)]
        other.prompted = {entry.frame: entry for entry in moved[: len(self.prompted)]}
        other.kept = moved[len(self.prompted) :]
        return other

    def _picked(self, query: MemoryQuery) -> list[tuple[int, MemoryEntry]]:
        """Ranks from 0, and the memories that have them, once for each time that they are attended to."""
        if not self.kept:
            return []
        similar = similarity(query.image, self.kept)
        counts = self.policy.resampling.counts(similar, self.generator if query.draws else None)
        newest_first = range(len(self.kept) - 1, -1, -1)
        order = newest_first if self.policy.rule.is_queue else similar.argsort(descending=True, stable=True).tolist()
        chosen = [index for index in order if counts[index]]
        return [(rank, self.kept[index]) for rank, index in enumerate(chosen) for _ in range(counts[index])]

    def _sort_in(self, entry: MemoryEntry) -> None:
        image_of(entry)  # the rule and later queries need it
        self.kept = self.policy.rule.keep(self._without(entry.frame), entry, self.policy.capacity)

    def _without(self, frame: int) -> list[MemoryEntry]:
        return [entry for entry in self.kept if entry.frame != frame]

    def _remember_mask(self, entry: MemoryEntry) -> None:
        """Hold the masks that the next frames of a sweep may start from, and no others."""
        if self.ordered:
            self._masks[entry.frame] = entry.mask
            for frame in out_of_reach(self._masks, entry.frame, self._prompted, JUST_BEFORE):
                del self._masks[frame]
