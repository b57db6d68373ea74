import numpy as np
import pytest
import SimpleITK
from hypothesis import given, settings
from hypothesis import strategies as st

from medsam2.errors import FormatError, GeometryError
from medsam2.io import read_volume
from reference.dicom_writing import AXIAL, CORONAL, OBLIQUE, SAGITTAL, normal, picture, write, write_series

ORIGIN = (-100.25, 50.5, 30.125)
ORIENTATIONS = {"axial": AXIAL, "sagittal": SAGITTAL, "coronal": CORONAL, "oblique": OBLIQUE}


def values(slices=5):
    return np.random.default_rng(0).integers(-900, 900, (slices, 6, 4)).astype(np.int16)


def itk_volume(folder):
    """The same series through GDCM and ITK: array and affine."""
    reader = SimpleITK.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    image = reader.Execute()
    affine = np.eye(4)
    affine[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing()
    affine[:3, 3] = image.GetOrigin()
    return SimpleITK.GetArrayFromImage(image), affine


@pytest.mark.parametrize("orientation", ORIENTATIONS.values(), ids=ORIENTATIONS)
@pytest.mark.parametrize("along", [2.5, -2.5], ids=["along the normal", "against it"])
def test_a_series_lies_where_itk_puts_it(tmp_path, orientation, along):
    write_series(tmp_path, values(), orientation, step=along * normal(orientation))
    volume = read_volume(tmp_path)
    array, affine = itk_volume(tmp_path)

    assert np.array_equal(volume.array, array)
    np.testing.assert_allclose(volume.geometry.affine, affine, rtol=0, atol=1e-9)
    assert volume.source.notes == ()


@settings(max_examples=25, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.floats(0.3, 8),
    st.permutations(range(5)),
)
def test_any_rotation_and_any_order_of_files(tmp_path_factory, seed, distance, order):
    folder = tmp_path_factory.mktemp("series")
    axes = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))[0]
    orientation = [float(f"{value:.13g}") for value in (*axes[0], *axes[1])]
    write_series(folder, values()[order], orientation, step=distance * normal(orientation), places=list(order))
    volume = read_volume(folder)

    assert np.array_equal(volume.array, values())
    expected = np.column_stack([0.5 * axes[0], 0.75 * axes[1], distance * normal(orientation)])
    np.testing.assert_allclose(volume.geometry.affine[:3, :3], expected, rtol=0, atol=1e-7)
    np.testing.assert_allclose(volume.geometry.affine[:3, 3], ORIGIN, rtol=0, atol=1e-7)
    assert np.linalg.det(volume.geometry.affine) > 0


def test_a_tilted_gantry_gives_a_sheared_grid(tmp_path):
    # The table moves 2 mm along z; the slices are tilted by 20 degrees about x.
    tilt = np.deg2rad(20)
    orientation = (1, 0, 0, 0, np.cos(tilt), np.sin(tilt))
    write_series(tmp_path, values(), [round(value, 12) for value in orientation], step=(0, 0, 2))
    geometry = read_volume(tmp_path).geometry

    expected = np.array(
        [
            [0.5, 0, 0, -100.25],
            [0, 0.75 * np.cos(tilt), 0, 50.5],
            [0, 0.75 * np.sin(tilt), 2, 30.125],
            [0, 0, 0, 1],
        ]
    )
    np.testing.assert_allclose(geometry.affine, expected, rtol=0, atol=1e-9)
    assert geometry.spacing_mm[2] == pytest.approx(2)
    assert geometry.voxel_volume_ml == pytest.approx(0.5 * 0.75 * 2 * np.cos(tilt) / 1000)
    # Each voxel centre where the slice's own header puts it: position + columns and rows in the slice.
    point = geometry.index_to_lps([[3, 5, 4]])[0]
    own = np.array(ORIGIN) + [0, 0, 8] + 3 * 0.5 * np.array([1, 0, 0]) + 5 * 0.75 * np.array(orientation[3:])
    np.testing.assert_allclose(point, own, rtol=0, atol=1e-9)


@pytest.mark.parametrize("missing", [1, 3, 8])
def test_a_missing_slice_is_refused_by_name_and_place(tmp_path, missing):
    places = [place for place in range(10) if place != missing]
    write_series(tmp_path, values(9), places=places)

    before, after = missing - 1, missing  # files are numbered on
    low, high = 30.125 + 2.5 * (missing - 1), 30.125 + 2.5 * (missing + 1)
    with pytest.raises(FormatError) as error:
        read_volume(tmp_path)
    assert "most lie 2.50 mm apart" in str(error.value)
    assert f"5.00 mm between IM{before:03d} and IM{after:03d} (at {low:.2f} and {high:.2f} mm)" in str(error.value)


def test_many_gaps_are_not_all_told(tmp_path):
    write_series(tmp_path, values(11), places=np.cumsum([0, 1, 1, 2, 1, 2, 1, 2, 1, 2, 1]).tolist())

    with pytest.raises(FormatError, match="and 1 more"):
        read_volume(tmp_path)


def test_slices_that_leave_the_line_are_refused(tmp_path):
    paths = write_series(tmp_path, values())
    write_series(tmp_path, values()[2:3], step=(5, 0, 5), places=[1])
    (tmp_path / "IM000").rename(paths[2])
    write_series(tmp_path, values()[:1])

    with pytest.raises(FormatError, match=r"leave a straight line by up to 5\.00 mm"):
        read_volume(tmp_path)


def test_rounded_positions_are_taken_as_even_and_told(tmp_path):
    positions = [[-100, 50, round(0.6667 * k, 1)] for k in range(10)]
    write_series(tmp_path, values(10), ImagePositionPatient=positions)
    volume = read_volume(tmp_path)

    assert volume.geometry.spacing_mm[2] == pytest.approx(6 / 9)
    assert volume.source.notes == (
        "The slices are not quite evenly spaced: even spacing was assumed, off by up to 0.03 mm.",
    )


def test_tiny_deviations_are_not_worth_a_word(tmp_path):
    write_series(tmp_path, values(), places=[0, 1.01, 1.99, 3, 4])

    assert read_volume(tmp_path).source.notes == ()


def test_a_single_slice_is_as_thick_as_it_says(tmp_path):
    write_series(tmp_path / "a", values(1), OBLIQUE)
    write_series(tmp_path / "b", values(1), OBLIQUE, SliceThickness=None)

    np.testing.assert_allclose(read_volume(tmp_path / "a").geometry.affine[:3, 2], 2.5 * normal(OBLIQUE))
    bare = read_volume(tmp_path / "b")
    np.testing.assert_allclose(bare.geometry.affine[:3, 2], normal(OBLIQUE))
    assert bare.source.notes == ("The image says no slice thickness; 1 mm was assumed.",)


def test_pictures_take_the_spacing_that_there_is(tmp_path):
    pixels = values(1)[0]
    for name, elements, spacing, words in (
        ("none", {}, (1, 1), "say no pixel spacing; 1 mm was assumed"),
        ("spacing", {"PixelSpacing": [0.2, 0.3]}, (0.3, 0.2), ""),
        ("detector", {"ImagerPixelSpacing": [0.2, 0.3]}, (0.3, 0.2), "is that at the detector"),
        ("both", {"ImagerPixelSpacing": [1, 1], "PixelSpacing": [0.2, 0.3]}, (0.3, 0.2), ""),
        ("zero", {"PixelSpacing": [0, 0]}, (1, 1), "say no pixel spacing"),
    ):
        volume = read_volume(write(picture(pixels, Modality="DX", **elements), tmp_path / name))
        assert np.array_equal(volume.geometry.affine, np.diag([*spacing, 1, 1])), name
        assert words in "".join(volume.source.notes)
        assert bool(words) == bool(volume.source.notes)


def test_directions_that_are_none_are_told_with_the_file(tmp_path):
    write_series(tmp_path, values(1), orientation=(1, 0, 0, 1, 0, 0), step=(0, 0, 1))

    with pytest.raises(GeometryError, match="IM000: the affine is singular"):
        read_volume(tmp_path)
