"""Data sets in their public layouts, written when asked for."""

import pytest

from medsam2.datasets.catalogue import LAYOUTS, open_dataset
from reference.dataset_trees import WRITERS


@pytest.fixture
def tree(tmp_path):
    """Writes one of the tiny data sets and gives its folder."""

    def write(name):
        WRITERS[name](tmp_path / name)
        return tmp_path / name

    return write


@pytest.fixture
def cases():
    """Opens a data set: its cases by name."""

    def read(layout, path, choice=None):
        return {source.name: source for source in open_dataset(LAYOUTS[layout], path, choice).sources}

    return read


@pytest.fixture
def problems():
    """The problems that a layout names of a tree, in one text."""
    return lambda layout, path: "\n".join(LAYOUTS[layout].find(path).problems)
