import pytest
import torch
from torch import Tensor

from medsam2.network import MemoryEntry, MemorySelection
from medsam2.network.memory_tokens import MemoryLayout
from medsam2.network.position import grid_sinusoids

CPU = torch.device("cpu")
AGO = (0, 5, 3, 1)  # 0 stands for a prompted frame, as in transformers' code
POINTERS_AGO = (9, 1, 3, 5, 12)


@pytest.fixture
def selections(generator) -> list[MemorySelection]:
    """Memories of two objects on a 4 x 4 grid, width 128."""
    one = torch.ones(1)
    return [
        MemorySelection(
            entries=tuple(
                MemoryEntry(torch.randn(1, 64, 4, 4, generator=generator), torch.zeros(1, 128), one, one, frame)
                for frame in range(len(AGO))
            ),
            recency=tuple((ago - 1) % 7 for ago in AGO),
            pointers=tuple(torch.randn(1, 128, generator=generator) for _ in POINTERS_AGO),
            times=tuple(ago / 15 for ago in POINTERS_AGO),
        )
        for _ in range(2)
    ]


def reference_tokens(pair, selection: MemorySelection) -> tuple[Tensor, Tensor]:
    """Tokens and positions (L, 64) of one object."""
    place = grid_sinusoids(64, 4, 4, CPU).flatten(2).permute(2, 0, 1)
    stored = [
        {"maskmem_features": entry.features.flatten(2).permute(2, 0, 1), "maskmem_pos_enc": place}
        for entry in selection.entries
    ]
    tokens, positions = pair.reference._build_memory_attention_inputs(list(zip(AGO, stored, strict=True)), CPU)
    pointers = [pointer[None] for pointer in selection.pointers]
    parts, times = pair.reference._process_object_pointers(
        list(POINTERS_AGO), pointers, 16, batch_size=1, num_channels=128, device=CPU
    )
    return torch.cat([*tokens, parts])[:, 0], torch.cat([*positions, times])[:, 0]


def test_tokens_and_positions_equal_the_reference(pair, selections):
    memory = pair.network.memory_layout(selections)

    assert memory.pointer_tokens == 2 * len(POINTERS_AGO)
    for row, selection in enumerate(selections):
        tokens, positions = reference_tokens(pair, selection)
        torch.testing.assert_close(memory.tokens[row], tokens)
        torch.testing.assert_close(memory.position[row], positions, atol=1e-5, rtol=1e-5)


def test_memories_come_cell_by_cell(selections):
    memory = MemoryLayout(128, timed=True)(selections)

    assert memory.tokens.shape == memory.position.shape == (2, 4 * 16 + 5 * 2, 64)
    second = selections[1].entries[2].features[0]
    assert torch.equal(memory.tokens[1, 2 * 16 + 4 + 3], second[:, 1, 3])


def test_no_pointers(selections):
    bare = [MemorySelection(one.entries, one.recency) for one in selections]

    memory = MemoryLayout(128, timed=True)(bare)

    assert memory.pointer_tokens == 0
    assert memory.tokens.shape == (2, 4 * 16, 64)


def test_untimed_pointers_have_no_position(selections):
    memory = MemoryLayout(128, timed=False)(selections)

    assert not memory.position[:, -memory.pointer_tokens :].any()


def test_parts_of_a_pointer_share_its_time(selections):
    memory = MemoryLayout(128, timed=True)(selections)

    times = memory.position[0, -memory.pointer_tokens :].unflatten(0, (-1, 2))
    assert torch.equal(times[:, 0], times[:, 1])
    assert not torch.equal(times[0], times[1])


def test_memories_in_bfloat16_serve_a_float32_network(selections):
    layout = MemoryLayout(128, timed=True)
    for selection in selections:
        for entry in selection.entries:
            entry.features.copy_(entry.features.bfloat16())
    rounded = [
        MemorySelection(
            tuple(MemoryEntry(e.features.bfloat16(), e.pointer, e.iou, e.object_score, e.frame) for e in one.entries),
            one.recency,
            one.pointers,
            one.times,
        )
        for one in selections
    ]

    assert layout(rounded).tokens.dtype == torch.float32
    assert torch.equal(layout(rounded).tokens, layout(selections).tokens)
