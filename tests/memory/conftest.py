"""Entries and queries whose features are directions in a plane: their cosines are easy."""

from collections.abc import Callable

import pytest
import torch

from medsam2.memory import MemoryQuery
from medsam2.network import MemoryEntry

COMPASS = {
    "east": (1.0, 0.0),
    "north": (0.0, 1.0),
    "west": (-1.0, 0.0),
    "south": (0.0, -1.0),
    "northeast": (0.6, 0.8),
    "southwest": (-0.6, -0.8),
    "southeast": (0.8, -0.6),
}
"""Cosines: east-northeast 0.6, north-northeast 0.8, east-southeast 0.8, northeast-southeast 0."""


def _image(direction: str | tuple[float, ...]) -> torch.Tensor:
    return torch.tensor(COMPASS[direction] if isinstance(direction, str) else direction)[None, :, None, None]


@pytest.fixture(scope="session")
def entry_of() -> Callable[..., MemoryEntry]:
    """Makes an entry of a frame that looks in a direction (None: without image features); its pointer is the frame."""

    def make(frame, direction="east", iou=0.9, object_score=1.0, mask=None):
        return MemoryEntry(
            torch.zeros(1, 64, 1, 1),
            torch.full((1, 1), float(frame)),
            torch.tensor([iou]),
            torch.tensor([object_score]),
            frame,
            None if direction is None else _image(direction),
            mask,
        )

    return make


@pytest.fixture(scope="session")
def query_of() -> Callable[..., MemoryQuery]:
    """Makes a query from a frame that looks in a direction."""

    def make(direction="east", frame=50, travel=1):
        return MemoryQuery(frame, travel, 100, _image(direction))

    return make
