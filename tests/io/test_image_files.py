from pathlib import Path

import nibabel
import numpy as np
import pytest
import tifffile
from PIL import Image

from medsam2.errors import FormatError
from medsam2.io import ImageFile, find_images


def save(path, shape=(6, 7), value=9):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full(shape, value, np.uint8)).save(path)
    return path


def names(images):
    return [image.name for image in images]


def test_the_images_of_a_folder_are_its_own_visible_ones(tmp_path):
    for name in ("b.png", "a.JPG", "c.tif", "deeper/d.png"):
        save(tmp_path / name)
    for name in ("notes.txt", "._b.png", "Thumbs.db", "clip.mp4"):
        (tmp_path / name).write_bytes(b"x")
    assert names(find_images([tmp_path])) == ["a.JPG", "b.png", "c.tif"]


def test_a_file_that_is_given_twice_is_one_image(tmp_path, monkeypatch):
    save(tmp_path / "a.png")
    save(tmp_path / "b.png")
    monkeypatch.chdir(tmp_path)
    assert names(find_images([tmp_path / "b.png", tmp_path, Path("a.png")])) == ["a.png", "b.png"]


def test_the_order_in_which_files_are_given_tells_nothing(tmp_path):
    files = [save(tmp_path / folder / f"{name}.png") for folder in "yx" for name in "cab"]
    assert find_images(files) == find_images(files[::-1])


@pytest.mark.parametrize("compression", [None, "tiff_lzw"])
def test_the_pages_of_a_tiff_are_images(tmp_path, compression):
    stack = np.arange(12 * 6 * 7, dtype=np.uint16).reshape(12, 6, 7)
    first, *rest = [Image.fromarray(page) for page in stack]
    first.save(tmp_path / "cells.tif", save_all=True, append_images=rest, compression=compression)
    images = find_images([tmp_path])
    assert names(images) == [f"cells.tif:{page}" for page in range(12)]
    assert images[3].label_map_name == "cells-03.png"
    for page, image in enumerate(images):
        assert np.array_equal(image.read().array, stack[page : page + 1])


def test_pages_may_differ_in_size_and_type(tmp_path):
    with tifffile.TiffWriter(tmp_path / "mixed.tif") as writer:
        writer.write(np.full((6, 7), 5, np.uint16), photometric="minisblack")
        writer.write(np.full((9, 8, 3), 7, np.uint8), photometric="rgb")
        writer.write(np.full((3, 5, 4), 8, np.uint8), photometric="rgb", planarconfig="separate")
    volumes = [image.read() for image in find_images([tmp_path / "mixed.tif"])]
    assert [volume.array.shape for volume in volumes] == [(1, 6, 7), (1, 9, 8, 3), (1, 5, 4, 3)]
    assert [int(volume.array.max()) for volume in volumes] == [5, 7, 8]


def test_a_page_that_is_not_there_is_refused(tmp_path):
    save(tmp_path / "a.tif")
    with pytest.raises(FormatError, match=r"a\.tif has no page 2; expected 0\.\.0"):
        ImageFile(tmp_path / "a.tif", 2, 3).read()


def test_damaged_files_are_found_out_when_they_are_read(tmp_path):
    (tmp_path / "a.tif").write_bytes(b"II*\x00nothing")
    (tmp_path / "b.png").write_bytes(b"")
    damaged, empty = find_images([tmp_path])
    with pytest.raises(FormatError, match=r"a\.tif cannot be read"):
        damaged.read()
    with pytest.raises(FormatError, match=r"b\.png is empty"):
        empty.read()


@pytest.mark.parametrize(
    ("name", "label_map"),
    [
        ("a.png", "a.png"),
        ("a.b.JPEG", "a.b.png"),
        ("a.tif", "a.png"),
        ("a.nii", "a.nii.gz"),
        ("a.nii.gz", "a.nii.gz"),
        ("a.NRRD", "a.nrrd"),
        ("a.mhd", "a.mha"),
        ("a.dcm", "a.nii.gz"),
    ],
)
def test_label_maps_are_named_after_their_images(name, label_map):
    assert ImageFile(Path("folder") / name).label_map_name == label_map


def test_nifti_is_read_as_it_is(tmp_path):
    nibabel.save(nibabel.Nifti1Image(np.zeros((5, 4, 1), np.int16), np.eye(4)), tmp_path / "a.nii.gz")
    (image,) = find_images([tmp_path / "a.nii.gz"])
    assert image.read().source.format == "nifti"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("clip.MP4", r"clip\.MP4 is a video; expected images.*ffmpeg -i clip\.MP4 frames/%05d\.png"),
        ("notes.txt", r"notes\.txt has an unknown suffix; expected one of \.nii\.gz"),
    ],
)
def test_other_files_are_refused(tmp_path, name, message):
    (tmp_path / name).write_bytes(b"x")
    with pytest.raises(FormatError, match=message):
        find_images([tmp_path / name])


def test_what_is_not_there_is_refused(tmp_path):
    with pytest.raises(FormatError, match=r"gone\.png does not exist; expected an image or a folder"):
        find_images([tmp_path / "gone.png"])


def test_a_folder_without_images_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_bytes(b"x")
    with pytest.raises(FormatError, match=r"holds no image; expected files that end in \.nii\.gz"):
        find_images([tmp_path])
    (tmp_path / "clip.avi").write_bytes(b"x")
    with pytest.raises(FormatError, match=r"clip\.avi is a video"):
        find_images([tmp_path])
