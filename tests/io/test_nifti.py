import gzip
import logging
import tracemalloc

import nibabel
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from medsam2.errors import FormatError, GeometryError, InputError
from medsam2.io import read_label_map, read_volume, write_segmentation, write_volume
from medsam2.spatial import Geometry, Plane, PlaneView, Segmentation, Volume

SIZE = (4, 5, 6)
GEOMETRIC_FIELDS = (
    *("pixdim", "dim_info", "xyzt_units", "qform_code", "sform_code", "quatern_b", "quatern_c", "quatern_d"),
    *("qoffset_x", "qoffset_y", "qoffset_z", "srow_x", "srow_y", "srow_z"),
    *("slice_start", "slice_end", "slice_code", "slice_duration", "toffset"),
)
OBLIQUE = np.array([[0.7, -0.31, 0.2, -91.3], [0.3, 0.71, -0.1, 44.7], [-0.14, 0.17, 2.9, -1017.1], [0, 0, 0, 1]])
SCALE_OFFSET, DATATYPE_OFFSET, DIM_OFFSET, PIXDIM_OFFSET = 112, 70, 40, 76
SHEARED = np.array([[1, 0, 0.5, 3], [0, 1, 0, 4], [0, 0, 2, 5], [0, 0, 0, 1.0]])


def values(dtype=np.int16, size=SIZE):
    return np.arange(np.prod(size)).reshape(size).astype(dtype)


def saved(path, array=None, affine=None, image_class=nibabel.Nifti1Image, **fields):
    """Save a NIfTI file with header fields set after the affine."""
    array = values() if array is None else array
    header = image_class(array, np.eye(4) if affine is None else affine, dtype=array.dtype).header
    for name, value in fields.items():
        header[name] = value
    # Without an affine nibabel writes the header as it is.
    image_class(array, None, header).to_filename(path)
    return path


def patched(path, offset, values):
    """Overwrite bytes of a file."""
    content = bytearray(path.read_bytes())
    content[offset : offset + values.nbytes] = values.tobytes()
    path.write_bytes(content)
    return path


def labelled(path, output):
    """Read a scan, label its first voxel and its last, write the labels; give the headers of both files."""
    volume = read_volume(path)
    labels = np.zeros(volume.geometry.shape, np.uint8)
    labels[0, 0, 0], labels[-1, -1, -1] = 1, 2
    write_segmentation(Segmentation(labels, volume.geometry, source=volume.source), output)
    return nibabel.load(path), nibabel.load(output)


def assert_same_place(scan, mask):
    for name in GEOMETRIC_FIELDS:
        assert scan.header[name].tobytes() == mask.header[name].tobytes(), name
    assert np.array_equal(scan.affine, mask.affine)
    assert np.array_equal(scan.get_sform(), mask.get_sform())
    assert np.array_equal(scan.get_qform(), mask.get_qform())


@pytest.mark.parametrize("codes", ["LPS", "LAS", "LIA", "RAS", "RPI", "SAL", "PIR", "ASR"])
@pytest.mark.parametrize("spacing", [(1, 1, 1), (0.75, 0.75, 6)], ids=["cubic", "thick"])
def test_any_orientation_is_read_and_kept(tmp_path, codes, spacing):
    ras = nibabel.orientations.inv_ornt_aff(nibabel.orientations.axcodes2ornt(codes), SIZE)
    ras = np.linalg.inv(ras) @ np.diag([*spacing, 1])
    ras[:3, 3] = [-120.5, 33.25, 7]
    path = saved(tmp_path / "scan.nii.gz", affine=ras)
    volume = read_volume(path)
    scan, mask = labelled(path, tmp_path / "mask.nii.gz")

    assert "".join(nibabel.aff2axcodes(scan.affine)) == codes
    assert np.array_equal(volume.array, values().transpose(2, 1, 0))
    assert np.array_equal(volume.geometry.affine, np.diag([-1, -1, 1, 1]) @ ras)
    assert_same_place(scan, mask)
    assert np.asarray(mask.dataobj)[-1, -1, -1] == 2


def test_an_ras_file_is_seen_like_the_lps_file_of_the_same_anatomy(tmp_path):
    array = values()
    lps = np.diag([-1.0, -1.0, 1.0, 1.0])
    ras = np.array([[1, 0, 0, -3], [0, 1, 0, -4], [0, 0, 1, 0], [0, 0, 0, 1.0]])
    files = saved(tmp_path / "lps.nii", array, lps), saved(tmp_path / "ras.nii", array[::-1, ::-1], ras)
    volumes = [read_volume(path) for path in files]

    for plane in Plane:
        first, second = (PlaneView.of(volume.geometry, plane).to_frames(volume.array) for volume in volumes)
        assert np.array_equal(first, second)


@settings(max_examples=30, deadline=None)
@given(arrays(np.float64, (3, 4), elements=st.floats(-500, 500, width=32)))
def test_any_affine_stays_the_same_to_the_last_bit(tmp_path_factory, rows):
    affine = np.vstack([rows, [0, 0, 0, 1]])
    affine[:3, :3] += np.diag([1500, 1700, 1900])
    folder = tmp_path_factory.mktemp("affine")

    assert_same_place(*labelled(saved(folder / "scan.nii", affine=affine), folder / "mask.nii"))


@pytest.mark.parametrize("affine", [OBLIQUE, SHEARED], ids=["oblique", "sheared"])
@pytest.mark.parametrize("image_class", [nibabel.Nifti1Image, nibabel.Nifti2Image])
def test_every_geometric_field_travels(tmp_path, affine, image_class):
    path = saved(
        tmp_path / "scan.nii",
        affine=affine,
        image_class=image_class,
        dim_info=0b111001,
        slice_code=3,
        slice_end=5,
        slice_duration=0.07,
        toffset=1.5,
        xyzt_units=2 | 8,
        intent_code=3,
        cal_max=100,
        descrip=b"somebody's scanner",
        aux_file=b"lut.txt",
    )
    scan, mask = labelled(path, tmp_path / "mask.nii")

    assert type(mask) is image_class
    assert_same_place(scan, mask)
    assert mask.header.get_intent() == ("none", (), "")
    assert (mask.header["cal_min"], mask.header["cal_max"]) == (0, 0)
    assert mask.header["descrip"] == b"medsam2"
    assert mask.header["aux_file"] == b""
    assert mask.get_data_dtype() == np.uint8


@pytest.mark.parametrize("codes", [(0, 0), (1, 0), (0, 2), (1, 4), (3, 1)], ids=str)
def test_the_codes_of_qform_and_sform_are_kept(tmp_path, codes):
    image = nibabel.Nifti1Image(values(), None)
    image.header.set_zooms((0.5, 0.6, 2.2))
    image.header.set_qform(OBLIQUE, codes[0])
    image.header.set_sform(OBLIQUE + np.diag([0, 0, 0.01, 0]), codes[1])
    image.to_filename(tmp_path / "scan.nii.gz")
    scan, mask = labelled(tmp_path / "scan.nii.gz", tmp_path / "mask.nii.gz")

    assert (int(mask.header["qform_code"]), int(mask.header["sform_code"])) == codes
    assert_same_place(scan, mask)
    assert np.array_equal(read_volume(tmp_path / "scan.nii.gz").geometry.affine[2:], scan.affine[2:])


def test_the_stored_header_says_unscaled_labels(tmp_path):
    path = patched(saved(tmp_path / "scan.nii"), SCALE_OFFSET, np.array([2, -5], "<f4"))
    labelled(path, tmp_path / "mask.nii")
    content = (tmp_path / "mask.nii").read_bytes()

    assert np.frombuffer(content, "<f4", 2, SCALE_OFFSET).tolist() == [1, 0]
    assert np.frombuffer(content, "<i2", 1, DATATYPE_OFFSET) == 2


def test_extensions_are_not_copied_into_the_mask(tmp_path):
    image = nibabel.Nifti1Image(values(), np.eye(4))
    image.header.extensions.append(nibabel.nifti1.Nifti1Extension("comment", b"the patient's name"))
    image.to_filename(tmp_path / "scan.nii")
    labelled(tmp_path / "scan.nii", tmp_path / "mask.nii")

    assert b"patient" in (tmp_path / "scan.nii").read_bytes()
    assert b"patient" not in (tmp_path / "mask.nii").read_bytes()


@pytest.mark.parametrize("dtype", ["u1", "i1", "u2", "i2", "u4", "i4", "f4", "f8"])
def test_stored_types_are_kept(tmp_path, dtype):
    volume = read_volume(saved(tmp_path / "scan.nii.gz", values(dtype)))

    assert volume.array.dtype == dtype
    assert np.array_equal(volume.array.T, values(dtype))


def test_scale_and_offset_give_float32(tmp_path):
    path = patched(saved(tmp_path / "scan.nii"), SCALE_OFFSET, np.array([0.5, -1000], "<f4"))
    volume = read_volume(path)

    assert volume.array.dtype == np.float32
    assert np.array_equal(volume.array.T, values() * 0.5 - 1000)


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@pytest.mark.parametrize("image_class", [nibabel.Nifti1Image, nibabel.Nifti2Image])
def test_big_endian_files(tmp_path, suffix, image_class):
    header = image_class.header_class(endianness=">")
    header.set_data_dtype(np.int16)
    image_class(values(">i2"), OBLIQUE, header).to_filename(tmp_path / f"scan{suffix}")
    volume = read_volume(tmp_path / f"scan{suffix}")
    scan, mask = labelled(tmp_path / f"scan{suffix}", tmp_path / f"mask{suffix}")

    assert scan.header.endianness == ">"
    assert volume.array.dtype == np.dtype(np.int16)
    assert volume.array.dtype.isnative
    assert np.array_equal(volume.array.T, values())
    assert_same_place(scan, mask)


@pytest.mark.parametrize(("slope", "expected"), [(1.0, np.int16), (0.5, np.float32)])
def test_reading_takes_little_more_memory_than_the_volume(tmp_path, slope, expected):
    path = saved(tmp_path / "scan.nii.gz", values(size=(128, 128, 96)))
    content = bytearray(gzip.decompress(path.read_bytes()))
    content[SCALE_OFFSET : SCALE_OFFSET + 4] = np.float32(slope).tobytes()
    path.write_bytes(gzip.compress(content, 1))
    tracemalloc.start()
    volume = read_volume(path)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert volume.array.dtype == expected
    assert volume.array[3, 2, 1] == slope * np.int16(values(size=(128, 128, 96))[1, 2, 3])
    assert most < 1.3 * volume.array.nbytes


def test_complex_numbers_are_refused(tmp_path):
    path = saved(tmp_path / "scan.nii", values(np.complex64))

    with pytest.raises(FormatError, match=r"scan\.nii holds complex numbers; expected real ones"):
        read_volume(path)


@pytest.mark.parametrize("channels", ["RGB", "RGBA"])
def test_colours_are_read(tmp_path, channels):
    colours = values(np.uint8, (*SIZE, len(channels)))
    stored = colours.view([(name, "u1") for name in channels])[..., 0]
    volume = read_volume(saved(tmp_path / "scan.nii.gz", stored))
    scan, mask = labelled(tmp_path / "scan.nii.gz", tmp_path / "mask.nii.gz")

    assert volume.is_rgb
    assert np.array_equal(volume.array.transpose(2, 1, 0, 3), colours[..., :3])
    assert mask.shape == scan.shape
    assert_same_place(scan, mask)


def test_colours_are_written(tmp_path):
    array = values(np.uint8, (2, 3, 4, 3))
    write_volume(Volume(array, Geometry((2, 3, 4), np.eye(4))), tmp_path / "scan.nii")

    assert np.array_equal(read_volume(tmp_path / "scan.nii").array, array)


def test_values_that_are_not_numbers_are_read(tmp_path):
    array = values(np.float32)
    array[0, 0, 0], array[1, 1, 1] = np.nan, np.inf
    read = read_volume(saved(tmp_path / "scan.nii", array)).array

    assert np.isnan(read[0, 0, 0])
    assert np.isposinf(read[1, 1, 1])
    assert np.isnan(read_volume(saved(tmp_path / "nan.nii", np.full(SIZE, np.nan))).array).all()


def test_a_flat_file_is_one_slice_and_its_mask_flat(tmp_path):
    path = saved(tmp_path / "scan.nii.gz", values(size=(4, 5)))
    scan, mask = labelled(path, tmp_path / "mask.nii.gz")

    assert read_volume(path).geometry.shape == (1, 5, 4)
    assert np.array_equal(read_volume(path).array[0].T, values(size=(4, 5)))
    assert mask.shape == scan.shape == (4, 5)
    assert_same_place(scan, mask)


@pytest.mark.parametrize("size", [(4, 5, 6, 1), (4, 5, 6, 1, 1), (4, 5, 1, 1)], ids=str)
def test_axes_of_length_one_are_dropped_and_come_back(tmp_path, size):
    path = saved(tmp_path / "scan.nii.gz", values(size=size))
    scan, mask = labelled(path, tmp_path / "mask.nii.gz")

    assert read_volume(path).geometry.shape == size[2::-1]
    assert mask.shape == scan.shape == size
    assert_same_place(scan, mask)


@pytest.mark.parametrize("size", [(4, 5, 6, 20), (4, 5, 6, 1, 20), (4, 5, 6, 20, 1)], ids=str)
def test_a_time_series_needs_a_choice(tmp_path, size):
    array = values(size=size)
    path = saved(tmp_path / "scan.nii.gz", array)

    with pytest.raises(FormatError, match=r"4-D and has 20 time points.*volume_index in Python.*0\.\.19"):
        read_volume(path)
    assert np.array_equal(read_volume(path, 7).array.T, array.reshape(4, 5, 6, 20)[..., 7])
    for index in (-1, 20):
        with pytest.raises(InputError, match=rf"volume index {index} is not in .*; expected 0\.\.19"):
            read_volume(path, index)


def test_the_mask_of_one_time_point_is_a_volume(tmp_path):
    path = saved(tmp_path / "scan.nii.gz", values(size=(4, 5, 6, 3)), OBLIQUE)
    volume = read_volume(path, 1)
    segmentation = Segmentation(np.ones(volume.geometry.shape, np.uint8), volume.geometry, source=volume.source)
    write_segmentation(segmentation, tmp_path / "mask.nii.gz")
    mask = nibabel.load(tmp_path / "mask.nii.gz")

    assert mask.shape == (4, 5, 6)
    assert np.array_equal(mask.affine, nibabel.load(path).affine)


def test_a_plain_volume_takes_the_index_zero_only(tmp_path):
    path = saved(tmp_path / "scan.nii")

    assert np.array_equal(read_volume(path, 0).array, read_volume(path).array)
    with pytest.raises(InputError, match=r"volume index 1 is not in .*scan\.nii; expected 0\.\.0"):
        read_volume(path, 1)


@pytest.mark.parametrize("size", [(4, 5, 6, 2, 3), (7,)], ids=str)
def test_other_numbers_of_axes_are_refused(tmp_path, size):
    with pytest.raises(FormatError, match=r"scan\.nii .*expected"):
        read_volume(saved(tmp_path / "scan.nii", values(size=size)))


def test_an_axis_of_no_length_is_refused(tmp_path):
    path = patched(saved(tmp_path / "scan.nii"), DIM_OFFSET + 2, np.array([0], "<i2"))

    with pytest.raises(FormatError, match=r"shape \(0, 5, 6\); expected"):
        read_volume(path)


def test_a_singular_affine_names_the_file(tmp_path):
    path = saved(tmp_path / "scan.nii", sform_code=1, srow_z=[0, 0, 0, 0])

    with pytest.raises(GeometryError, match=r"scan\.nii: the affine is singular"):
        read_volume(path)


def test_an_affine_without_numbers_names_the_file(tmp_path):
    path = saved(tmp_path / "scan.nii", sform_code=1, srow_z=[0, 0, np.nan, 0])

    with pytest.raises(GeometryError, match=r"scan\.nii: the affine holds NaN"):
        read_volume(path)


def test_metres_and_micrometres_become_millimetres(tmp_path):
    path = saved(tmp_path / "scan.nii", affine=np.diag([2.0, 2.0, 4.0, 1.0]), xyzt_units=3)
    scan, mask = labelled(path, tmp_path / "mask.nii")

    assert read_volume(path).geometry.spacing_mm == pytest.approx((0.002, 0.002, 0.004))
    assert read_volume(saved(tmp_path / "m.nii", xyzt_units=1)).geometry.spacing_mm == (1000, 1000, 1000)
    assert_same_place(scan, mask)


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@pytest.mark.parametrize("kept", [1, 200, 351, 380, 0.6, 0.99])
def test_truncated_files_are_refused_in_one_line(tmp_path, suffix, kept):
    path = saved(tmp_path / f"scan{suffix}", np.random.default_rng(0).integers(0, 999, (9, 9, 9)).astype(np.int16))
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content)) if kept < 1 else kept])

    with pytest.raises(FormatError, match=r"scan\.nii") as error:
        read_volume(path)
    assert "\n" not in str(error.value)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 347), st.binary(min_size=1, max_size=8))
@example(282, b"\x81\x7f")  # a signalling NaN
def test_a_damaged_header_is_read_or_refused_but_never_crashes(tmp_path_factory, offset, junk):
    path = saved(tmp_path_factory.mktemp("damaged") / "scan.nii")
    patched(path, offset, np.frombuffer(junk, np.uint8)[: 348 - offset])

    try:
        volume = read_volume(path)
    except (FormatError, GeometryError) as error:
        message = str(error)
    else:
        message = "scan.nii"
        assert volume.array.shape[:3] == volume.geometry.shape
    assert "scan.nii" in message
    assert "\n" not in message


def test_nibabel_keeps_quiet(tmp_path, capfd, caplog):
    # A negative spacing, which nibabel mends and reports.
    path = patched(saved(tmp_path / "scan.nii"), PIXDIM_OFFSET + 4, np.array([-2], "<f4"))

    assert read_volume(path).geometry.spacing_mm == (1, 1, 1)
    assert capfd.readouterr() == ("", "")
    assert not caplog.records
    assert not logging.getLogger("nibabel.global").disabled


def test_a_negative_spacing_without_a_matrix_is_a_length(tmp_path):
    path = patched(saved(tmp_path / "scan.nii", sform_code=0), PIXDIM_OFFSET + 4, np.array([-2], "<f4"))
    scan, mask = labelled(path, tmp_path / "mask.nii")

    assert read_volume(path).geometry.spacing_mm == (2, 1, 1)
    assert_same_place(scan, mask)


@pytest.mark.parametrize("affine", [OBLIQUE, SHEARED, np.diag([-1.5, 1.0, 2.0, 1.0])])
def test_a_volume_made_in_memory_is_written(tmp_path, affine):
    geometry = Geometry(SIZE, affine)
    write_segmentation(Segmentation(values(np.uint16), geometry), tmp_path / "mask.nii.gz")
    mask = nibabel.load(tmp_path / "mask.nii.gz")
    read = read_label_map(tmp_path / "mask.nii.gz")

    np.testing.assert_allclose(np.diag([-1, -1, 1, 1]) @ mask.affine, affine, rtol=1e-6)
    assert read.geometry.same_grid(geometry)
    assert np.array_equal(read.labels, values(np.uint8))
    assert mask.header["sform_code"] == 1
    assert mask.header["qform_code"] == (0 if affine is SHEARED or affine is OBLIQUE else 1)
    assert mask.header.get_xyzt_units()[0] == "mm"


@pytest.mark.parametrize("dtype", ["i1", "u2", "i4", "i8", "f2", "f4", "f8"])
def test_volumes_of_any_type_are_written(tmp_path, dtype):
    write_volume(Volume(values(dtype), Geometry(SIZE, np.eye(4))), tmp_path / "scan.nii")
    read = read_volume(tmp_path / "scan.nii").array

    assert read.dtype == ("f4" if dtype == "f2" else dtype)
    assert np.array_equal(read, values(dtype))


def test_an_axis_too_long_for_nifti1_is_written_as_nifti2(tmp_path):
    geometry = Geometry((1, 1, 40_000), np.eye(4))
    write_segmentation(Segmentation(np.ones((1, 1, 40_000), np.uint8), geometry), tmp_path / "mask.nii.gz")

    assert isinstance(nibabel.load(tmp_path / "mask.nii.gz"), nibabel.Nifti2Image)
    assert read_label_map(tmp_path / "mask.nii.gz").geometry.shape == (1, 1, 40_000)


def test_a_header_of_another_grid_is_not_used(tmp_path):
    source = read_volume(saved(tmp_path / "scan.nii", affine=OBLIQUE)).source
    geometry = Geometry((6, 5, 4), np.diag([-1.0, -1.0, 5.0, 1.0]))
    write_segmentation(Segmentation(np.zeros((6, 5, 4), np.uint8), geometry, source=source), tmp_path / "mask.nii")

    assert np.array_equal(nibabel.load(tmp_path / "mask.nii").affine, np.diag([1, 1, 5, 1]))


def test_compressed_output_is_gzip(tmp_path):
    labelled(saved(tmp_path / "scan.nii"), tmp_path / "mask.nii.gz")

    assert gzip.decompress((tmp_path / "mask.nii.gz").read_bytes())[344:347] == b"n+1"
