"""Splits for training: never the test split, never a patient twice, and faults named before anything is learnt."""

import json

import numpy as np
import pytest

from medsam2.datasets import Choice, layout_at, open_dataset
from medsam2.errors import ConfigurationError, FormatError
from medsam2.training.case_shelf import Extent, areas_of
from medsam2.training.recipe import DataSettings
from medsam2.training.training_data import TrainingData, open_training_data
from reference.dataset_trees import WRITERS, blocks, write_folder, write_manifest, write_nifti
from training.tiny_runs import data_of


def names(cases):
    return sorted(case.name for case in cases)


def opened(source, **settings) -> TrainingData:
    return open_training_data(DataSettings(source=str(source), **settings))


@pytest.fixture
def tree(tmp_path):
    def write(name):
        WRITERS[name](tmp_path / name)
        return tmp_path / name

    return write


def test_patients_to_choose_by_are_taken_out_of_the_training_split(tree):
    found = opened(f"nnunet:{tree('nnunet')}", channel="T1")
    assert len(found.training) == len(found.validation) == 1
    assert {case.split for case in found.training} == {"training"}
    assert set(names(found.training)).isdisjoint(names(found.validation))
    assert found.patients.keys() == {"training", "validation", "test"}
    assert found.facts["splits"]["training"]["cases"] == 1
    assert found.facts["licence"]


def test_how_large_structures_are_is_noted_when_cases_are_checked(tree):
    found = opened(f"nnunet:{tree('nnunet')}", channel="T1")
    assert set(found.extents) == {case.name for case in (*found.training, *found.validation)}
    for source in found.training:
        case = source.load()
        assert found.extents[source.name] == Extent.of(case, areas_of(case))


def test_a_set_s_own_validation_split_is_taken(tree):
    found = opened(f"isic:{tree('isic')}")
    assert names(found.training) == ["ISIC_0000000"]
    assert names(found.validation) == ["ISIC_0012255"]
    assert found.patients["test"] == ["ISIC_0000003"]


def test_the_test_split_is_not_even_read(tree):
    root = tree("refuge2")
    for mask in root.glob("REFUGE-Test-GT/**/*.bmp"):
        mask.write_bytes(b"no picture")
    found = opened(f"refuge2:{root}")
    assert {case.split for case in (*found.training, *found.validation)} <= {"training", "validation"}


def test_a_set_without_splits_is_dealt_out_the_same_each_time(tree):
    root = tree("folder")
    first, again = opened(root), opened(root)
    assert names(first.training) == names(again.training)
    assert len(first.training) == len(first.validation) == 1


def test_the_splits_that_are_written_are_read_by_evaluation(tree, tmp_path):
    root = tree("brats")
    found = opened(f"brats:{root}", channel="t2f")
    path = tmp_path / "splits.json"
    path.write_text(json.dumps(found.patients))
    layout, place = layout_at(f"brats:{root}")
    chosen = open_dataset(layout, place, Choice("validation", "t2f", splits=path))
    assert names(chosen.sources) == names(found.validation)
    again = opened(f"brats:{root}", channel="t2f", splits=str(path))
    assert names(again.training) == names(found.training)


def test_without_a_share_all_is_trained_on(tree):
    found = opened(tree("folder"), validation_share=0.0)
    assert len(found.training) == 2
    assert found.validation == ()


def test_one_patient_is_too_few_to_choose_by(tmp_path):
    write_manifest(tmp_path)
    with pytest.raises(ConfigurationError, match=r"has one patient.*'data\.validation_share' to 0"):
        opened(tmp_path / "cases.csv")


def test_an_unknown_split_is_named(tmp_path):
    write_manifest(tmp_path)
    with pytest.raises(ConfigurationError, match="no split 'learning'; its splits are test, training"):
        opened(tmp_path / "cases.csv", training="learning")


def test_a_patient_in_two_splits_is_named(tmp_path):
    write_manifest(tmp_path)
    table = tmp_path / "cases.csv"
    table.write_text(table.read_text().replace("p2,test", "p1,test"))
    with pytest.raises(FormatError, match="patient 'p1' is in the splits test and training"):
        opened(table)


def test_a_label_without_an_image_is_named(tmp_path):
    write_folder(tmp_path)
    (tmp_path / "images" / "a.nii.gz").unlink()
    with pytest.raises(FormatError, match=r"a\.nii\.gz: has no image"):
        opened(tmp_path)


def test_other_shapes_other_affines_and_empty_cases_are_all_named(tmp_path):
    write_folder(tmp_path)
    for name, labels, spacing in (
        ("c", blocks(1, 5)[:3], (1.5, 1.5, 3.0)),
        ("d", blocks(1, 5), (1.5, 1.5, 2.0)),
        ("e", np.zeros_like(blocks(1)), (1.5, 1.5, 3.0)),
    ):
        write_nifti(tmp_path / "images" / f"{name}.nii.gz", blocks(1, 5).astype(np.int16))
        write_nifti(tmp_path / "labels" / f"{name}.nii.gz", labels, spacing)
    with pytest.raises(FormatError, match="3 problems") as told:
        opened(tmp_path)
    message = str(told.value)
    assert "c: the labels lie on" in message
    assert "d: the labels lie on" in message
    assert "e: the labels hold nothing but background" in message


def test_cases_to_choose_by_are_spread():
    data = data_of(1, 6)
    assert names(data.spread_validation(3)) == ["case1", "case3", "case5"]
    assert len(data.spread_validation(None)) == 6
    assert data_of(1, 0).spread_validation(4) == ()
