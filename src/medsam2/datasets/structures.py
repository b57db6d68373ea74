"""What the numbers of a label map mean, and a case made of an image and its label map."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from medsam2.datasets.cases import Case, labels_present
from medsam2.errors import ConfigurationError, FormatError, GeometryError
from medsam2.spatial import Segmentation, Volume

NAMES_FILE = "labels.json"
"""Beside a user's own scans: names the structures to score."""


@dataclass(frozen=True)
class Structures:
    """The structures of a data set.

    Attributes:
        names: of the structures to score, by number; empty: every label of a map is one.
        regions: the labels that make up a structure, by its number, where that is not the one label of that number.
        known: further labels that a map may hold; None: any.

    Example:
        >>> tumour = Structures({1: "whole tumour", 2: "core"}, regions={1: (1, 2), 2: (2,)})
        >>> tumour.unknown([1, 2, 9])
        [9]
    """

    names: Mapping[int, str] = field(default_factory=dict)
    regions: Mapping[int, tuple[int, ...]] = field(default_factory=dict)
    known: tuple[int, ...] | None = ()

    def labels_of(self, number: int) -> tuple[int, ...]:
        """The labels that make up a structure."""
        return self.regions.get(number, (number,))

    def unknown(self, present: list[int]) -> list[int]:
        """Those of a map's labels that mean nothing here."""
        if not self.names or self.known is None:
            return []
        meant = {label for number in self.names for label in self.labels_of(number)}
        return sorted(set(present) - meant - set(self.known))

    def among(self, present: list[int]) -> dict[int, str]:
        """Names of the structures that a map of these labels holds, by number."""
        if not self.names:
            return {label: f"label {label}" for label in present}
        return {number: name for number, name in self.names.items() if set(self.labels_of(number)) & set(present)}


def labelled_case(name: str, volume: Volume, reference: Segmentation, structures: Structures) -> Case:
    """A case with those structures that its label map holds.

    Args:
        name: of the case.
        volume: the image.
        reference: its label map.
        structures: what the labels mean.

    Raises:
        GeometryError: the two lie on different grids.
        ConfigurationError: the map holds a label that means nothing, or nothing to score.
    """
    present = labels_present(reference)
    file = f"{reference.source.path}: " if reference.source else ""
    if unknown := structures.unknown(present):
        told = ", ".join(f"{number} {name}" for number, name in structures.names.items())
        raise ConfigurationError(f"{file}{name}: label {unknown[0]} is unknown; expected labels of {told}")
    names = structures.among(present)
    if not names:
        what = "none of the labels to score" if present else "nothing but background"
        raise ConfigurationError(f"{file}{name}: the labels hold {what}; expected at least one structure")
    regions = {number: labels for number, labels in structures.regions.items() if number in names}
    try:
        return Case(name, volume, reference, names, regions=regions)
    except GeometryError as error:
        raise GeometryError(f"{file}{error}") from error


def read_structures(folder: Path) -> Structures:
    """The structures that a folder's `labels.json` names, as `{"1": "liver"}`; every label where there is no such file.

    Raises:
        FormatError: the file cannot be read as that.
    """
    path = folder / NAMES_FILE
    if not path.exists():
        return Structures()
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        entries = told["labels"] if isinstance(told.get("labels"), dict) else told
        names = {int(label): str(one["name"] if isinstance(one, dict) else one) for label, one in entries.items()}
    except (OSError, ValueError, KeyError, AttributeError) as error:
        raise FormatError(f'{path}: expected names by label, as in {{"1": "liver"}} ({error!r})') from error
    return Structures(names, known=None)
