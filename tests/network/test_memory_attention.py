import pytest
import torch

from medsam2.network.memory_attention import MemoryAttention, RotaryAttention
from medsam2.network.outputs import MemoryTokens
from medsam2.network.position import grid_sinusoids, rotary_angles

CPU = torch.device("cpu")


@pytest.mark.parametrize("memories", [1, 7])
@pytest.mark.parametrize("pointer_tokens", [0, 4])
def test_conditioned_features_equal_the_reference(pair, generator, memories, pointer_tokens):
    features = torch.randn(2, 128, 8, 8, generator=generator)
    tokens, position = torch.randn(2, 2, memories * 64 + pointer_tokens, 64, generator=generator)

    conditioned = pair.network.memory_attention(features, MemoryTokens(tokens, position, pointer_tokens))

    for row in range(2):  # transformers attends for one object at a time
        expected = pair.reference.memory_attention(
            current_vision_features=features[row : row + 1].flatten(2).permute(2, 0, 1),
            current_vision_position_embeddings=grid_sinusoids(128, 8, 8, CPU).flatten(2).permute(2, 0, 1),
            memory=tokens[row : row + 1].transpose(0, 1),
            memory_posision_embeddings=position[row : row + 1].transpose(0, 1),
            num_object_pointer_tokens=pointer_tokens,
        )
        torch.testing.assert_close(conditioned[row].flatten(1).mT, expected.squeeze(), atol=1e-5, rtol=1e-5)


def test_all_keys_may_be_without_a_place(generator):
    attention, angles = RotaryAttention(8, 4), rotary_angles(8, 2, 2, CPU)
    query, key = torch.randn(1, 4, 8, generator=generator), torch.randn(1, 3, 4, generator=generator)

    attended = attention(query, key, key, angles, unplaced=3)

    assert attended.shape == (1, 4, 8)
    assert attended.isfinite().all()


def test_unplaced_keys_are_not_rotated(generator):
    attention, angles = RotaryAttention(8, 4), rotary_angles(8, 2, 2, CPU)
    query, key = torch.randn(1, 4, 8, generator=generator), torch.randn(1, 6, 4, generator=generator)

    attended = attention(query, key, key, angles, unplaced=2)

    # The two last keys have no place, so they may change places; of the four first, none may.
    torch.testing.assert_close(
        attention(query, key[:, [0, 1, 2, 3, 5, 4]], key[:, [0, 1, 2, 3, 5, 4]], angles, 2), attended
    )
    swapped = key[:, [1, 0, 2, 3, 4, 5]]
    assert not torch.allclose(attention(query, swapped, swapped, angles, 2), attended, atol=1e-4)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_attention_is_the_same_with_and_without_gradients(generator, dtype):
    attention, angles = RotaryAttention(64, 16).to(dtype), rotary_angles(64, 2, 2, CPU)
    query = torch.randn(3, 4, 64, generator=generator).to(dtype)
    key, value = torch.randn(2, 3, 10, 16, generator=generator).to(dtype)

    learning = attention(query, key, value, angles, unplaced=2)

    with torch.inference_mode():
        asked = attention(query, key, value, angles, unplaced=2)
    torch.testing.assert_close(asked, learning.detach(), rtol=0, atol=1e-5 if dtype == torch.float32 else 0.01)


def test_the_grid_need_not_be_square(generator):
    attention = MemoryAttention(64, 32, layers=1)
    memory = MemoryTokens(torch.randn(3, 12, 64, generator=generator), torch.randn(3, 12, 64, generator=generator), 0)

    assert attention(torch.randn(3, 64, 2, 3, generator=generator), memory).shape == (3, 64, 2, 3)


def test_a_shared_frame_is_conditioned_as_a_copy_for_each_object(generator):
    attention, features = MemoryAttention(64, 32, layers=2), torch.randn(1, 64, 2, 3, generator=generator)
    memory = MemoryTokens(torch.randn(3, 12, 64, generator=generator), torch.randn(3, 12, 64, generator=generator), 0)

    shared = attention(features, memory)

    torch.testing.assert_close(shared, attention(features.expand(3, -1, -1, -1), memory))
