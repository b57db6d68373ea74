import errno

import nibabel
import numpy as np
import pytest
import SimpleITK
import tifffile
from PIL import Image

from medsam2.errors import FormatError
from medsam2.io import read_label_map, write_segmentation
from medsam2.io.atomic import check_writable, written_whole
from medsam2.spatial import Geometry, Segmentation

OLD = Segmentation(np.zeros((1, 4, 5), np.uint8), Geometry((1, 4, 5), np.eye(4)))
NEW = Segmentation(np.ones((1, 4, 5), np.uint8), Geometry((1, 4, 5), np.eye(4)))

WRITERS = {
    ".nii": (nibabel.Nifti1Image, "to_filename", OSError(errno.ENOSPC, "No space left on device")),
    ".nii.gz": (nibabel.Nifti1Image, "to_filename", ValueError("No space left on device")),
    ".nrrd": (SimpleITK, "WriteImage", RuntimeError("in x.cxx:\nsitk::ERROR: No space left on device")),
    ".mhd": (SimpleITK, "WriteImage", RuntimeError("No space left on device")),
    ".png": (Image.Image, "save", OSError(errno.ENOSPC, "No space left on device")),
    ".tif": (tifffile, "imwrite", OSError(errno.ENOSPC, "No space left on device")),
}


def contents(folder):
    return {file.name: file.read_bytes() for file in folder.iterdir()}


@pytest.mark.parametrize("suffix", WRITERS)
@pytest.mark.parametrize("exists", [True, False])
def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch, suffix, exists):
    path = tmp_path / f"mask{suffix}"
    if exists:
        write_segmentation(OLD, path)
    before = contents(tmp_path)
    owner, name, error = WRITERS[suffix]
    write = getattr(owner, name)

    def write_and_fail(*args, **kwargs):
        write(*args, **kwargs)
        raise error

    monkeypatch.setattr(owner, name, write_and_fail)
    with pytest.raises(FormatError, match=rf"mask{suffix} cannot be written: No space left on device\."):
        write_segmentation(NEW, path)

    assert contents(tmp_path) == before


@pytest.mark.parametrize("suffix", WRITERS)
def test_an_old_file_is_replaced(tmp_path, suffix):
    path = tmp_path / f"mask{suffix}"
    write_segmentation(OLD, path)
    names = set(contents(tmp_path))
    write_segmentation(NEW, path)

    assert read_label_map(path).labels.all()
    assert set(contents(tmp_path)) == names


def test_an_interruption_leaves_nothing(tmp_path):
    path = tmp_path / "mask.nii"
    path.write_bytes(b"old")

    def interrupted():
        with written_whole(path) as draft:
            draft.write_bytes(b"new")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert contents(tmp_path) == {"mask.nii": b"old"}


def test_the_draft_has_the_name_and_the_file_system_of_the_file(tmp_path):
    path = tmp_path / "new" / "mask.nii.gz"

    with written_whole(path) as draft:
        assert draft.name == "mask.nii.gz"
        assert draft.parent.parent == path.parent
        draft.write_bytes(b"data")
        (draft.parent / "mask.raw").write_bytes(b"more")
    assert contents(path.parent) == {"mask.nii.gz": b"data", "mask.raw": b"more"}


def test_a_file_in_place_of_a_folder_is_told(tmp_path):
    (tmp_path / "folder").write_bytes(b"a file")

    with pytest.raises(FormatError, match=r"mask\.nii cannot be written: (File exists|Not a directory)\."):
        write_segmentation(NEW, tmp_path / "folder" / "mask.nii")


def test_a_folder_in_place_of_a_file_is_told(tmp_path):
    (tmp_path / "mask.nii").mkdir()

    with pytest.raises(FormatError, match=r"mask\.nii cannot be written: Is a directory\."):
        write_segmentation(NEW, tmp_path / "mask.nii")
    assert [file.name for file in tmp_path.iterdir()] == ["mask.nii"]


def test_what_can_be_written_is_found_out_without_a_trace(tmp_path):
    check_writable(tmp_path / "a" / "b" / "report.json")
    (tmp_path / "old.json").write_text("old")
    check_writable(tmp_path / "old.json")
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("old.json", "old")]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("folder", "folder is a folder; expected the name of a file to write"),
        ("file/report.json", "report.json cannot be written: Not a directory"),
        ("x" * 300, "xxx cannot be written: File name too long"),
    ],
)
def test_what_cannot_be_written_is_refused(tmp_path, name, words):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    with pytest.raises(FormatError, match=words):
        check_writable(tmp_path / name)
    assert {file.name for file in tmp_path.iterdir()} == {"folder", "file"}
