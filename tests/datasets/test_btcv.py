import numpy as np
import pytest

from medsam2.datasets.btcv import STRUCTURES
from medsam2.errors import FormatError
from reference.dataset_trees import SPACING, blocks, write_nifti


def test_the_challenges_layout(tree, cases):
    root = tree("btcv")
    found = cases("btcv", root)
    assert list(found) == ["0001", "0002"]
    first, second = (source.load() for source in found.values())
    assert dict(first.names) == dict(STRUCTURES.names)
    assert len(first.names) == 12
    assert set(first.names.values()) - set(second.names.values()) == {"gallbladder"}
    labels = blocks(*range(1, 14))
    assert np.array_equal(first.reference.labels, labels)
    assert first.truth(12).sum() == np.isin(labels, (12, 13)).sum() > first.truth(11).sum()
    assert first.volume.geometry.spacing_mm == SPACING
    assert {source.split for source in found.values()} == {"training"}


@pytest.mark.parametrize("part", ["RawData", "RawData/Training"])
def test_inner_folders_do_as_well(tree, cases, part):
    assert len(cases("btcv", tree("btcv") / part)) == 2


def test_faults_of_the_challenges_layout(tree, cases):
    folder = tree("btcv") / "RawData" / "Training"
    (folder / "label" / "label0002.nii.gz").rename(folder / "label" / "label0003.nii.gz")
    write_nifti(folder / "label" / "label0001.nii.gz", blocks(1, 14))
    with pytest.raises(FormatError) as error:
        cases("btcv", folder)
    told = str(error.value)
    assert "3 problems" in told
    assert "img0002.nii.gz: has no labels; expected img/imgNNNN" in told
    assert "label0003.nii.gz: has no image" in told
    assert "label0001.nii.gz: 0001: label 14 is unknown; expected labels of 1 spleen" in told


def test_the_authors_layout(tree, cases):
    found = cases("btcv", tree("btcv-released"))
    assert {name: source.split for name, source in found.items()} == {"img0001": "training", "img0035": "test"}
    case = found["img0035"].load()
    assert np.array_equal(case.reference.labels, blocks(6, 8, shape=(12, 12, 10)))
    assert case.volume.array.shape == (12, 12, 10)  # grey again, though saved as colours
    means = [case.volume.array[case.truth(label)].mean() for label in (6, 8)]
    assert means == sorted(means)
    assert dict(case.names) == {6: "liver", 8: "aorta"}
    assert case.is_sequence
    assert case.view.frame_count == 12


def test_faults_of_the_authors_layout(tree, problems):
    root = tree("btcv-released")
    (root / "Training" / "mask" / "img0001" / "10.npy").unlink()
    (root / "Training" / "image" / "img0001" / "11.jpg").unlink()
    (root / "Test" / "image" / "img0035" / "3.jpg").unlink()
    (root / "Test" / "mask" / "img0035" / "3.npy").unlink()
    (root / "Test" / "image" / "img0099").mkdir()
    told = problems("btcv", root)
    assert "10.jpg: has no labels; expected" in told
    assert "11.npy: has no image; expected" in told
    assert "img0035: slice 3 is missing; expected slices from 0 without gaps" in told
    assert "img0099: has no labels; expected image/VOLUME and mask/VOLUME" in told


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((3, 3)), r"0\.npy: the mask has shape \(3, 3\), its image \(12, 10, 3\)|expected one shape"),
        (np.full((12, 10), 0.5), "expected labels"),
        (np.zeros(4), "expected labels"),
        (np.array([{}], object), "cannot be read as a numpy array"),
    ],
)
def test_masks_that_do_not_fit(tree, cases, array, message):
    root = tree("btcv-released")
    np.save(root / "Test" / "mask" / "img0035" / "0.npy", array)
    with pytest.raises(FormatError, match=message):
        cases("btcv", root)


def test_nothing_there(tmp_path, cases):
    with pytest.raises(FormatError, match="holds no such files; expected img/imgNNNN"):
        cases("btcv", tmp_path)
