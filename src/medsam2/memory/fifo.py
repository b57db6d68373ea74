"""SAM 2's own memory: the prompted frames and the most recent ones (SAM 2, section 4)."""

from medsam2.memory.bank import POINTERS, PROMPTED_RECENCY, RECENT_MEMORIES, MemoryQuery
from medsam2.memory.nearby import mask_before, out_of_reach
from medsam2.network import MemoryEntry, MemorySelection

PROMPTED_MEMORIES = 16
"""Most prompted frames that a frame attends to. SAM 2 sets no limit; with a hundred drawn slices the cost of each other
slice would be a hundredfold."""


class FifoBank:
    """The prompted frames, the six frames before this one in the direction of travel, and fifteen pointers.

    Of more than sixteen prompted frames the nearest are attended to, among them always the next on either side; the
    others count like frames without a prompt (SAM 2's rule for its `max_cond_frames_in_attn`).

    "Before" is a matter of frame indices, not of when a frame was visited: a backward pass from the prompted slice
    also sees what a forward pass left on the slices behind it, as in SAM 2's predictor.

    Args:
        ordered: neighbouring frames show neighbouring places: the mask just before tells about where the object is.
    """

    def __init__(self, ordered: bool = True) -> None:
        self.ordered = ordered
        self.prompted: dict[int, MemoryEntry] = {}
        self.recent: dict[int, MemoryEntry] = {}

    def add_prompted(self, entry: MemoryEntry) -> None:
        """Remember a prompted frame."""
        self.prompted[entry.frame] = entry.without_image()
        self.recent.pop(entry.frame, None)

    def add(self, entry: MemoryEntry) -> None:
        """Remember a frame and forget those that no frame to come can ask for."""
        self.recent[entry.frame] = entry.without_image()
        for frame in out_of_reach(self.recent, entry.frame, self.prompted, POINTERS - 1):
            del self.recent[frame]

    def select(self, query: MemoryQuery) -> MemorySelection:
        """The prompted frames and the frames just passed."""
        prompted = self._nearest_prompted(query.frame)
        others = self.recent | {frame: entry for frame, entry in self.prompted.items() if frame not in prompted}
        passed = {
            ago: others[frame] for ago in range(1, POINTERS) if (frame := query.frame - query.direction * ago) in others
        }
        near = [ago for ago in sorted(passed, reverse=True) if ago <= RECENT_MEMORIES]
        # Prompted frames that the direction of travel has not reached yet give a memory, but no pointer.
        reached = [(query.direction * (query.frame - frame), entry) for frame, entry in prompted.items()]
        pointed = [(ago, entry.pointer) for ago, entry in (*reached, *passed.items()) if ago >= 0]
        longest = max(min(query.frame_count, POINTERS) - 1, 1)
        masks = {frame: entry.mask for frame, entry in (self.recent | self.prompted).items()}
        return MemorySelection(
            entries=(*prompted.values(), *(passed[ago] for ago in near)),
            recency=(PROMPTED_RECENCY,) * len(prompted) + tuple(ago - 1 for ago in near),
            pointers=tuple(pointer for _, pointer in pointed),
            times=tuple(ago / longest for ago, _ in pointed),
            before=mask_before(query, masks) if self.ordered else None,
        )

    def carried_over(self) -> "FifoBank":
        """An empty bank: times mean nothing elsewhere."""
        return FifoBank()

    def _nearest_prompted(self, frame: int) -> dict[int, MemoryEntry]:
        """The prompted frames to attend to, in the order in which they were prompted."""
        if len(self.prompted) <= PROMPTED_MEMORIES:
            return self.prompted
        rising = sorted(self.prompted)
        before = [other for other in rising if other < frame]
        after = [other for other in rising if other >= frame]
        sides = before[-1:] + after[:1]
        nearest = sorted(self.prompted, key=lambda other: (other not in sides, abs(other - frame)))
        chosen = set(nearest[:PROMPTED_MEMORIES])
        return {other: entry for other, entry in self.prompted.items() if other in chosen}
