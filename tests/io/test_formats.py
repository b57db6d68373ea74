from dataclasses import replace

import nibabel
import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from medsam2.errors import FormatError, ShapeError
from medsam2.io import check_output, read_label_map, read_volume, write_segmentation, write_volume
from medsam2.spatial import Geometry, Segmentation, Volume

SHAPE = (3, 4, 5)
VOLUME_SUFFIXES = (".nii", ".nii.gz", ".nrrd", ".mha", ".mhd", ".tif")


def geometry():
    return Geometry(SHAPE, np.eye(4))


def segmentation(source=None):
    return Segmentation(np.arange(60, dtype=np.uint8).reshape(SHAPE), geometry(), source=source)


@pytest.mark.parametrize(
    ("suffix", "name"),
    [(".nii", "nifti"), (".nii.gz", "nifti"), (".nrrd", "itk"), (".mha", "itk"), (".mhd", "itk"), (".tif", "image")],
)
def test_the_source_is_the_file(tmp_path, suffix, name):
    write_segmentation(segmentation(), tmp_path / f"scan{suffix}")
    source = read_volume(tmp_path / f"scan{suffix}").source

    assert source.path == tmp_path / f"scan{suffix}"
    assert source.format == name


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(VOLUME_SUFFIXES),
    arrays(st.sampled_from([np.uint8, np.uint16]), st.tuples(*[st.integers(1, 5)] * 3)),
)
def test_labels_survive_every_format(tmp_path_factory, suffix, labels):
    path = tmp_path_factory.mktemp("labels") / f"mask{suffix}"
    write_segmentation(Segmentation(labels, Geometry(labels.shape, np.eye(4))), str(path))
    read = read_label_map(str(path))

    assert np.array_equal(read.labels, labels)
    assert np.array_equal(read.geometry.affine, np.eye(4))


@pytest.mark.parametrize("first", VOLUME_SUFFIXES)
@pytest.mark.parametrize("second", VOLUME_SUFFIXES)
def test_a_source_of_another_format_does_no_harm(tmp_path, first, second):
    write_segmentation(segmentation(), tmp_path / f"scan{first}")
    volume = read_volume(tmp_path / f"scan{first}")
    write_segmentation(segmentation(volume.source), tmp_path / f"mask{second}")
    read = read_label_map(tmp_path / f"mask{second}")

    assert np.array_equal(read.labels, segmentation().labels)
    assert read.geometry.same_grid(volume.geometry)


@pytest.mark.parametrize("dtype", ["f4", "f8", "i2", "i4", "u4"])
def test_labels_may_be_stored_in_any_type(tmp_path, dtype):
    for largest, expected in ((59, np.uint8), (300, np.uint16)):
        array = np.arange(60).reshape(SHAPE).astype(dtype)
        array[-1, -1, -1] = largest
        write_volume(Volume(array, geometry()), tmp_path / "mask.nii")
        read = read_label_map(tmp_path / "mask.nii")

        assert read.labels.dtype == expected
        assert np.array_equal(read.labels, array)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (-1, r"mask\.nii holds values from -1\.0 to 59\.0; expected labels, 0\.\.65535"),
        (65536, "holds values from 0.0 to 65536.0"),
        (np.nan, "holds values from nan to nan"),
        (np.inf, "holds values from 0.0 to inf"),
        (0.5, r"mask\.nii holds fractions; expected labels"),
    ],
)
def test_what_is_no_label_map_is_refused(tmp_path, value, message):
    array = np.arange(60, dtype=np.float32).reshape(SHAPE)
    array[0, 0, 1] = value
    write_volume(Volume(array, geometry()), tmp_path / "mask.nii")

    with pytest.raises(FormatError, match=message):
        read_label_map(tmp_path / "mask.nii")


def test_a_colour_picture_is_no_label_map(tmp_path):
    write_volume(Volume(np.zeros((1, 4, 5, 3), np.uint8), Geometry((1, 4, 5), np.eye(4))), tmp_path / "scan.png")

    with pytest.raises(FormatError, match=r"scan\.png is a colour picture; expected a label map"):
        read_label_map(tmp_path / "scan.png")


def test_a_time_point_of_labels_can_be_chosen(tmp_path):
    array = np.arange(120, dtype=np.uint8).reshape(5, 4, 3, 2)
    nibabel.Nifti1Image(array, np.eye(4)).to_filename(tmp_path / "masks.nii")

    assert np.array_equal(read_label_map(tmp_path / "masks.nii", 1).labels.T, array[..., 1])


def test_an_array_that_is_no_volume_names_the_file(tmp_path):
    tifffile.imwrite(tmp_path / "scan.tif", np.zeros((4, 5, 3), np.float32), photometric="rgb")

    with pytest.raises(ShapeError, match=r"scan\.tif: the volume has 3 channels of float32"):
        read_volume(tmp_path / "scan.tif")


@pytest.mark.parametrize("suffix", VOLUME_SUFFIXES)
def test_the_input_is_never_overwritten(tmp_path, suffix):
    path = tmp_path / f"scan{suffix}"
    write_segmentation(segmentation(), path)
    before = path.read_bytes()
    volume = read_volume(path)
    (tmp_path / "folder").mkdir()
    (tmp_path / f"link{suffix}").symlink_to(path)

    for output in (path, tmp_path / "folder" / ".." / path.name, tmp_path / f"link{suffix}"):
        with pytest.raises(FormatError, match="is the input itself; choose another output"):
            write_segmentation(segmentation(volume.source), output)
    assert path.read_bytes() == before


def test_a_source_that_is_gone_does_not_matter(tmp_path):
    write_segmentation(segmentation(), tmp_path / "scan.nii")
    source = read_volume(tmp_path / "scan.nii").source
    (tmp_path / "scan.nii").unlink()
    write_segmentation(segmentation(source), tmp_path / "scan.nii")

    assert np.array_equal(read_label_map(tmp_path / "scan.nii").labels, segmentation().labels)


def test_a_header_that_a_format_does_not_know_is_ignored(tmp_path):
    write_segmentation(segmentation(), tmp_path / "scan.nii")
    source = read_volume(tmp_path / "scan.nii").source
    write_segmentation(segmentation(replace(source, header="no header")), tmp_path / "mask.nii")

    assert np.array_equal(read_label_map(tmp_path / "mask.nii").labels, segmentation().labels)


@pytest.mark.parametrize("name", ["mask", "mask.xyz", "mask.gz", "mask.img"])
def test_an_unknown_suffix_is_refused_with_the_known_ones(tmp_path, name):
    with pytest.raises(FormatError, match=rf"{name} has an unknown suffix; expected one of \.nii\.gz, \.nii, \.nrrd"):
        write_segmentation(segmentation(), tmp_path / name)


def test_dicom_is_not_written(tmp_path):
    with pytest.raises(FormatError, match=r"mask\.dcm is to be DICOM SEG, which refers to the images of a DICOM"):
        write_segmentation(segmentation(), tmp_path / "mask.dcm")


@pytest.mark.parametrize("suffix", VOLUME_SUFFIXES)
def test_missing_folders_are_made(tmp_path, suffix):
    write_segmentation(segmentation(), tmp_path / "a" / "b" / f"mask{suffix}")

    assert (tmp_path / "a" / "b" / f"mask{suffix}").is_file()


def test_an_output_that_cannot_be_written_is_refused_before_the_work(tmp_path):
    volume = Volume(np.zeros((3, 4, 5), np.int16), Geometry((3, 4, 5), np.diag([1.0, 2.0, 3.0, 1.0])))
    with pytest.raises(FormatError, match=r"labels\.png") as refused:
        check_output(volume, tmp_path / "labels.png")
    assert ".medsam2-" not in str(refused.value)
    assert list(tmp_path.iterdir()) == []


def test_checking_an_output_leaves_nothing_behind(tmp_path):
    volume = Volume(np.zeros((3, 4, 5), np.int16), Geometry((3, 4, 5), np.diag([1.0, 2.0, 3.0, 1.0])))
    old = tmp_path / "labels.nii.gz"
    old.write_bytes(b"older result")
    check_output(volume, old)
    assert old.read_bytes() == b"older result"
    assert list(tmp_path.iterdir()) == [old]
