import shutil

import numpy as np
import pytest

from medsam2.datasets.brats import find
from medsam2.datasets.catalogue import Choice
from medsam2.errors import FormatError
from reference.dataset_trees import blocks, shown, write_brats, write_nifti


def test_four_images_are_four_cases_of_a_patient(tree, cases):
    found = cases("brats", tree("brats"))
    assert len(found) == 12
    assert {source.whose for source in found.values()} == {"BraTS-GLI-00002", "BraTS-GLI-00003"}
    case = found["BraTS-GLI-00002-001-t2f"].load()
    labels = blocks(1, 2, 3)
    assert dict(case.names) == {1: "whole tumour", 2: "tumour core", 3: "enhancing tumour"}
    assert np.array_equal(case.reference.labels, labels)
    for number, of in ((1, (1, 2, 3)), (2, (1, 3)), (3, (3,))):
        assert case.truth(number).sum() == np.isin(labels, of).sum()
    assert np.array_equal(case.volume.array, shown(labels, 3))  # the fourth image
    assert "enhancing tumour" not in found["BraTS-GLI-00003-000-t1c"].load().names.values()


def test_one_channel_is_chosen(tree, cases):
    found = cases("brats", tree("brats"), Choice(channel="t1c"))
    assert [name[-3:] for name in found] == ["t1c"] * 3


def test_older_names_and_labels(tmp_path, cases):
    write_brats(tmp_path, new=False)
    found = cases("brats", tmp_path)
    assert [source.channel for source in found.values()] == ["t1", "t1ce", "t2", "flair"]
    case = found["BraTS20_Training_001-flair"].load()
    labels = blocks(1, 2, 4)
    assert case.truth(1).sum() == (labels > 0).sum()
    assert case.truth(2).sum() == np.isin(labels, (1, 4)).sum()
    assert case.truth(3).sum() == (labels == 4).sum()


def test_the_resection_cavity_is_known_and_in_no_region(tree, cases):
    root = tree("brats")
    for path in root.glob("*/*-seg.nii.gz"):
        write_nifti(path, blocks(1, 2, 3, 4))
    case = next(iter(cases("brats", root).values())).load()
    assert case.truth(1).sum() == np.isin(case.reference.labels, (1, 2, 3)).sum()
    write_nifti(path, blocks(1, 5))
    with pytest.raises(FormatError, match="label 5 is unknown; expected labels of 1 whole tumour"):
        cases("brats", root)


def test_faults(tree, problems):
    root = tree("brats")
    first, second, third = sorted(root.iterdir())
    next(first.glob("*-seg*")).unlink()
    next(second.glob("*-t2w*")).unlink()
    for path in third.glob("*-t*"):
        path.unlink()
    told = problems("brats", root).splitlines()
    assert len(told) == 3
    assert "case 'BraTS-GLI-00002-000' has no labels" in told[0]
    assert "case 'BraTS-GLI-00002-001' has no image t2w; expected all four" in told[1]
    assert "00003-000-seg.nii.gz: has no image; expected t1n, t1c, t2w, t2f" in told[2]


@pytest.mark.parametrize("new", [True, False])
def test_two_files_of_one_case_are_named(tmp_path, cases, problems, new):
    write_brats(tmp_path, new=new)
    folder = min(tmp_path.iterdir())
    seg, first = min(folder.glob("*seg.nii.gz")), min(folder.glob("*t1*.nii.gz"))
    (tmp_path / "twice").mkdir()
    shutil.copy(seg, tmp_path / "twice" / seg.name)
    shutil.copy(first, folder / first.name.removesuffix(".gz"))
    told = problems("brats", tmp_path).splitlines()
    channel = "t1c" if new else "t1"
    assert told == [
        f"{first} and {first.with_suffix('')} are of one case, '{folder.name} {channel}'; expected one file a case",
        f"{tmp_path / 'twice' / seg.name} and {seg} are of one case, '{folder.name} seg'; expected one file a case",
    ]
    with pytest.raises(FormatError, match="expected one file a case"):
        cases("brats", tmp_path)


def test_nothing_there(tmp_path):
    with pytest.raises(FormatError, match="holds no such files; expected CASE"):
        find(tmp_path)
