"""SAM 2's own memory: the prompted frames and the most recent ones (SAM 2, section 4)."""

from medsam2.memory.bank import POINTERS, PROMPTED_RECENCY, RECENT_MEMORIES, MemoryQuery
from medsam2.network import MemoryEntry, MemorySelection


class FifoBank:
    """All prompted frames, the six frames before this one in the direction of travel, and fifteen pointers.

    "Before" is a matter of frame indices, not of when a frame was visited: a backward pass from the prompted slice
    also sees what a forward pass left on the slices behind it, as in SAM 2's predictor.
    """

    def __init__(self) -> None:
        self.prompted: dict[int, MemoryEntry] = {}
        self.recent: dict[int, MemoryEntry] = {}

    def add_prompted(self, entry: MemoryEntry) -> None:
        """Remember a prompted frame."""
        self.prompted[entry.frame] = entry.without_image()
        self.recent.pop(entry.frame, None)

    def add(self, entry: MemoryEntry) -> None:
        """Remember a frame and forget those that no frame to come can ask for."""
        self.recent[entry.frame] = entry.without_image()
        anchors = (entry.frame, *self.prompted)
        for frame in [one for one in self.recent if min(abs(one - anchor) for anchor in anchors) >= POINTERS]:
            del self.recent[frame]

    def select(self, query: MemoryQuery) -> MemorySelection:
        """The prompted frames and the frames just passed."""
        passed = {
            ago: self.recent[frame]
            for ago in range(1, POINTERS)
            if (frame := query.frame - query.direction * ago) in self.recent
        }
        near = [ago for ago in sorted(passed, reverse=True) if ago <= RECENT_MEMORIES]
        longest = max(min(query.frame_count, POINTERS) - 1, 1)
        pointed = [(ago, entry.pointer) for ago, entry in (*self._prompted_before(query), *passed.items())]
        return MemorySelection(
            entries=(*self.prompted.values(), *(passed[ago] for ago in near)),
            recency=(PROMPTED_RECENCY,) * len(self.prompted) + tuple(ago - 1 for ago in near),
            pointers=tuple(pointer for _, pointer in pointed),
            times=tuple(ago / longest for ago, _ in pointed),
        )

    def _prompted_before(self, query: MemoryQuery) -> list[tuple[int, MemoryEntry]]:
        """Prompted frames that the direction of travel has reached, each with how many frames ago that was."""
        travelled = [(query.direction * (query.frame - frame), entry) for frame, entry in self.prompted.items()]
        return [(ago, entry) for ago, entry in travelled if ago >= 0]
