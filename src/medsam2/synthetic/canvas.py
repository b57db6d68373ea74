"""The canvas: warped coordinates to evaluate shapes on, and the painter's algorithm."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from medsam2.synthetic.fields import octave_field, smooth_field
from medsam2.synthetic.random_source import RandomSource
from medsam2.synthetic.slab import Slab, Structure

Window = tuple[slice, slice, slice]
_MAX_INSTANCES = 32000  # int16


@dataclass(frozen=True)
class Extent:
    """Size of a canvas.

    Attributes:
        frames: Number of slices T.
        size: Side S of a slice, pixels.
        thickness: Distance of two slices, in units of half the side of the image.
    """

    frames: int
    size: int
    thickness: float


class Canvas:
    """Paints primitives into an instance map.

    Shapes are implicit functions of the coordinates `z`, `y`, `x` (y down, x right, both -1..1 across the image;
    z in the same unit, 0 in mid-slab), which are displaced by a smooth random field: so an ellipsoid comes
    out as an organ.

    Args:
        extent: Size of the canvas.
        source: Randomness and device.
        warp: Standard deviation of the displacement, in coordinate units.
        warp_cells: Spline cells of the displacement across the image.
    """

    def __init__(self, extent: Extent, source: RandomSource, warp: float = 0.05, warp_cells: float = 3.0) -> None:
        self.extent = extent
        self.source = source
        self.shape = (extent.frames, extent.size, extent.size)
        self.instances = torch.zeros(self.shape, dtype=torch.int16, device=source.device)
        self._labels, self._parents = [0], [0]
        self._margin = 2.5 * warp
        self.z, self.y, self.x = self._coordinates(warp, warp_cells)

    def _coordinates(self, warp: float, cells: float) -> tuple[Tensor, Tensor, Tensor]:
        frames, size, _ = self.shape
        device = self.source.device
        depth = (torch.arange(frames, device=device) - (frames - 1) / 2) * self.extent.thickness
        line = (torch.arange(size, device=device) + 0.5) * (2.0 / size) - 1.0
        z, y, x = torch.broadcast_tensors(depth[:, None, None], line[:, None], line[None, :])
        coarse = smooth_field(self.source, self.shape, self.cells(cells), 3)
        fine = smooth_field(self.source, self.shape, self.cells(3 * cells), 3)
        shift = (coarse + 0.25 * fine).clamp(-2.5, 2.5) * warp
        return z + shift[0], y + shift[1], x + shift[2]

    def cells(self, across: float) -> tuple[float, float, float]:
        """Spline cells of a field with `across` cells over the image and the same cell size through the slab."""
        return (across * self.extent.thickness * self.extent.frames / 2.0, across, across)

    def field(self, across: float) -> Tensor:
        """Draw one smooth field (T, S, S) with `across` cells over the image."""
        return smooth_field(self.source, self.shape, self.cells(across))[0]

    def rough_field(self, across: float) -> Tensor:
        """Draw one field (T, S, S) with three octaves of detail."""
        return octave_field(self.source, self.shape, self.cells(across))

    @property
    def depth(self) -> float:
        """Half the slab's extent in z."""
        return self.extent.thickness * (self.extent.frames - 1) / 2.0

    def window(self, centre: tuple[float, float, float], reach: float) -> Window:
        """Index ranges that hold every voxel whose warped coordinates lie within `reach` of a centre."""
        reach += self._margin
        step, half = self.extent.thickness, (self.extent.frames - 1) / 2
        first = math.floor((centre[0] - reach) / step + half)
        last = math.ceil((centre[0] + reach) / step + half)
        ranges = [slice(max(first, 0), max(last + 1, 0))]
        for middle in centre[1:]:
            low = math.floor((middle - reach + 1.0) / 2.0 * self.extent.size)
            high = math.ceil((middle + reach + 1.0) / 2.0 * self.extent.size)
            ranges.append(slice(max(low, 0), max(high, 0)))
        return (ranges[0], ranges[1], ranges[2])

    def new_instance(self, label: int, parent: int = 0) -> int:
        """Register an instance of a label and return its identifier."""
        if len(self._labels) >= _MAX_INSTANCES:
            return len(self._labels) - 1
        self._labels.append(label)
        self._parents.append(parent)
        return len(self._labels) - 1

    def label_of(self, instance: int) -> int:
        """The label of an instance."""
        return self._labels[instance]

    def paint(self, mask: Tensor, label: int, parent: int = 0) -> int:
        """Paint a whole-canvas mask (T, S, S) as a new instance; return its identifier."""
        instance = self.new_instance(label, parent)
        self.instances.masked_fill_(mask, instance)
        return instance

    def overlay(self, mask: Tensor, label: int, hosts: tuple[int, ...]) -> None:
        """Paint a mask over everything; what covers a host belongs to it, so that the filled host has no hole."""
        covered = [(host, mask & self.inside(host)) for host in hosts]
        self.paint(mask, label)
        for host, part in covered:
            self.paint(part, label, host)

    def paint_window(self, window: Window, mask: Tensor, instance: int) -> None:
        """Paint a mask given in a window with an instance that exists."""
        self.instances[window].masked_fill_(mask, instance)

    def inside(self, *instances: int) -> Tensor:
        """(T, S, S) bool: where one of these instances is on top."""
        mask = self.instances == instances[0]
        for instance in instances[1:]:
            mask |= self.instances == instance
        return mask

    def label_map(self) -> Tensor:
        """(T, S, S) int16 labels as painted so far."""
        return torch.tensor(self._labels, dtype=torch.int16, device=self.source.device)[self.instances.long()]

    def finish(self, structures: tuple[Structure, ...], kind: str) -> Slab:
        """Hand over the slab."""
        device = self.source.device
        labels = torch.tensor(self._labels, dtype=torch.int16, device=device)
        parents = torch.tensor(self._parents, dtype=torch.int16, device=device)
        return Slab(self.instances, labels, parents, structures, True, kind)


class Packing:
    """Lets shapes compete for space: touching, never overlapping, with a thin gap between them.

    Each voxel goes to the shape whose implicit function is lowest there, as in a power diagram.

    Args:
        canvas: Where the shapes will be painted.
        gap: Shapes keep this distance (in coordinate units) to each other and to their own outline.
    """

    def __init__(self, canvas: Canvas, gap: float = 0.0) -> None:
        self._canvas = canvas
        self._gap = gap
        self._best = torch.zeros(canvas.shape, device=canvas.source.device)
        self._second = torch.zeros(canvas.shape, device=canvas.source.device)
        self._owner = torch.zeros(canvas.shape, dtype=torch.int16, device=canvas.source.device)

    def add(self, window: Window, level: Tensor, instance: int) -> None:
        """Enter a shape by its implicit function, negative inside, given in a window."""
        best, second = self._best[window], self._second[window]
        better = level < best
        self._second[window] = torch.where(better, best, torch.minimum(second, level))
        self._best[window] = torch.where(better, level, best)
        self._owner[window].masked_fill_(better, instance)

    def paint(self, within: Tensor | None = None) -> Tensor:
        """Paint the winners, only inside `within` where given.

        Returns:
            (T, S, S) float32, how deep each voxel lies inside its shape (0 outside), in coordinate units.
        """
        won = (self._second - self._best > self._gap) & (self._owner > 0)
        if within is not None:
            won &= within
        self._canvas.instances = torch.where(won, self._owner, self._canvas.instances)
        return torch.where(won, (self._second - self._best - self._gap) / 2.0, 0.0)
