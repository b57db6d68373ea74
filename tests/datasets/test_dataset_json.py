from pathlib import Path

import pytest

from medsam2.datasets.dataset_json import channels_of, read_description, structures_of, terms_of
from medsam2.errors import FormatError


def structures(labels):
    return structures_of({"labels": labels}, Path("dataset.json"))


def test_both_ways_to_write_labels_mean_the_same():
    one, other = structures({"0": "background", "1": "liver"}), structures({"background": 0, "liver": 1})
    assert one == other
    assert dict(one.names) == {1: "liver"}


def test_regions_get_numbers_that_no_label_has():
    found = structures({"background": 0, "whole": [1, 2, 3], "core": [2, 3], "enhancing": 3, "ignore": 4})
    assert dict(found.names) == {3: "enhancing", 5: "whole", 6: "core"}
    assert dict(found.regions) == {5: (1, 2, 3), 6: (2, 3)}
    assert found.unknown([1, 2, 3, 4]) == []
    assert found.unknown([5]) == [5]


@pytest.mark.parametrize("labels", [{"liver": "one"}, {"1": None, "x": None}])
def test_labels_that_are_none(labels):
    with pytest.raises(FormatError, match=r"dataset\.json: labels are .*expected numbers and names"):
        structures(labels)


def test_channels_old_and_new():
    assert channels_of({"channel_names": {"1": "b", "0": "a"}}) == ["a", "b"]
    assert channels_of({"modality": {str(n): f"m{n}" for n in range(11)}})[-1] == "m10"
    assert channels_of({}) == []


def test_terms():
    assert terms_of({"name": "N", "license": "L", "reference": ""}) == {"title": "N", "licence": "L"}


@pytest.mark.parametrize("text", ["{", "[]", '{"labels": []}'])
def test_descriptions_that_are_none(tmp_path, text):
    (tmp_path / "dataset.json").write_text(text)
    with pytest.raises(FormatError, match=r"dataset\.json"):
        read_description(tmp_path)
