"""A memory that is asked and learns nothing."""

from dataclasses import dataclass, replace

from medsam2.memory.bank import MemoryBank, MemoryQuery
from medsam2.network import MemoryEntry, MemorySelection


@dataclass(frozen=True)
class FrozenBank:
    """A bank as it is now: many frames may be looked at with it, and none changes it.

    Attributes:
        bank: what is known.
    """

    bank: MemoryBank

    def add_prompted(self, entry: MemoryEntry) -> None:
        """Forget the frame at once."""

    def add(self, entry: MemoryEntry) -> None:
        """Forget the frame at once."""

    def select(self, query: MemoryQuery) -> MemorySelection:
        """What the bank selects, drawing nothing: how often it was asked must leave no trace either."""
        return self.bank.select(replace(query, draws=False))

    def carried_over(self) -> "FrozenBank":
        """The same: elsewhere it learns nothing either."""
        return self
