"""Labelled images on disk, in the layouts that they are published in, as cases: one small module a layout."""

from medsam2.datasets.cases import Case, CaseSet, CaseSource
from medsam2.datasets.catalogue import LAYOUTS, Choice, layout_at, open_dataset
from medsam2.datasets.layout import Layout, Tree
from medsam2.datasets.splits import read_splits, split_by_patient, write_splits

__all__ = [
    "LAYOUTS",
    "Case",
    "CaseSet",
    "CaseSource",
    "Choice",
    "Layout",
    "Tree",
    "layout_at",
    "open_dataset",
    "read_splits",
    "split_by_patient",
    "write_splits",
]
