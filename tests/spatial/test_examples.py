import doctest

import pytest

from medsam2.spatial import geometry, planes, segmentation, volume


@pytest.mark.parametrize("module", [geometry, planes, segmentation, volume], ids=lambda module: module.__name__)
def test_the_examples_in_the_docstrings_are_true(module):
    failed, attempted = doctest.testmod(module)

    assert attempted > 0
    assert failed == 0
