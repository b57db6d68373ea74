import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from medsam2.network import layers
from medsam2.network.layers import MLP, LayerNorm2d, attend, merge_heads, split_heads


def test_layer_norm_normalises_the_channels_of_each_pixel(generator):
    norm = LayerNorm2d(8)
    x = 5 + 3 * torch.randn(2, 8, 3, 4, generator=generator)

    y = norm(x)

    torch.testing.assert_close(y.mean(1), torch.zeros(2, 3, 4), atol=1e-6, rtol=0)
    torch.testing.assert_close(y.var(1, unbiased=False), torch.ones(2, 3, 4), atol=1e-4, rtol=0)


def test_layer_norm_scales_and_shifts_each_channel(generator):
    norm, x = LayerNorm2d(4), torch.randn(1, 4, 2, 2, generator=generator)
    plain = norm(x)
    with torch.no_grad():
        norm.weight.copy_(torch.tensor([1.0, 2.0, 3.0, 4.0]))
        norm.bias.copy_(torch.tensor([0.0, 10.0, 20.0, 30.0]))

    expected = plain * torch.arange(1, 5)[:, None, None] + 10 * torch.arange(4)[:, None, None]
    torch.testing.assert_close(norm(x), expected)


def test_mlp_has_an_activation_between_layers_and_none_after_the_last():
    mlp = MLP((1, 1, 1))
    with torch.no_grad():
        for layer in mlp.layers:
            layer.weight.fill_(1.0)
            layer.bias.fill_(-1.0)

    assert mlp(torch.tensor([[0.5], [4.0]])).tolist() == [[-1.0], [2.0]]


def test_mlp_takes_another_activation():
    assert isinstance(MLP((2, 3, 4), nn.GELU).activation, nn.GELU)
    assert MLP((2, 3, 4))(torch.zeros(5, 6, 2)).shape == (5, 6, 4)


@given(heads=st.integers(1, 4), width=st.integers(1, 4), tokens=st.integers(0, 5))
def test_heads_round_trip(heads, width, tokens):
    x = torch.randn(2, tokens, heads * width, generator=torch.Generator().manual_seed(0))

    split = split_heads(x, heads)

    assert split.shape == (2, heads, tokens, width)
    assert torch.equal(merge_heads(split), x)


@pytest.mark.parametrize("requires_grad", [False, True])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 2e-2)])
def test_attention_is_the_softmax_of_scaled_products(generator, requires_grad, dtype, tolerance):
    query, key, value = (torch.randn(2, 3, n, 8, generator=generator) for n in (4, 5, 5))
    expected = (query @ key.mT / 8**0.5).softmax(-1) @ value

    attended = attend(query.to(dtype).requires_grad_(requires_grad), key.to(dtype), value.to(dtype))

    assert attended.dtype == dtype
    torch.testing.assert_close(attended.float(), expected, atol=tolerance, rtol=tolerance)


def test_attention_in_parts_is_attention(generator, monkeypatch):
    query, key = torch.randn(2, 2, 5, 8, generator=generator)
    value = torch.randn(2, 5, 3, generator=generator)
    expected = F.scaled_dot_product_attention(query, key, value)

    for scores in (1, 12, 30, 1000):
        monkeypatch.setattr(layers, "SCORES_AT_ONCE", scores)
        torch.testing.assert_close(layers.attend_in_parts(query, key, value), expected)
