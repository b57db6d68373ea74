"""A user's own folder: pairs by name, names of structures, and every fault at once."""

import json

import nibabel
import numpy as np
import pytest
from PIL import Image

from medsam2.datasets.catalogue import open_dataset
from medsam2.datasets.folder import FOLDER
from medsam2.errors import FormatError

LABELS = np.zeros((6, 5, 4), np.uint8)
LABELS[1:3, 1:3, 1:3] = 2
LABELS[4, 4, 2:] = 5


def folder_set(path):
    return open_dataset(FOLDER, path)


def write(path, array, affine=None):
    path.parent.mkdir(exist_ok=True, parents=True)
    nibabel.save(nibabel.Nifti1Image(array, np.diag([1, 1, 3.0, 1]) if affine is None else affine), path)


def write_pair(folder, name, labels=LABELS):
    write(folder / f"{name}.nii.gz", np.arange(120, dtype=np.int16).reshape(6, 5, 4))
    write(folder / f"{name}_label.nii.gz", labels)


def test_neighbours_by_name(tmp_path):
    write_pair(tmp_path, "b")
    write_pair(tmp_path, "a.1")
    (tmp_path / "notes.txt").write_text("no scan")
    cases = folder_set(tmp_path)
    assert cases.name == tmp_path.name
    first, second = (source.load() for source in cases.sources)
    assert [first.name, second.name] == ["a.1", "b"]
    assert dict(first.names) == {2: "label 2", 5: "label 5"}
    assert first.volume.array.shape == (4, 5, 6)


def test_two_folders_of_any_formats(tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "labels").mkdir()
    grey = np.random.default_rng(0).integers(0, 255, (8, 9), np.uint8)
    Image.fromarray(grey).save(tmp_path / "images" / "cell.png")
    Image.fromarray((grey > 100).astype(np.uint8)).save(tmp_path / "labels" / "cell.tif")
    (source,) = folder_set(tmp_path).sources
    assert dict(source.load().names) == {1: "label 1"}
    assert not source.load().is_sequence


@pytest.mark.parametrize("told", [{"5": "tumour", "9": "absent"}, {"labels": {"5": {"name": "tumour", "voxels": 2}}}])
def test_names_choose_the_structures(tmp_path, told):
    write_pair(tmp_path, "a")
    (tmp_path / "labels.json").write_text(json.dumps(told))
    (source,) = folder_set(tmp_path).sources
    assert dict(source.load().names) == {5: "tumour"}


@pytest.mark.parametrize("text", ["{", "[1]", '{"liver": "1"}', '{"1": {"title": "liver"}}'])
def test_names_that_cannot_be_read_are_refused(tmp_path, text):
    write_pair(tmp_path, "a")
    (tmp_path / "labels.json").write_text(text)
    with pytest.raises(FormatError, match=r"labels\.json: expected names by label"):
        folder_set(tmp_path)


def test_what_is_missing_is_named_before_anything_runs(tmp_path):
    with pytest.raises(FormatError, match=r"nowhere does not exist; expected a folder of NAME\.nii\.gz and NAME_label"):
        folder_set(tmp_path / "nowhere")
    with pytest.raises(FormatError, match="holds no such files; expected NAME"):
        folder_set(tmp_path)
    write_pair(tmp_path, "a")
    write(tmp_path / "z.nii.gz", LABELS)
    with pytest.raises(FormatError, match=r"z\.nii\.gz: has no labels; expected NAME\.nii\.gz and NAME_label"):
        folder_set(tmp_path)
    (tmp_path / "z.nii.gz").rename(tmp_path / "y_label.nii.gz")
    with pytest.raises(FormatError, match=r"y_label\.nii\.gz: has no image; expected"):
        folder_set(tmp_path)


def test_two_files_of_one_name_in_two_folders(tmp_path):
    write(tmp_path / "images" / "a.nii.gz", LABELS)
    write(tmp_path / "images" / "a.nii", LABELS)
    write(tmp_path / "labels" / "a.nii", LABELS)
    with pytest.raises(FormatError, match=r"a\.nii\.gz and .*a\.nii are of one case, 'a'; expected one file a case"):
        folder_set(tmp_path)


def test_other_grids_and_empty_labels_are_refused_together(tmp_path):
    write_pair(tmp_path, "a")
    write(tmp_path / "a_label.nii.gz", LABELS, np.diag([1, 1, 3.5, 1]))
    write_pair(tmp_path, "b", np.zeros_like(LABELS))
    write_pair(tmp_path, "c")
    (tmp_path / "labels.json").write_text('{"7": "gone"}')
    with pytest.raises(FormatError) as error:
        folder_set(tmp_path)
    first, *problems = str(error.value).splitlines()
    assert first.endswith("3 problems, to be mended, or left out by a manifest:")
    none, empty = "none of the labels to score", "nothing but background"
    for problem, name, what in zip(problems, "abc", (none, empty, none), strict=True):
        file = tmp_path / f"{name}_label.nii.gz"
        assert problem == f"  - {file}: {name}: the labels hold {what}; expected at least one structure"
    (tmp_path / "labels.json").unlink()
    with pytest.raises(FormatError, match=r"a_label\.nii\.gz: a: the labels lie on .*3\.50 mm, the image on") as error:
        folder_set(tmp_path)
    assert "2 problems" in str(error.value)
