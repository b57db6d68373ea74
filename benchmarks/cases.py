"""What is measured: slices, prompts and the network, the same for everybody."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from medsam2.engine.track import NetworkPrompt
from medsam2.network import NetworkConfig, PointKind
from medsam2.network.config import Precision

SHAPE_CELLS = 10
"""Cells a side of the random grid that becomes a frame's shapes."""

NOISE = 0.2


@dataclass(frozen=True)
class Case:
    """One line of work: all objects are boxed on the middle slice and followed to both ends.

    Attributes:
        config: the network.
        size: S, pixels.
        slices: T.
        objects: B.
        precision: "bfloat16" means what each implementation offers: weights in bfloat16 here, autocast at the others.
    """

    config: NetworkConfig
    size: int
    slices: int
    objects: int
    precision: Precision

    @property
    def start(self) -> int:
        """The prompted slice."""
        return self.slices // 2

    def frames(self) -> Tensor:
        """(T, 3, S, S) float32: smooth random shapes that drift and change, with noise on top; always the same."""
        generator = torch.Generator().manual_seed(self.size)
        first, last = torch.randn(2, 1, 3, SHAPE_CELLS, SHAPE_CELLS, generator=generator)
        frames = torch.empty(self.slices, 3, self.size, self.size)
        for t, share in enumerate(torch.linspace(0, 1, self.slices)):
            shape = F.interpolate(first + share * (last - first), size=(self.size, self.size), mode="bicubic")[0]
            frames[t] = 1.5 * shape + NOISE * torch.randn(3, self.size, self.size, generator=generator)
        return frames

    def prompts(self) -> list[NetworkPrompt]:
        """A box for each object, somewhere in the frame."""
        generator = torch.Generator().manual_seed(self.objects)
        first = torch.rand(self.objects, 2, generator=generator) * 0.5
        sides = 0.2 + torch.rand(self.objects, 2, generator=generator) * 0.3
        corners = torch.stack((first, first + sides), dim=1) * self.size
        kinds = torch.tensor([PointKind.BOX_FIRST, PointKind.BOX_LAST])
        return [NetworkPrompt(one.round(), kinds) for one in corners]


@dataclass(frozen=True)
class Grid:
    """Which cases to measure: every combination.

    Attributes:
        sizes: S of each.
        objects: B of each.
        slices: T, of all.
        precisions: of each.
        rounds: how often each implementation works on each case.
    """

    sizes: tuple[int, ...]
    objects: tuple[int, ...]
    slices: int
    precisions: tuple[Precision, ...]
    rounds: int = 1
