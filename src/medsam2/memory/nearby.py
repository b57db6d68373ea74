"""What frames that lie side by side tell of each other."""

from collections.abc import Iterable, Mapping

from medsam2.memory.bank import MemoryQuery
from medsam2.network import SeenMask

JUST_BEFORE = 3
"""Frames ago up to which a mask lies about where the object is now (`MemorySelection.before`)."""


def mask_before(query: MemoryQuery, masks: Mapping[int, SeenMask | None]) -> SeenMask | None:
    """The mask of the nearest frame just passed, if one of at most `JUST_BEFORE` frames ago is known.

    Args:
        query: the frame that asks.
        masks: by frame.
    """
    passed = (query.frame - query.direction * ago for ago in range(1, JUST_BEFORE + 1))
    return next((masks[frame] for frame in passed if frame in masks), None)


def out_of_reach(frames: Iterable[int], standing: int, prompted: Iterable[int], reach: int) -> list[int]:
    """The frames that no frame to come asks for: far from where the sweep stands, and from where it will turn back.

    Args:
        frames: remembered.
        standing: the frame that was just visited.
        prompted: the backward pass starts at the first of these.
        reach: how far a frame looks back.
    """
    anchors = (standing, min(prompted, default=standing))
    return [frame for frame in frames if min(abs(frame - anchor) for anchor in anchors) > reach]
