"""One seeded source of everything random in the synthetic room."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import torch
from torch import Generator, Tensor

Item = TypeVar("Item")
_BLOCK = 512  # scalars drawn at a time: one call to torch instead of hundreds
_SEED_LIMIT = 2**62


class RandomSource:
    """Draws scalars on the CPU and noise tensors on the device, both from one generator.

    Scalars never leave the CPU, so that a GPU is not waited for; a CPU generator with another device seeds a
    second generator there.

    Args:
        generator: The only origin of randomness; it is advanced.
        device: Where noise tensors are made.
    """

    def __init__(self, generator: Generator, device: torch.device | str = "cpu") -> None:
        self.device = torch.device(device)
        self._generator = generator
        self._scalars: list[float] = []
        self._tensors = generator
        if generator.device.type != self.device.type:
            seed = torch.randint(_SEED_LIMIT, (), generator=generator, device=generator.device)
            self._tensors = torch.Generator(self.device).manual_seed(int(seed))

    def uniform(self, low: float = 0.0, high: float = 1.0) -> float:
        """Draw a number from [low, high)."""
        if not self._scalars:
            block = torch.rand(_BLOCK, generator=self._generator, device=self._generator.device)
            self._scalars = block.tolist()
        return low + (high - low) * self._scalars.pop()

    def log_uniform(self, low: float, high: float) -> float:
        """Draw a positive number whose logarithm is uniform: as many small as large ones."""
        return float(low * (high / low) ** self.uniform())

    def normal(self, mean: float = 0.0, deviation: float = 1.0) -> float:
        """Draw from an almost normal distribution (the sum of twelve uniforms; never beyond six deviations)."""
        return mean + deviation * (sum(self.uniform() for _ in range(12)) - 6.0)

    def integer(self, low: int, high: int) -> int:
        """Draw an integer from low to high, both included."""
        return min(high, low + int(self.uniform() * (high - low + 1)))

    def chance(self, probability: float) -> bool:
        """Say yes with this probability."""
        return self.uniform() < probability

    def sign(self) -> float:
        """Draw -1 or 1."""
        return 1.0 if self.chance(0.5) else -1.0

    def choice(self, items: Sequence[Item], weights: Sequence[float] | None = None) -> Item:
        """Draw one item, evenly or by weights (which need not sum to one)."""
        if weights is None:
            return items[self.integer(0, len(items) - 1)]
        rest = self.uniform(0.0, sum(weights))
        for item, weight in zip(items, weights, strict=True):
            rest -= weight
            if rest < 0:
                return item
        return items[-1]

    def randn(self, *shape: int) -> Tensor:
        """Draw standard normal noise on the device."""
        return torch.randn(shape, generator=self._tensors, device=self.device)

    def rand(self, *shape: int) -> Tensor:
        """Draw noise uniform in [0, 1) on the device."""
        return torch.rand(shape, generator=self._tensors, device=self.device)
