import json

import numpy as np
import pytest

from medsam2.datasets.catalogue import LAYOUTS, Choice, open_dataset
from medsam2.errors import FormatError
from reference.dataset_trees import blocks, shown, write_nifti


def test_channels_of_4d_files(tree, cases):
    root = tree("decathlon")
    found = cases("decathlon", root)
    assert list(found) == ["toy_01-T2", "toy_01-ADC", "toy_02-T2", "toy_02-ADC"]
    case = found["toy_02-ADC"].load()
    assert np.array_equal(case.volume.array, shown(blocks(1, 2), 1))
    assert dict(case.names) == {1: "PZ", 2: "TZ"}
    assert {source.whose for source in found.values()} == {"toy_01", "toy_02"}
    assert list(cases("decathlon", root, Choice(channel="ADC"))) == ["toy_01-ADC", "toy_02-ADC"]


def test_what_the_description_states_is_reported(tree):
    facts = open_dataset(LAYOUTS["decathlon"], tree("decathlon")).facts
    assert (facts["title"], facts["licence"], facts["origin"]) == ("TOY", "CC-BY-SA 4.0", "A hospital")


def test_one_channel(tree, cases):
    root = tree("decathlon")
    told = json.loads((root / "dataset.json").read_text())
    (root / "dataset.json").write_text(json.dumps({**told, "modality": {"0": "CT"}}))
    for name in ("toy_01", "toy_02"):
        write_nifti(root / "imagesTr" / f"{name}.nii.gz", shown(blocks(1, 2)))
    assert list(cases("decathlon", root)) == ["toy_01", "toy_02"]


def test_faults(tree, problems):
    root = tree("decathlon")
    (root / "imagesTr" / "toy_01.nii.gz").unlink()
    write_nifti(root / "labelsTr" / "toy_03.nii.gz", blocks(1))
    told = problems("decathlon", root)
    assert "toy_01.nii.gz is missing; dataset.json lists it" in told
    assert "toy_03.nii.gz: has no image; dataset.json does not list it" in told
    (root / "dataset.json").write_text('{"labels": {}}')
    with pytest.raises(FormatError, match="expected a list 'training' of images and labels"):
        problems("decathlon", root)


def test_nothing_there(tmp_path, cases):
    with pytest.raises(FormatError, match=r"holds no such files; expected dataset\.json with"):
        cases("decathlon", tmp_path)
