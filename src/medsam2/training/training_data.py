"""The cases to train on and to choose by: opened, checked and told apart before anything is learnt."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from medsam2.datasets import (
    Case,
    CaseSet,
    CaseSource,
    Choice,
    Layout,
    layout_at,
    open_dataset,
    read_splits,
    split_by_patient,
)
from medsam2.datasets.layout import Tree
from medsam2.datasets.splits import names_sha256
from medsam2.errors import ConfigurationError, FormatError
from medsam2.training.case_shelf import Extent, areas_of
from medsam2.training.recipe import DataSettings

Progress = Callable[[int, int], None]
"""Told (cases read, cases in all)."""

SPLIT_SEED = 0
"""Patients to choose by are the same in all runs on a set, whatever the recipe's seed."""


@dataclass(frozen=True)
class TrainingData:
    """Labelled images in two splits, no patient in both.

    Attributes:
        training: cases to learn from.
        validation: cases to choose by; may be none.
        facts: origin, licence and the splits' hashes, for the record.
        patients: by split, those of the whole set.
        extents: by name of a case how large its structures are.
    """

    training: tuple[CaseSource, ...]
    validation: tuple[CaseSource, ...]
    facts: dict[str, Any] = field(default_factory=dict)
    patients: dict[str, list[str]] = field(default_factory=dict)
    extents: dict[str, Extent] = field(default_factory=dict)

    def spread_validation(self, count: int | None) -> tuple[CaseSource, ...]:
        """Cases to choose by, `count` of them evenly spread; None: all."""
        return CaseSet("validation", self.validation, {}).spread(count).sources


def open_training_data(settings: DataSettings, progress: Progress | None = None) -> TrainingData:
    """Open the data of a recipe; of the set, only the splits for training and validation are ever read.

    Args:
        settings: of the recipe; not synthetic.
        progress: told how many cases of a split were read.

    Raises:
        FormatError: something is missing, does not fit, cannot be read, is empty or in two splits; it is named.
        ConfigurationError: there is no such split, or too few patients for two.
    """
    layout, path = layout_at(settings.source)
    extents: dict[str, Extent] = {}
    layout = _measuring(layout, extents)
    every = _all_cases(layout, path, settings)
    named = {case.split for case in every if case.split is not None}
    chosen = settings.training if named else None
    found = _open(layout, path, settings, chosen, progress)
    training, validation = found.sources, found.sources[:0]
    if settings.validation in named:
        validation = _open(layout, path, settings, settings.validation, progress).sources
    elif settings.validation_share:
        training, validation = _dealt(found, settings)
    patients = _patients(every, training, validation)
    return TrainingData(training, validation, _facts(found, training, validation), patients, extents)


def _measuring(layout: Layout, extents: dict[str, Extent]) -> Layout:
    """The layout, noting how large the structures of a case are when it is first read: all are, to be checked."""

    def find(path: Path) -> Tree:
        tree = layout.find(path)
        return replace(tree, sources=tuple(replace(one, load=partial(load, one)) for one in tree.sources))

    def load(source: CaseSource) -> Case:
        case = source.load()
        if source.name not in extents:
            extents[source.name] = Extent.of(case, areas_of(case))
        return case

    return replace(layout, find=find)


def _all_cases(layout: Layout, path: Path, settings: DataSettings) -> tuple[CaseSource, ...]:
    """By name only; nothing of them is read."""
    sources = layout.find(path).sources
    return read_splits(sources, Path(settings.splits)) if settings.splits else sources


def _open(layout: Layout, path: Path, settings: DataSettings, split: str | None, progress: Progress | None) -> CaseSet:
    splits = Path(settings.splits) if settings.splits else None
    return open_dataset(layout, path, Choice(split, settings.channel, splits=splits), progress)


def _dealt(found: CaseSet, settings: DataSettings) -> tuple[tuple[CaseSource, ...], tuple[CaseSource, ...]]:
    patients = len({case.whose for case in found.sources})
    if patients < 2:
        raise ConfigurationError(
            f"{found.name}: has one patient to train on and no split '{settings.validation}'; give it another patient, "
            "or set 'data.validation_share' to 0, to keep the last weights"
        )
    share = max(settings.validation_share, 1 / patients)
    dealt = split_by_patient(found.sources, {settings.training: 1 - share, settings.validation: share}, SPLIT_SEED)
    return dealt[settings.training], dealt[settings.validation]


def _patients(
    every: Iterable[CaseSource], training: Iterable[CaseSource], validation: Iterable[CaseSource]
) -> dict[str, list[str]]:
    """All patients of a set, by the split that this run gives them."""
    learnt, chosen_by = {case.whose for case in training}, {case.whose for case in validation}
    if both := sorted(learnt & chosen_by):
        raise FormatError(f"patient '{both[0]}' is to be trained on and chosen by; expected one split a patient")
    by_split: dict[str, set[str]] = {"training": learnt, "validation": chosen_by}
    for case in every:
        if case.whose not in learnt | chosen_by:
            by_split.setdefault(case.split or "unused", set()).add(case.whose)
    return {split: sorted(whose) for split, whose in by_split.items() if whose}


def _facts(found: CaseSet, training: tuple[CaseSource, ...], validation: tuple[CaseSource, ...]) -> dict[str, Any]:
    told = {key: found.facts[key] for key in ("layout", "title", "origin", "licence") if key in found.facts}
    splits = {
        name: {
            "cases": len(cases),
            "patients": len({case.whose for case in cases}),
            "sha256": names_sha256(case.name for case in cases),
        }
        for name, cases in (("training", training), ("validation", validation))
    }
    return {"set": found.name, **told, "splits": splits}
