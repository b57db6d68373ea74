"""Randomness that depends on nothing but a seed and a place in the run, so that a run can go on from anywhere."""

import hashlib
from dataclasses import dataclass

import torch
from torch import Generator


def generator_at(seed: int, *place: str | int) -> Generator:
    """The generator of one place in a run.

    No state of it has to be saved: whoever comes to the place again, in whatever process, draws the same.

    Args:
        seed: of the run.
        place: what is drawn, and when, e.g. ("prompts", step, lane).

    Example:
        >>> first, again = (torch.rand(3, generator=generator_at(0, "prompts", 7, 1)) for _ in range(2))
        >>> torch.equal(first, again)
        True
    """
    digest = hashlib.sha256(repr((seed, *place)).encode()).digest()
    return Generator().manual_seed(int.from_bytes(digest[:8], "little"))


@dataclass(frozen=True)
class Lane:
    """One of the series of batches whose gradients are averaged.

    There are as many, and they are the same, however many processes share them.

    Attributes:
        seed: of the run.
        task: number of the stage and of the task.
        index: of the lane, from 0.
        count: of lanes.
    """

    seed: int
    task: tuple[int, int]
    index: int = 0
    count: int = 1

    def generator(self, *place: str | int) -> Generator:
        """The generator of a place; all lanes of the task get the same."""
        return generator_at(self.seed, *self.task, *place)


def draw_index(below: int, generator: Generator) -> int:
    """A whole number from 0 up to, not including, `below`."""
    return int(torch.randint(below, (), generator=generator))


def draw_between(low: float, high: float, generator: Generator) -> float:
    """A number, uniformly."""
    return low + (high - low) * float(torch.rand((), generator=generator))


def happens(share: float, generator: Generator) -> bool:
    """True in this share of cases."""
    return float(torch.rand((), generator=generator)) < share
