import os

import nibabel
import numpy as np
import pytest
import SimpleITK
from hypothesis import given, settings
from hypothesis import strategies as st

from medsam2.errors import FormatError, GeometryError, InputError
from medsam2.io import read_label_map, read_volume, write_segmentation, write_volume
from medsam2.spatial import Geometry, Segmentation, Volume

SUFFIXES = (".nrrd", ".mha", ".mhd")
SHEARED = np.array([[1, 0, 0.5, 3], [0, 1, 0, 4], [0, 0, 2, 5], [0, 0, 0, 1.0]])


def values(dtype=np.int16, shape=(3, 4, 5)):
    return np.arange(np.prod(shape)).reshape(shape).astype(dtype)


def rotation(seed):
    return np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))[0]


def saved(path, array=None, grid=None, is_vector=None):
    """Save with SimpleITK; the grid is (spacing, origin, direction)."""
    image = SimpleITK.GetImageFromArray(values() if array is None else array, isVector=is_vector)
    if grid is not None:
        image.SetSpacing(grid[0])
        image.SetOrigin(grid[1])
        image.SetDirection(np.ravel(grid[2]).tolist())
    SimpleITK.WriteImage(image, str(path))
    return path


def grid_of(path):
    image = SimpleITK.ReadImage(str(path))
    return image.GetSize(), image.GetSpacing(), image.GetOrigin(), image.GetDirection()


def labelled(path, output):
    """Read a scan and write labels for it."""
    volume = read_volume(path)
    labels = values(np.uint8, volume.geometry.shape)
    write_segmentation(Segmentation(labels, volume.geometry, source=volume.source), output)
    assert np.array_equal(SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(output))).ravel(), labels.ravel())
    return output


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_scan_is_read_with_its_grid(tmp_path, suffix):
    direction = rotation(1)
    path = saved(tmp_path / f"scan{suffix}", grid=((0.5, 0.75, 4.0), (-100.5, 20.25, 3.0), direction))
    volume = read_volume(path)
    image = SimpleITK.ReadImage(str(path))

    assert volume.array.dtype == np.int16
    assert np.array_equal(volume.array, values())
    for index in [(0, 0, 0), (4, 3, 2), (1, 2, 0)]:
        np.testing.assert_allclose(
            volume.geometry.index_to_lps([index])[0], image.TransformIndexToPhysicalPoint(index), atol=1e-9
        )


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from(SUFFIXES),
    st.tuples(*[st.floats(0.01, 10)] * 3),
    st.tuples(*[st.floats(-1000, 1000)] * 3),
    st.integers(0, 2**32 - 1),
)
def test_the_mask_has_the_grid_of_the_scan_to_the_last_bit(tmp_path_factory, suffix, spacing, origin, seed):
    folder = tmp_path_factory.mktemp("grid")
    path = saved(folder / f"scan{suffix}", grid=(spacing, origin, rotation(seed)))
    output = labelled(path, folder / f"mask{suffix}")

    assert grid_of(output) == grid_of(path)


@pytest.mark.parametrize("space", ["right-anterior-superior", "left-anterior-superior", "left-posterior-superior"])
def test_an_nrrd_keeps_the_space_it_was_written_in(tmp_path, space):
    path = saved(tmp_path / "scan.nrrd", grid=((0.7, 0.8, 3), (1.1, 2.2, 3.3), rotation(3)))
    path.write_bytes(path.read_bytes().replace(b"left-posterior-superior", space.encode()))
    output = labelled(path, tmp_path / "mask.nrrd")

    assert grid_of(output) == grid_of(path)
    assert f"space: {space}".encode() in output.read_bytes()


def test_an_nrrd_with_windows_line_ends(tmp_path):
    path = saved(tmp_path / "scan.nrrd", grid=((0.7, 0.8, 3), (1.1, 2.2, 3.3), rotation(3)))
    head, _, data = path.read_bytes().partition(b"\n\n")
    path.write_bytes(head.replace(b"\n", b"\r\n") + b"\r\n\r\n" + data)

    assert grid_of(labelled(path, tmp_path / "mask.nrrd")) == grid_of(path)


def test_an_nrrd_without_a_space(tmp_path):
    content = b"NRRD0004\ntype: uint8\ndimension: 3\nsizes: 5 4 3\nspacings: 0.3 0.7 2.1\nencoding: raw\n\n"
    (tmp_path / "scan.nrrd").write_bytes(content + values(np.uint8).tobytes())

    assert read_volume(tmp_path / "scan.nrrd").geometry.spacing_mm == pytest.approx((0.3, 0.7, 2.1))
    assert grid_of(labelled(tmp_path / "scan.nrrd", tmp_path / "mask.nrrd")) == grid_of(tmp_path / "scan.nrrd")


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("dtype", ["u1", "i1", "u2", "i2", "i4", "f4", "f8"])
def test_stored_types_are_kept(tmp_path, suffix, dtype):
    write_volume(Volume(values(dtype), Geometry((3, 4, 5), np.eye(4))), tmp_path / f"scan{suffix}")
    read = read_volume(tmp_path / f"scan{suffix}").array

    assert read.dtype == dtype
    assert np.array_equal(read, values(dtype))


def test_half_precision_is_written_as_single(tmp_path):
    write_volume(Volume(values("f2"), Geometry((3, 4, 5), np.eye(4))), tmp_path / "scan.mha")

    assert read_volume(tmp_path / "scan.mha").array.dtype == np.float32


def test_values_that_are_not_numbers_are_read(tmp_path):
    array = values(np.float32)
    array[0, 0, 0] = np.nan

    assert np.isnan(read_volume(saved(tmp_path / "scan.nrrd", array)).array[0, 0, 0])


def test_complex_numbers_are_refused(tmp_path):
    path = saved(tmp_path / "scan.nrrd", values(np.complex64))

    with pytest.raises(FormatError, match=r"scan\.nrrd holds complex numbers; expected real ones"):
        read_volume(path)


def test_five_axes_are_refused(tmp_path):
    path = saved(tmp_path / "scan.nrrd", values(shape=(2, 2, 3, 4, 5)), is_vector=False)

    with pytest.raises(FormatError, match=r"scan\.nrrd is 5-D; expected a 2-D, 3-D or 4-D file"):
        read_volume(path)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("channels", [3, 4])
def test_colours_are_read_and_their_mask_has_the_grid(tmp_path, suffix, channels):
    array = values(np.uint8, (3, 4, 5, channels))
    path = saved(tmp_path / f"scan{suffix}", array, ((0.7, 0.8, 3), (1.1, 2.2, 3.3), rotation(4)), is_vector=True)
    volume = read_volume(path)

    assert np.array_equal(volume.array, array[..., :3])
    assert grid_of(labelled(path, tmp_path / f"mask{suffix}")) == grid_of(path)


def test_colours_are_written(tmp_path):
    array = values(np.uint8, (3, 4, 5, 3))
    write_volume(Volume(array, Geometry((3, 4, 5), np.eye(4))), tmp_path / "scan.mha")

    assert np.array_equal(read_volume(tmp_path / "scan.mha").array, array)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_flat_image_is_one_slice_and_its_mask_flat(tmp_path, suffix):
    path = saved(tmp_path / f"scan{suffix}", values(shape=(4, 5)), ((0.5, 0.25), (3, 4), np.eye(2)))
    volume = read_volume(path)

    assert np.array_equal(volume.array, values(shape=(1, 4, 5)))
    assert volume.geometry.spacing_mm == (0.5, 0.25, 1)
    assert grid_of(labelled(path, tmp_path / f"mask{suffix}")) == grid_of(path)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_name_that_is_no_utf8_is_refused(tmp_path, suffix):
    path = saved(tmp_path / f"scan{suffix}", values(shape=(3, 4, 5)))
    volume = read_volume(path)
    odd = path.rename(tmp_path / f"{os.fsdecode(bytes([0xFC]))}{suffix}")
    for attempt in (lambda: read_volume(odd), lambda: write_volume(volume, odd)):
        with pytest.raises(FormatError, match="the name or its folder is not UTF-8"):
            attempt()


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_time_series_needs_a_choice(tmp_path, suffix):
    array = values(shape=(6, 3, 4, 5))
    path = saved(tmp_path / f"scan{suffix}", array, is_vector=False)

    with pytest.raises(FormatError, match=r"4-D and has 6 time points.*volume_index in Python.*0\.\.5"):
        read_volume(path)
    with pytest.raises(InputError, match="volume index 6 is not in"):
        read_volume(path, 6)
    assert np.array_equal(read_volume(path, 4).array, array[4])


def test_channels_need_a_choice(tmp_path):
    array = values(shape=(3, 4, 5, 6))
    path = saved(tmp_path / "scan.nrrd", array, is_vector=True)

    with pytest.raises(FormatError, match="6 time points"):
        read_volume(path)
    assert np.array_equal(read_volume(path, 5).array, array[..., 5])


def test_a_time_series_of_one_is_a_volume(tmp_path):
    path = saved(tmp_path / "scan.mha", values(shape=(1, 3, 4, 5)), is_vector=False)

    assert np.array_equal(read_volume(path).array, values())


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("kept", [0.2, 0.6, 0.95])
def test_truncated_files_are_refused_in_one_line(tmp_path, suffix, kept, capfd):
    path = tmp_path / f"scan{suffix}"
    array = np.random.default_rng(0).integers(0, 999, (9, 9, 9)).astype(np.int16)
    write_volume(Volume(array, Geometry(array.shape, np.eye(4))), path)
    damaged = path if suffix != ".mhd" else path.with_suffix(".zraw")
    damaged.write_bytes(damaged.read_bytes()[: int(kept * damaged.stat().st_size)])

    with pytest.raises(FormatError, match=rf"scan\{suffix}") as error:
        read_volume(path)
    assert "\n" not in str(error.value)
    # MetaIO writes to the standard error by itself and cannot be told not to.
    assert suffix != ".nrrd" or capfd.readouterr() == ("", "")


def test_a_header_without_its_data_is_refused(tmp_path):
    path = saved(tmp_path / "scan.mhd")
    path.with_suffix(".raw").unlink()

    with pytest.raises(FormatError, match=r"scan\.mhd cannot be read"):
        read_volume(path)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_nifti_becomes_itk_at_the_same_place(tmp_path, suffix):
    ras = np.diag([0.75, 1.5, 4.0, 1.0])
    ras[:3, :3] = rotation(5) @ ras[:3, :3]
    ras[:3, 3] = -33.5, 100.25, -999
    nibabel.Nifti2Image(values().T, ras).to_filename(tmp_path / "scan.nii")
    geometry = read_volume(tmp_path / "scan.nii").geometry
    read = read_volume(labelled(tmp_path / "scan.nii", tmp_path / f"mask{suffix}")).geometry

    np.testing.assert_allclose(read.affine, np.diag([-1, -1, 1, 1]) @ ras, rtol=0, atol=1e-6)
    assert read.same_grid(geometry)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_itk_becomes_nifti_at_the_same_place(tmp_path, suffix):
    path = saved(tmp_path / f"scan{suffix}", grid=((0.75, 0.75, 4), (-33.5, 10.25, -99), np.diag([-1, 1, -1])))
    volume = read_volume(path)
    labels = Segmentation(values(np.uint8), volume.geometry, source=volume.source)
    write_segmentation(labels, tmp_path / "mask.nii.gz")
    affine = nibabel.load(tmp_path / "mask.nii.gz").affine

    np.testing.assert_allclose(affine, np.diag([-1, -1, 1, 1]) @ volume.geometry.affine, rtol=0, atol=1e-6)
    assert np.array_equal(read_label_map(tmp_path / "mask.nii.gz").labels, values(np.uint8))


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_sheared_grid_is_refused_and_nothing_written(tmp_path, suffix):
    segmentation = Segmentation(values(np.uint8), Geometry((3, 4, 5), SHEARED))

    with pytest.raises(GeometryError, match=r"5 x 4 x 3 voxels .* is sheared.*Write NIfTI"):
        write_segmentation(segmentation, tmp_path / f"mask{suffix}")
    assert not list(tmp_path.iterdir())


def test_a_sheared_nrrd_keeps_its_own_grid(tmp_path):
    path = saved(tmp_path / "scan.nrrd", grid=((1, 1, 2), (0, 0, 0), [[1, 0, 0.6], [0, 1, 0], [0, 0, 0.8]]))

    assert grid_of(labelled(path, tmp_path / "mask.nrrd")) == grid_of(path)


def test_the_compressed_data_of_an_mhd_lie_beside_it(tmp_path):
    labelled(saved(tmp_path / "scan.mha"), tmp_path / "mask.mhd")

    assert sorted(file.name for file in tmp_path.iterdir()) == ["mask.mhd", "mask.zraw", "scan.mha"]
    assert b"ElementDataFile = mask.zraw" in (tmp_path / "mask.mhd").read_bytes()


def test_warnings_are_shown_again_afterwards(tmp_path):
    read_volume(saved(tmp_path / "scan.mha"))

    assert SimpleITK.ProcessObject.GetGlobalWarningDisplay()
