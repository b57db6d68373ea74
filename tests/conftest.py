"""What tests in every room may use."""

import sys
from pathlib import Path

import pytest
import torch

# Test modules are imported by path (importmode=importlib), so what they share must be found by name.
sys.path.insert(0, str(Path(__file__).parent))

from medsam2.network import NetworkConfig, Sam2Network
from reference.random_weights import randomise

torch.set_num_threads(1)

TINY = NetworkConfig(
    embedding_width=8,
    heads=1,
    depths=(1, 1, 1, 1),
    global_blocks=(2,),
    windows=(8, 4, 8, 4),
    width=64,
    feedforward=32,
    memory_layers=1,
    size=64,
)


@pytest.fixture
def generator() -> torch.Generator:
    """A seeded source of random numbers."""
    return torch.Generator().manual_seed(0)


@pytest.fixture(scope="session")
def tiny_network() -> Sam2Network:
    """The smallest network of SAM 2.1's structure, for inference; do not change it, copy it."""
    torch.manual_seed(0)
    network = Sam2Network(TINY).eval().requires_grad_(False)
    randomise(network, seed=0)
    return network


@pytest.fixture(autouse=True)
def _no_compiled_encoder(monkeypatch: pytest.MonkeyPatch) -> None:
    """An encoder is compiled only where a test asks for it: it takes seconds."""
    monkeypatch.setattr("medsam2.segmenter.openvino_is_installed", lambda: False)
