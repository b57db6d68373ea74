import pytest
import torch

from medsam2.memory import POLICIES, MemoryQuery, new_bank
from medsam2.memory.bank import POINTERS, PROMPTED_RECENCY, RECENT_MEMORIES
from medsam2.network import MemoryEntry
from medsam2.network.config import MEMORY_COUNT


def entry_of(frame: int, generator: torch.Generator) -> MemoryEntry:
    image = torch.randn(1, 8, 2, 2, generator=generator)
    one = torch.ones(1)
    return MemoryEntry(torch.zeros(1, 64, 2, 2), torch.zeros(1, 8), one, one, frame, image)


def test_constants_of_sam2():
    assert (PROMPTED_RECENCY, RECENT_MEMORIES, POINTERS) == (6, 6, 16)


@pytest.mark.parametrize("policy", POLICIES)
def test_what_every_policy_promises(policy, generator):
    bank = new_bank(policy)
    bank.add_prompted(entry_of(20, generator))
    for frame in range(21, 60):
        query = MemoryQuery(frame, 1, 60, torch.randn(1, 8, 2, 2, generator=generator))
        selection = bank.select(query)

        assert selection.entries[0].frame == 20
        assert len(selection.entries) == len(selection.recency) <= MEMORY_COUNT
        assert set(selection.recency) <= set(range(MEMORY_COUNT))
        assert len(selection.pointers) == len(selection.times) <= POINTERS
        assert all(0 <= time <= 60 / (POINTERS - 1) for time in selection.times)
        bank.add(entry_of(frame, generator))
