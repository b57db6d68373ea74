"""The labelled scans that come with the package, as cases."""

from __future__ import annotations

from functools import partial

from medsam2.datasets.cases import Case, CaseSet, CaseSource, labels_present
from medsam2.examples import EXAMPLE_NAMES, example_case
from medsam2.io import read_label_map, read_volume


def example_set() -> CaseSet:
    """All examples, each with the structures that its labels recommend."""
    sources = tuple(CaseSource(name, partial(_load, name)) for name in EXAMPLE_NAMES)
    return CaseSet("examples", sources, {})


def _load(name: str) -> Case:
    example = example_case(name)
    reference = read_label_map(example.labels)
    present = set(labels_present(reference))
    names = {label: example.names[label] for label in example.recommended if label in present}
    return Case(name, read_volume(example.image), reference, names)
