"""The label slab that a scene paints and a renderer turns into images."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from medsam2.errors import ShapeError


@dataclass(frozen=True)
class Structure:
    """A label's meaning.

    Attributes:
        name: For people.
        tissue: A key of the rendering priors (`medsam2.synthetic.tissues`).
    """

    name: str
    tissue: str


@dataclass(frozen=True)
class Slab:
    """Painted anatomy, before it has any intensity.

    Every painted primitive is an instance with an identifier of its own; labels follow from instances.

    Attributes:
        instances: (T, S, S) int16, 0 = background, else an index into the two tables.
        instance_labels: (I + 1,) int16, the label of each instance; entry 0 is 0.
        instance_parents: (I + 1,) int16, the instance that each one was painted into; 0 = none.
        structures: What the labels 0..L mean.
        ordered: Slices of one volume, or images of like scenes.
        kind: The family that painted it.
    """

    instances: Tensor
    instance_labels: Tensor
    instance_parents: Tensor
    structures: tuple[Structure, ...]
    ordered: bool
    kind: str

    @property
    def labels(self) -> Tensor:
        """(T, S, S) int16 label map."""
        return self.instance_labels[self.instances.long()]

    @classmethod
    def from_labels(cls, labels: Tensor, structures: tuple[Structure, ...], kind: str = "given") -> Slab:
        """Make an ordered slab of a label map, each label being one instance.

        Raises:
            ShapeError: The map is not (T, S, S).
        """
        if labels.ndim != 3:
            raise ShapeError(f"label map has shape {tuple(labels.shape)}; expected (T, S, S)")
        identity = torch.arange(len(structures), dtype=torch.int16, device=labels.device)
        return cls(labels.to(torch.int16), identity, torch.zeros_like(identity), structures, True, kind)


@dataclass(frozen=True)
class Clip:
    """Images with their labels, as training takes them.

    Attributes:
        images: (T, S, S) or (T, 3, S, S) float32 in [0, 1], like a windowed slice.
        labels: (T, S, S) int16, 0 = background.
        ordered: Slices of a volume, or unordered images of like scenes.
        slab: The instances behind the labels, from which targets are sampled.
    """

    images: Tensor
    labels: Tensor
    ordered: bool
    slab: Slab


def stack_unordered(slabs: list[Slab]) -> Slab:
    """Join slabs of one family into an unordered set: labels keep their meaning, instances become distinct.

    Raises:
        ShapeError: No slab was given.
    """
    if not slabs:
        raise ShapeError("no slab to stack; expected at least one")
    instances, labels, parents = [], [slabs[0].instance_labels[:1]], [slabs[0].instance_parents[:1]]
    offset = 0
    for slab in slabs:
        instances.append(torch.where(slab.instances > 0, slab.instances + offset, 0).to(torch.int16))
        labels.append(slab.instance_labels[1:])
        own = slab.instance_parents[1:]
        parents.append(torch.where(own > 0, own + offset, 0).to(torch.int16))
        offset += len(slab.instance_labels) - 1
    first = slabs[0]
    tables = torch.cat(labels), torch.cat(parents)
    return Slab(torch.cat(instances), *tables, first.structures, False, first.kind)
