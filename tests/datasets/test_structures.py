import json

import numpy as np
import pytest

from medsam2.datasets.structures import Structures, labelled_case, read_structures
from medsam2.errors import ConfigurationError, FormatError, GeometryError
from medsam2.spatial import Geometry, Segmentation, Volume

GRID = Geometry((3, 4, 5), np.eye(4))
NESTED = Structures({1: "whole", 2: "core", 3: "absent"}, regions={1: (1, 2)}, known=(9,))


def case(structures, *labels):
    array = np.zeros(GRID.shape, np.uint8)
    for place, label in enumerate(labels):
        array[place, 1:3, 1:3] = label
    return labelled_case("c", Volume(array, GRID), Segmentation(array, GRID), structures)


def test_regions_overlap():
    found = case(NESTED, 1, 2)
    assert dict(found.names) == {1: "whole", 2: "core"}
    assert found.truth(1).sum() == 8
    assert found.truth(2).sum() == 4
    assert found.truth_on(1, 1).sum() == found.truth_on(1, 2).sum() == 4
    assert found.truth_on(0, 2).sum() == 0
    assert found.labels_sha256 != case(Structures({1: "whole", 2: "core"}), 1, 2).labels_sha256


def test_a_region_may_lack_its_first_label():
    assert dict(case(NESTED, 2).names) == {1: "whole", 2: "core"}


def test_every_label_counts_where_nothing_is_named():
    assert dict(case(Structures(), 4, 9).names) == {4: "label 4", 9: "label 9"}


def test_labels_that_mean_nothing_are_refused():
    assert dict(case(NESTED, 2, 9).names) == {1: "whole", 2: "core"}  # 9 is known, and not scored
    with pytest.raises(ConfigurationError, match="c: label 7 is unknown; expected labels of 1 whole, 2 core"):
        case(NESTED, 1, 7)
    with pytest.raises(ConfigurationError, match="c: the labels hold none of the labels to score"):
        case(NESTED, 9)
    with pytest.raises(ConfigurationError, match="c: the labels hold nothing but background"):
        case(Structures())


def test_other_grids_are_refused():
    labels = Segmentation(np.ones((3, 4, 5), np.uint8), Geometry((3, 4, 5), np.diag([1, 1, 2.0, 1])))
    with pytest.raises(GeometryError, match=r"^c: the labels lie on"):
        labelled_case("c", Volume(labels.labels, GRID), labels, NESTED)


def test_names_of_a_folder(tmp_path):
    assert read_structures(tmp_path) == Structures()
    for told in ({"5": "tumour"}, {"labels": {"5": {"name": "tumour"}}}):
        (tmp_path / "labels.json").write_text(json.dumps(told))
        assert dict(read_structures(tmp_path).names) == {5: "tumour"}
    (tmp_path / "labels.json").write_text("[1]")
    with pytest.raises(FormatError, match=r"labels\.json: expected names by label"):
        read_structures(tmp_path)
