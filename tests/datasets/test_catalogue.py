import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest

from medsam2.datasets.catalogue import LAYOUTS, Choice, layout_at, open_dataset
from medsam2.datasets.layout import Tree
from medsam2.errors import ConfigurationError, FormatError
from reference.dataset_trees import WRITERS, blocks, write_nifti


def test_every_layout_states_where_its_data_come_from():
    for name, layout in LAYOUTS.items():
        assert name == layout.name
        assert layout.title
        assert layout.origin
        assert layout.licence
        assert layout.looks_like
        assert name in {writer.partition("-")[0] for writer in WRITERS}


@pytest.mark.parametrize("name", [name for name in WRITERS if name != "manifest"])
def test_every_tree_opens_without_a_problem(tree, name):
    found = open_dataset(LAYOUTS[name.partition("-")[0]], tree(name))
    assert found.sources
    assert json.loads(json.dumps(found.facts)) == found.facts
    for source in found.sources:
        case = source.load()
        assert case.name == source.name
        assert all(case.truth(number).any() for number in case.names)


@pytest.mark.parametrize(
    ("place", "layout", "path"),
    [
        ("btcv:/data/btcv", "btcv", "/data/btcv"),
        ("manifest:list.txt", "manifest", "list.txt"),
        ("cases.CSV", "manifest", "cases.CSV"),
        ("my/scans", "folder", "my/scans"),
    ],
)
def test_places(place, layout, path):
    found, at = layout_at(place)
    assert (found.name, at) == (layout, Path(path))


def test_a_layout_that_is_none():
    with pytest.raises(ConfigurationError, match=r"'btvc' is no layout; expected one of btcv, .*Did you mean 'btcv'"):
        layout_at("btvc:/data")


def test_a_folder_with_a_colon_is_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a:b").mkdir()
    assert layout_at("a:b")[0].name == "folder"


def test_the_choice_narrows(tree):
    root = tree("nnunet")
    told = []
    found = open_dataset(
        LAYOUTS["nnunet"], root, Choice(split="training", channel="T1", count=1), lambda *now: told.append(now)
    )
    assert told == [(1, 1)]
    assert [source.name for source in found.sources] == ["toy_001-T1"]
    assert (found.facts["split"], found.facts["channel"]) == ("training", "T1")
    assert found.facts["splits"]["test"] == {
        "cases": 2,
        "patients": 1,
        "sha256": hashlib.sha256(b"toy_003-FLAIR\ntoy_003-T1").hexdigest(),
    }
    with pytest.raises(ConfigurationError, match="no case has a channel 'T2'; there are FLAIR, T1"):
        open_dataset(LAYOUTS["nnunet"], root, Choice(channel="T2"))
    with pytest.raises(ConfigurationError, match="no split 'validation'; its splits are test, training"):
        open_dataset(LAYOUTS["nnunet"], root, Choice(split="validation"))


def test_one_channel_each(tree):
    with pytest.raises(ConfigurationError, match="no case has a channel 'T2'; its cases have one channel each"):
        open_dataset(LAYOUTS["folder"], tree("folder"), Choice(channel="T2"))


def test_splits_of_a_file_take_the_place_of_the_sets_own(tree, tmp_path):
    (tmp_path / "mine.json").write_text('{"test": ["toy_001"], "training": ["toy_002", "toy_003"]}')
    choice = Choice(split="test", splits=tmp_path / "mine.json")
    found = open_dataset(LAYOUTS["nnunet"], tree("nnunet"), choice)
    assert [source.whose for source in found.sources] == ["toy_001"] * 2


def test_only_chosen_cases_are_read(tree, monkeypatch):
    root = tree("nnunet")
    write_nifti(root / "labelsTr" / "toy_002.nii.gz", blocks(9))
    assert open_dataset(LAYOUTS["nnunet"], root, Choice(split="test"))
    with pytest.raises(FormatError, match="2 problems"):
        open_dataset(LAYOUTS["nnunet"], root)


def test_one_problem_is_one_line(tree):
    root = tree("folder")
    (root / "labels" / "b.nii.gz").unlink()
    with pytest.raises(FormatError) as error:
        open_dataset(LAYOUTS["folder"], root)
    assert str(error.value).startswith(f"{root / 'images' / 'b.nii.gz'}: has no labels")
    assert "\n" not in str(error.value)


def test_cases_of_one_name_are_refused(tree):
    root = tree("folder")
    found = LAYOUTS["folder"].find(root)
    twice = replace(LAYOUTS["folder"], find=lambda _: Tree((*found.sources, found.sources[0])))
    with pytest.raises(FormatError, match="2 cases are called 'a'"):
        open_dataset(twice, root)
