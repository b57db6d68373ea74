import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers.models.sam2.modeling_sam2 import Sam2SinePositionEmbedding
from transformers.models.sam2_video.modeling_sam2_video import get_1d_sine_pe

from medsam2.network.position import (
    BASE,
    FourierPosition,
    grid_sinusoids,
    rotary_angles,
    rotate,
    time_sinusoids,
)

CPU = torch.device("cpu")


@pytest.mark.parametrize(("channels", "height", "width"), [(64, 8, 8), (128, 4, 10), (256, 14, 3)])
def test_grid_sinusoids_equal_the_reference(channels, height, width):
    reference = Sam2SinePositionEmbedding(channels // 2, normalize=True)

    expected = reference(torch.Size((1, channels, height, width)), CPU, torch.float32)

    torch.testing.assert_close(grid_sinusoids(channels, height, width, CPU), expected)


def test_grid_sinusoids_by_hand():
    position = grid_sinusoids(8, 2, 4, CPU)[0]

    assert position.shape == (8, 2, 4)
    # The first row of two lies at pi, the third column of four at 3 pi / 2; their second wavelength is 100.
    row, column = math.pi, 1.5 * math.pi
    expected = [f(place / wave) for place in (row, column) for wave in (1, 100) for f in (math.sin, math.cos)]
    torch.testing.assert_close(position[:, 0, 2], torch.tensor(expected), atol=1e-5, rtol=0)


def test_time_sinusoids_equal_the_reference():
    times = torch.tensor([[0.0, 1 / 15, 0.5], [1.0, 2.5, -0.2]])

    torch.testing.assert_close(time_sinusoids(times, 64), get_1d_sine_pe(times, 64))


def test_fourier_position_by_hand():
    position = FourierPosition(4)
    position.frequencies.copy_(torch.tensor([[1.0, 0.0], [0.0, 0.25]]))

    encoded = position(torch.tensor([[0.5, 0.5], [0.625, 1.0]]))

    expected = [[0, 0, 1, 1], [math.sin(math.pi / 2), math.sin(math.pi / 2), 0, 0]]
    torch.testing.assert_close(encoded, torch.tensor(expected, dtype=torch.float32), atol=1e-6, rtol=0)


def test_fourier_position_stays_exact_under_autocast():
    position, points = FourierPosition(64), torch.rand(1, 5, 2, generator=torch.Generator().manual_seed(0))

    with torch.autocast("cpu", torch.bfloat16):
        encoded = position(points)

    assert torch.equal(encoded, position(points))


def test_fourier_grid_encodes_the_centres_of_cells():
    position = FourierPosition(16)

    grid = position.grid(2, 4)

    assert grid.shape == (1, 16, 2, 4)
    torch.testing.assert_close(grid[0, :, 1, 0], position(torch.tensor([1 / 8, 3 / 4])))


@given(
    channels=st.sampled_from([4, 8, 64]),
    height=st.integers(1, 5),
    width=st.integers(1, 5),
    grids=st.integers(1, 3),
    seed=st.integers(0, 99),
)
def test_rotation_equals_complex_multiplication(channels, height, width, grids, seed):
    cells = height * width
    x = torch.randn(2, grids * cells, channels, generator=torch.Generator().manual_seed(seed))
    # Axial rotary embedding in its own terms: pair c of the first half turns by column * base^(-4c / channels).
    cell = torch.arange(cells)
    speeds = BASE ** -(torch.arange(channels // 4, dtype=torch.float64) * 4 / channels)
    angles = torch.cat(((cell % width)[:, None] * speeds, (cell // width)[:, None] * speeds), dim=1)
    turns = torch.polar(torch.ones_like(angles), angles).repeat(grids, 1)
    expected = torch.view_as_real(torch.view_as_complex(x.double().unflatten(-1, (-1, 2))) * turns).flatten(-2)

    rotated = rotate(x, rotary_angles(channels, height, width, CPU))

    torch.testing.assert_close(rotated, expected.float(), atol=1e-5, rtol=1e-5)


@given(shift=st.integers(0, 3))
def test_rotated_products_depend_on_distance_only(shift):
    angles = rotary_angles(16, 1, 8, CPU)
    query, key = torch.randn(2, 16, generator=torch.Generator().manual_seed(3))
    queries, keys = (rotate(one.expand(1, 8, -1), angles)[0] for one in (query, key))

    torch.testing.assert_close(queries[shift] @ keys[shift + 2], queries[0] @ keys[2], atol=1e-5, rtol=1e-5)


def test_rotation_keeps_the_precision_of_its_input():
    x = torch.randn(1, 4, 8, generator=torch.Generator().manual_seed(0))

    rotated = rotate(x.bfloat16(), rotary_angles(8, 2, 2, CPU))

    assert rotated.dtype == torch.bfloat16
    torch.testing.assert_close(rotated.float(), rotate(x, rotary_angles(8, 2, 2, CPU)), atol=0.03, rtol=0.01)


def test_positions_first_computed_for_inference_serve_training():
    with torch.inference_mode():
        angles = rotary_angles(8, 3, 5, CPU)
        grid = grid_sinusoids(8, 3, 5, CPU)
    x = torch.ones(1, 15, 8, requires_grad=True)

    (rotate(x, angles).sum() + (x * grid.flatten(2).mT).sum()).backward()

    assert x.grad is not None
    assert x.grad.isfinite().all()
