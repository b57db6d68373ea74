import json

import nibabel
import numpy as np
import pytest
from PIL import Image

from medsam2.errors import ConfigurationError, FormatError, GeometryError
from medsam2.evaluation.folder_cases import find_pairs, folder_set

LABELS = np.zeros((6, 5, 4), np.uint8)
LABELS[1:3, 1:3, 1:3] = 2
LABELS[4, 4, 2:] = 5


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
    with pytest.raises(FormatError, match=r"nowhere is no folder; expected 'synthetic', 'examples', or a folder"):
        folder_set(tmp_path / "nowhere")
    with pytest.raises(FormatError, match="holds no image"):
        folder_set(tmp_path)
    write_pair(tmp_path, "a")
    write(tmp_path / "z.nii.gz", LABELS)
    with pytest.raises(FormatError, match=r"z\.nii\.gz: has no labels; expected z_label with a suffix such as .nii.gz"):
        folder_set(tmp_path)
    (tmp_path / "z.nii.gz").rename(tmp_path / "y_label.nii.gz")
    with pytest.raises(FormatError, match=r"y_label\.nii\.gz: has no image; expected y with"):
        folder_set(tmp_path)


def test_what_is_missing_in_two_folders(tmp_path):
    write(tmp_path / "images" / "a.nii.gz", LABELS)
    (tmp_path / "labels").mkdir()
    with pytest.raises(FormatError, match=r"a\.nii\.gz: has no labels; expected a file named a in .*labels$"):
        find_pairs(tmp_path)
    write(tmp_path / "images" / "a.nii", LABELS)
    with pytest.raises(FormatError, match=r"a\.nii\.gz and .*a\.nii have one name|a\.nii and .*have one name"):
        find_pairs(tmp_path)


def test_other_grids_and_empty_labels_are_refused(tmp_path):
    write_pair(tmp_path, "a")
    write(tmp_path / "a_label.nii.gz", LABELS, np.diag([1, 1, 3.5, 1]))
    with pytest.raises(GeometryError, match=r"a_label\.nii\.gz: a: the labels lie on .*3\.50 mm, the image on"):
        folder_set(tmp_path)
    write_pair(tmp_path, "a", np.zeros_like(LABELS))
    with pytest.raises(ConfigurationError, match=r"a_label\.nii\.gz: holds nothing but background"):
        folder_set(tmp_path)
    write_pair(tmp_path, "a")
    (tmp_path / "labels.json").write_text('{"7": "gone"}')
    with pytest.raises(ConfigurationError, match=r"holds none of the labels that labels\.json names"):
        folder_set(tmp_path)
