import json

import numpy as np
import pytest

from medsam2.datasets.catalogue import Choice
from medsam2.errors import FormatError
from reference.dataset_trees import NNUNET_JSON, blocks, shown, write_nifti


def test_channels_regions_and_splits(tree, cases):
    found = cases("nnunet", tree("nnunet"))
    assert list(found)[:2] == ["toy_001-T1", "toy_001-FLAIR"]
    assert [source.split for source in found.values()] == ["training"] * 4 + ["test"] * 2
    case = found["toy_003-FLAIR"].load()
    labels = blocks(1, 2, 3)
    assert dict(case.names) == {2: "core", 4: "whole"}
    assert case.truth(4).sum() == np.isin(labels, (1, 2)).sum()
    assert np.array_equal(case.volume.array, shown(labels, 1))
    assert found["toy_003-FLAIR"].whose == "toy_003"


def test_a_split_and_a_channel(tree, cases):
    assert list(cases("nnunet", tree("nnunet"), Choice(split="test", channel="T1"))) == ["toy_003-T1"]


def test_a_single_channel_has_no_name_of_its_own(tree, cases):
    root = tree("nnunet")
    told = {**NNUNET_JSON, "channel_names": {"0": "CT"}, "labels": {"0": "background", "1": "a", "2": "b", "3": "c"}}
    (root / "dataset.json").write_text(json.dumps(told))
    found = cases("nnunet", root)
    assert list(found) == ["toy_001", "toy_002", "toy_003"]
    assert found["toy_001"].channel is None
    assert dict(found["toy_001"].load().names) == {1: "a", 2: "b", 3: "c"}


def test_faults(tree, problems, cases):
    root = tree("nnunet")
    (root / "imagesTr" / "toy_001_0001.nii.gz").unlink()
    (root / "labelsTr" / "toy_002.nii.gz").unlink()
    told = problems("nnunet", root)
    assert "toy_001.nii.gz: has no image; expected" in told
    assert "toy_001_0001.nii.gz" in told
    assert "toy_002_0000.nii.gz: has no labels; expected" in told
    assert "numTraining" not in told


def test_the_number_of_cases_must_be_that_of_the_description(tree, problems):
    root = tree("nnunet")
    (root / "dataset.json").write_text(json.dumps({**NNUNET_JSON, "numTraining": 5}))
    assert "numTraining is 5; 2 cases are there" in problems("nnunet", root)


def test_other_affines_and_unknown_labels_are_told_together(tree, cases):
    root = tree("nnunet")
    write_nifti(root / "labelsTr" / "toy_001.nii.gz", blocks(1, 2), spacing=(1.5, 1.5, 2.0))
    write_nifti(root / "labelsTr" / "toy_002.nii.gz", blocks(1, 8))
    with pytest.raises(FormatError) as error:
        cases("nnunet", root)
    assert "toy_001.nii.gz: toy_001-T1: the labels lie on" in str(error.value)
    assert "toy_002-FLAIR: label 8 is unknown; expected labels of 2 core, 4 whole" in str(error.value)


def test_nothing_there(tmp_path, cases):
    with pytest.raises(FormatError, match=r"holds no such files; expected dataset\.json"):
        cases("nnunet", tmp_path)
