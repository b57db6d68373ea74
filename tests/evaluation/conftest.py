"""Small labelled volumes that a network without training can segment."""

import numpy as np
import pytest

from medsam2.datasets.cases import Case
from medsam2.engine.volume_result import SegmentSettings
from medsam2.segmenter import Segmenter
from medsam2.spatial import Geometry, Segmentation, Volume
from medsam2.weights import WeightsCard
from reference.intensity_network import LEVELS, SIDE, IntensityNetwork

BLOCKS = {4: np.s_[2:9, 3:8, 2:7], 7: np.s_[5:12, 9:14, 8:15]}


@pytest.fixture
def how():
    """Settings with which the intensity network sees its levels."""
    return SegmentSettings(window=(0.0, 255.0))


@pytest.fixture
def segmenter(tiny_network):
    """Finds what is as bright as what was prompted, to the pixel."""
    return Segmenter(IntensityNetwork(), WeightsCard("intensity", tiny_network.config))


@pytest.fixture
def case():
    """Two blocks of different brightness on some slices of 14."""
    return make_case()


@pytest.fixture
def new_case():
    """Makes cases like `case` of other labels, geometry and order."""
    return make_case


def make_case(labels=None, affine=None, ordered=True, name="blocks"):
    truth = np.zeros((14, SIDE, SIDE), np.uint8)
    image = np.zeros((14, SIDE, SIDE), np.uint8)
    for (label, block), level in zip(BLOCKS.items(), LEVELS[1:], strict=True):
        truth[block], image[block] = label, level
    geometry = Geometry(truth.shape, np.diag([0.5, 0.5, 2.0, 1.0]) if affine is None else affine)
    labels = truth if labels is None else labels
    names = {4: "dark", 7: "bright"}
    return Case(name, Volume(image, geometry), Segmentation(labels, geometry), names, ordered)
