import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from medsam2.network import PRESETS
from medsam2.network.hiera import Hiera, from_windows, to_windows
from reference.sam2_transformers import SMALL, build_pair


@given(height=st.integers(1, 17), width=st.integers(1, 17), side=st.integers(1, 9), images=st.integers(1, 3))
def test_windows_round_trip(height, width, side, images):
    x = torch.randn(images, height, width, 2, generator=torch.Generator().manual_seed(0))

    windows = to_windows(x, side)

    across, down = -(-width // side), -(-height // side)
    assert windows.shape == (images * down * across, side, side, 2)
    assert torch.equal(from_windows(windows, height, width), x)


def test_windows_are_tiles_in_reading_order():
    x = torch.arange(3 * 4).reshape(1, 3, 4, 1)

    windows = to_windows(x, 2)[..., 0]

    assert windows.tolist() == [
        [[0, 1], [4, 5]],
        [[2, 3], [6, 7]],
        [[8, 9], [0, 0]],
        [[10, 11], [0, 0]],
    ]


@pytest.mark.parametrize("size", [32, 96, 128, 160, 224])
def test_stages_equal_the_reference(pair, size, generator):
    images = torch.randn(2, 3, size, size, generator=generator)

    stages = pair.network.image_encoder(images)

    reference = pair.reference.vision_encoder.backbone(images).intermediate_hidden_states
    for stage, expected in zip(stages, reference, strict=True):
        torch.testing.assert_close(stage, expected.permute(0, 3, 1, 2), atol=1e-4, rtol=1e-4)


def test_the_released_tiny_network_equals_the_reference(generator):
    pair = build_pair(PRESETS["sam2.1-hiera-tiny"], size=128)
    images = torch.randn(1, 3, 128, 128, generator=generator)

    with torch.no_grad():
        stages = pair.network.image_encoder(images)
        reference = pair.reference.vision_encoder.backbone(images).intermediate_hidden_states

    for stage, expected in zip(stages, reference, strict=True):
        torch.testing.assert_close(stage, expected.permute(0, 3, 1, 2), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", PRESETS)
def test_shapes_of_the_presets(name):
    config = PRESETS[name]
    with torch.device("meta"):
        encoder = Hiera(config)
        stages = encoder(torch.empty(1, 3, config.size, config.size))

    widths = [config.embedding_width * 2**stage for stage in range(4)]
    assert encoder.widths == widths
    assert [stage.shape for stage in stages] == [
        (1, width, config.size // stride, config.size // stride)
        for width, stride in zip(widths, (4, 8, 16, 32), strict=True)
    ]


def test_a_tile_of_the_position_repeats_in_each_window():
    encoder = Hiera(SMALL)
    with torch.no_grad():
        encoder.position_window.normal_(generator=torch.Generator().manual_seed(0))

    position = encoder._position(24, 16)

    assert torch.equal(position[..., :8, :8], encoder.position_window)
    assert torch.equal(position[..., 16:, 8:], encoder.position_window)
