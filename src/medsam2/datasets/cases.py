"""A case: an image or volume, its reference labels, and which of them count; and sets of cases."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medsam2.errors import ConfigurationError, GeometryError
from medsam2.prompts.prompt_types import MaskArray
from medsam2.spatial import PlaneView, Segmentation, Volume, acquisition_plane


@dataclass(frozen=True, eq=False)
class Case:
    """One labelled volume, picture or unordered set of pictures.

    Attributes:
        name: what it is called; each case of a set has its own.
        volume: what the segmenter sees. The pictures of an unordered set are its slices.
        reference: the truth, on the same grid.
        names: the structures to score, by number; each has at least one voxel. A structure's number is its label in
            the reference, unless it is a region.
        ordered: the slices are those of a volume; else independent pictures of like scenes.
        regions: the labels that make up a structure, by its number, where that is not the one label of that number:
            regions may overlap, as the optic cup lies in the optic disc.

    Raises:
        GeometryError: volume and reference lie on different grids.
        ConfigurationError: a structure has no voxel, or there is none.
    """

    name: str
    volume: Volume
    reference: Segmentation
    names: Mapping[int, str]
    ordered: bool = True
    regions: Mapping[int, tuple[int, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "names", MappingProxyType(dict(sorted(self.names.items()))))
        object.__setattr__(self, "regions", MappingProxyType(dict(sorted(self.regions.items()))))
        if not self.volume.geometry.same_grid(self.reference.geometry):
            raise GeometryError(
                f"{self.name}: the labels lie on {self.reference.geometry.describe()}, the image on "
                f"{self.volume.geometry.describe()}, or they are turned or shifted; expected one grid"
            )
        present = set(labels_present(self.reference))
        missing = sorted(number for number in self.names if present.isdisjoint(self.labels_of(number)))
        if missing or not self.names:
            what = f"label {missing[0]} has no voxel" if missing else "no structure is named"
            raise ConfigurationError(f"{self.name}: {what}; name labels that the reference holds")

    @cached_property
    def view(self) -> PlaneView:
        """The slices that are prompted and gone through: those of the plane of acquisition."""
        return PlaneView.of(self.volume.geometry, acquisition_plane(self.volume.geometry))

    @property
    def is_sequence(self) -> bool:
        """Whether a prompt on one slice can be carried to others, as in a video."""
        return self.ordered and self.view.frame_count > 1

    def labels_of(self, number: int) -> tuple[int, ...]:
        """The labels that make up a structure."""
        return self.regions.get(number, (number,))

    def truth(self, label: int) -> MaskArray:
        """The reference of a structure as frames of the view, (T, R, C)."""
        return self._mask(self.view.to_frames(self.reference.labels), label)

    def truth_on(self, frame: int, label: int) -> MaskArray:
        """The reference of a structure on one frame, (R, C)."""
        return self._mask(self.view.to_frames(self.reference.labels)[frame], label)

    def _mask(self, labels: NDArray[Any], number: int) -> MaskArray:
        wanted = self.labels_of(number)
        mask: MaskArray = labels == wanted[0] if len(wanted) == 1 else np.isin(labels, wanted)
        return mask

    @cached_property
    def prompted_frames(self) -> Mapping[int, int]:
        """By label, the frame that is prompted: where the structure is largest; of equals the first."""
        return MappingProxyType({label: self._largest_on(label) for label in self.names})

    def labels_by_frame(self) -> dict[int, list[int]]:
        """The structures that are prompted on each frame, frames ascending."""
        labels: dict[int, list[int]] = defaultdict(list)
        for label, frame in self.prompted_frames.items():
            labels[frame].append(label)
        return dict(sorted(labels.items()))

    def _largest_on(self, label: int) -> int:
        return int(np.count_nonzero(self.truth(label), axis=(1, 2)).argmax())

    @cached_property
    def image_sha256(self) -> str:
        """SHA-256 of the voxels, their type and shape, and the affine."""
        return _sha256(self.volume.array, self.volume.geometry.affine)

    @cached_property
    def labels_sha256(self) -> str:
        """SHA-256 of the labels, and of which of them are scored under which name."""
        regions = [(number, labels) for number, labels in self.regions.items() if number in self.names]
        told = (list(self.names.items()), self.ordered, *([regions] if regions else []))
        return _sha256(self.reference.labels, text=repr(told))

    @property
    def sha256(self) -> str:
        """SHA-256 of all that the scores depend on."""
        return joint_sha256((self.image_sha256, self.labels_sha256))


@dataclass(frozen=True)
class CaseSource:
    """A case that is read or made when it is wanted: a set need not fit into memory.

    Attributes:
        name: of the case.
        load: gives it.
        patient: whose case it is, where several may be of one; None: a patient of its own.
        split: the part of the set that it belongs to, such as "training" or "test"; None if nothing says so.
        channel: what the image shows where the same anatomy was taken in several ways, such as "t2f"; else None.
    """

    name: str
    load: Callable[[], Case]
    patient: str | None = None
    split: str | None = None
    channel: str | None = None

    @property
    def whose(self) -> str:
        """The patient, or the case's own name."""
        return self.patient or self.name


@dataclass(frozen=True)
class CaseSet:
    """Cases that are scored together.

    Attributes:
        name: what it is called in reports.
        sources: its cases.
        facts: what a report should state of it, e.g. the seed or the licence; plain values, as JSON takes them.
    """

    name: str
    sources: tuple[CaseSource, ...]
    facts: Mapping[str, Any]

    def spread(self, count: int | None) -> CaseSet:
        """A smaller set: `count` cases evenly spread over this one, None for all.

        Raises:
            ConfigurationError: the count is not positive.
        """
        if count is None or count >= len(self.sources):
            return self
        if count < 1:
            raise ConfigurationError(f"{count} cases were asked for; expected at least 1")
        chosen = tuple(self.sources[place * len(self.sources) // count] for place in range(count))
        return replace(self, sources=chosen)


def labels_present(reference: Segmentation) -> list[int]:
    """The labels that have a voxel, ascending, without the background."""
    found: list[int] = np.unique(reference.labels).tolist()
    return [label for label in found if label]


def joint_sha256(parts: Sequence[str]) -> str:
    """One SHA-256 of several, in their order."""
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _sha256(*arrays: NDArray[np.generic], text: str = "") -> str:
    digest = hashlib.sha256(text.encode())
    for array in arrays:
        # Little-endian, so that the hash is that of the values on any machine.
        plain = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
        digest.update(f"{plain.dtype.str} {plain.shape}".encode())
        digest.update(plain.data)
    return digest.hexdigest()
