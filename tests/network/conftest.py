"""What the comparisons with the reference implementation share."""

import pytest
import torch
from torch import Tensor

from reference.sam2_transformers import SMALL, SMALL_UNTIMED, Pair, build_pair


@pytest.fixture(scope="session", params=[SMALL, SMALL_UNTIMED], ids=["2.1", "2.0"])
def pair(request: pytest.FixtureRequest) -> Pair:
    """The same random weights in both implementations, for SAM 2.1's structure and for 2.0's; do not change them."""
    pair = build_pair(request.param, size=128)
    pair.reference.requires_grad_(False)
    pair.network.requires_grad_(False)
    return pair


@pytest.fixture
def images(generator: torch.Generator) -> Tensor:
    """Two frames (2, 3, 128, 128)."""
    return torch.randn(2, 3, 128, 128, generator=generator)
