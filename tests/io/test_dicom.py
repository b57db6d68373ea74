import sys
import zipfile
from pathlib import Path

import highdicom
import nibabel
import numpy as np
import pytest
from pydicom.data import get_testdata_files

from medsam2.errors import FormatError, InputError, MedSAM2Error, MissingDependencyError
from medsam2.io import (
    DicomSeries,
    check_output,
    dicom_files,
    dicom_geometry,
    list_series,
    read_label_map,
    read_volume,
    write_segmentation,
)
from medsam2.spatial import Segmentation
from reference.dicom_writing import (
    AXIAL,
    CORONAL,
    OBLIQUE,
    SAGITTAL,
    enhanced,
    item,
    normal,
    picture,
    uid,
    write,
    write_series,
)

VALUES = np.random.default_rng(0).integers(-900, 900, (5, 6, 4)).astype(np.int16)
LOCALISER = "ORIGINAL\\PRIMARY\\LOCALIZER"
BUNDLED = sorted({Path(file) for file in get_testdata_files() if Path(file).is_file()})


@pytest.fixture
def study(tmp_path):
    """A localiser, a volume and an object that is no image."""
    write_series(tmp_path / "study" / "1", VALUES[:2], CORONAL, series=1, ImageType=LOCALISER)
    write_series(tmp_path / "study" / "2", VALUES, series=2)
    other = {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.88.11", "SeriesInstanceUID": uid(2, 9), "Modality": "SR"}
    report = picture(VALUES[0], SOPInstanceUID=uid(8), Rows=None, Columns=None, **other)
    del report.PixelData
    write(report, tmp_path / "study" / "3" / "IM000")
    return tmp_path / "study"


def test_what_is_kept_of_a_series_names_each_slice(tmp_path):
    paths = write_series(tmp_path, VALUES, step=(0, 0, -2))
    source = read_volume(tmp_path).source

    assert (source.path, source.format, source.notes) == (tmp_path, "dicom", ())
    assert isinstance(source.header, DicomSeries)
    assert source.header.modality == "CT"
    assert (source.header.study_uid, source.header.series_uid) == (uid(1), uid(2, 2))
    assert source.header.frame_of_reference_uid == uid(3)
    assert source.header.files == tuple(reversed(paths))
    assert [tuple(one) for one in source.header.instances] == [(paths[k], None, uid(9, 2, k)) for k in (4, 3, 2, 1, 0)]


@pytest.mark.parametrize("orientation", [AXIAL, SAGITTAL, CORONAL, OBLIQUE])
def test_an_enhanced_image_lies_where_highdicom_puts_it(tmp_path, orientation):
    places = [3, 1, 4, 0, 2]
    dataset = enhanced(VALUES[places], "MR", orientation, places=places, FrameOfReferenceUID=uid(3))
    volume = read_volume(write(dataset, tmp_path / "a"))
    instances = volume.source.header.instances
    reference = highdicom.imread(tmp_path / "a").get_volume_geometry()

    assert np.array_equal(volume.array, VALUES)
    assert [one.frame for one in instances] == [places.index(k) + 1 for k in range(5)]
    assert volume.source.header.files == (tmp_path / "a",)
    # highdicom counts (slice, row, column) and may sort slices against the normal.
    columns = reference.affine[:3, [2, 1, 0]]
    forward = columns[:, 2] @ normal(orientation) > 0
    origin = reference.affine[:3, 3] + (0 if forward else 4) * columns[:, 2]
    expected = np.column_stack([columns[:, :2], columns[:, 2] * (1 if forward else -1), origin])
    np.testing.assert_allclose(volume.geometry.affine[:3], expected, rtol=0, atol=1e-9)


def test_a_series_lies_where_highdicom_puts_it(tmp_path):
    paths = write_series(tmp_path, VALUES, OBLIQUE)
    reference = highdicom.get_volume_from_series([highdicom.imread(path) for path in paths])
    volume = read_volume(tmp_path)
    corner = volume.geometry.index_to_lps([[3, 5, 4]])[0]

    assert np.array_equal(np.sort(reference.array, axis=0), np.sort(volume.array, axis=0))
    indices = reference.map_reference_to_indices(corner[None])[0]
    slice_index = 4 if np.array_equal(reference.array[4], volume.array[4]) else 0
    np.testing.assert_allclose(indices, (slice_index, 5, 3), atol=1e-6)


def test_a_study_gives_its_only_volume(study):
    volume = read_volume(study)

    assert np.array_equal(volume.array, VALUES)
    (note,) = volume.source.notes
    assert "Left out: series 1: CT, 2 coronal slices of 4 x 6, localiser" in note


def test_the_series_of_a_study_are_listed(study):
    first, second = list_series(study)

    assert (first.number, first.is_localiser, first.slice_count, first.uid) == (1, True, 2, uid(2, 1))
    assert (second.number, second.is_localiser, second.slice_count) == (2, False, 5)
    assert second.describe() == f"series 2: CT, 5 axial slices of 4 x 6 ({uid(2, 2)})"
    assert list_series(str(study)) == (first, second)


def test_a_series_can_be_chosen(study):
    write_series(study / "4", VALUES[:3] + 1, series=44)

    with pytest.raises(
        FormatError, match=r"2 series to choose from; choose one by its number .*series 44: CT, 3 axial slices"
    ):
        read_volume(study)
    for wanted in ("44", uid(2, 44), uid(2, 4)):
        assert np.array_equal(read_volume(study, series=wanted).array, VALUES[:3] + 1)
    assert np.array_equal(read_volume(study, series="1").array, VALUES[:2])
    with pytest.raises(InputError, match="no series with the number or UID"):
        read_volume(study, series="7")


def test_two_patients_are_never_one_series(tmp_path):
    write_series(tmp_path, VALUES, PatientID=["SECRET-1", "SECRET-1", "SECRET-2", "SECRET-1", "SECRET-1"])

    with pytest.raises(FormatError, match="mixes 2 patients: IM000 and IM002 are of different ones") as error:
        read_volume(tmp_path)
    assert "SECRET" not in str(error.value)


@pytest.mark.parametrize(
    ("sop_class", "kind"),
    [
        ("1.2.840.10008.5.1.4.1.1.66.4", "Segmentation"),
        ("1.2.840.10008.5.1.4.1.1.481.3", "RT Structure Set"),
        ("1.2.840.10008.1.3.10", "Media Storage Directory"),
        ("1.2.840.10008.5.1.4.1.1.481.2", "RT Dose"),
    ],
)
@pytest.mark.parametrize("as_folder", [True, False])
def test_results_and_directories_are_no_scans(tmp_path, sop_class, kind, as_folder):
    pixels = kind in ("Segmentation", "RT Dose")
    dataset = picture(VALUES[0], SOPClassUID=sop_class, **({} if pixels else {"Rows": None}))
    path = write(dataset, tmp_path / "DICOMDIR")

    with pytest.raises(FormatError, match=rf"no scan among the DICOM files, only: {kind} \(1\)"):
        read_volume(tmp_path if as_folder else path)


def test_a_damaged_slice_is_never_passed_over(tmp_path):
    paths = write_series(tmp_path, VALUES)
    paths[4].write_bytes(paths[4].read_bytes()[:400])

    with pytest.raises(FormatError, match=r"^IM004 is a CT Image without pixels; it may be damaged"):
        read_volume(tmp_path)


def test_one_slice_reminds_of_its_series(tmp_path):
    path = write_series(tmp_path, VALUES)[2]
    volume = read_volume(path)

    assert np.array_equal(volume.array, VALUES[2:3])
    assert volume.source.notes == ("One slice was read; give its folder to read the whole series.",)


def test_other_formats_have_no_series(tmp_path):
    nibabel.Nifti1Image(VALUES, np.eye(4)).to_filename(tmp_path / "scan.nii")

    with pytest.raises(InputError, match=r'scan\.nii is no DICOM and has no series "3"'):
        read_volume(tmp_path / "scan.nii", series="3")
    with pytest.raises(FormatError, match=r"scan\.nii is no DICOM"):
        list_series(tmp_path / "scan.nii")


@pytest.mark.parametrize("tilted", [False, True])
def test_a_label_map_lies_on_its_series(tmp_path, tilted):
    write_series(tmp_path / "series", VALUES, OBLIQUE, step=(0.4, 0, 2.5) if tilted else None)
    volume = read_volume(tmp_path / "series")
    check_output(volume, tmp_path / "labels.nii.gz")
    labels = (VALUES > 0).astype(np.uint8)
    write_segmentation(Segmentation(labels, volume.geometry, source=volume.source), tmp_path / "labels.nii.gz")
    read = read_label_map(tmp_path / "labels.nii.gz")

    assert np.array_equal(read.labels, labels)
    assert read.geometry.same_grid(volume.geometry)


def test_a_slice_of_the_input_is_never_overwritten(tmp_path):
    write_series(tmp_path, VALUES)
    volume = read_volume(tmp_path)
    (tmp_path / "labels.nii").symlink_to(tmp_path / "IM002")

    with pytest.raises(FormatError, match="is the input itself"):
        check_output(volume, tmp_path / "labels.nii")


def read_or_refused(path, **options):
    """The volume, or what was said instead; any other error is a crash."""
    try:
        return read_volume(path, **options), ""
    except MedSAM2Error as error:
        return None, str(error)


@pytest.mark.parametrize("path", BUNDLED, ids=lambda path: path.name)
def test_each_of_pydicoms_files_is_read_or_refused_in_words(path, recwarn):
    volume, said = read_or_refused(path)

    assert "\n" not in said
    assert volume is None or np.isfinite(volume.geometry.affine).all()
    assert not recwarn.list


def test_pydicoms_study_is_read_series_by_series():
    folder = next(parent for path in BUNDLED for parent in path.parents if parent.name == "98892003")
    for series in list_series(folder):
        volume, said = read_or_refused(folder, volume_index=0, series=series.uid)
        assert "spaced" in said or volume.array.shape[1:] == (16, 16)


def test_nothing_of_the_patient_is_told(tmp_path, caplog, capfd):
    folder = tmp_path / "SECRET^NAME" / "19010203"
    write_series(folder / "a", VALUES, series=1)
    write_series(folder / "b", VALUES, series=2, places=[0, 1, 2, 4, 5])
    write_series(folder / "c", VALUES, series=3, places=[0, 0, 1, 1, 2])
    broken = write(picture(VALUES[0]), folder / "d" / "IM")
    broken.write_bytes(broken.read_bytes()[:-10])
    with zipfile.ZipFile(folder / "e.zip", "w") as archive:
        archive.writestr("SECRET^NAME/notes.txt", "Dear reader")
    said = []
    for path, options in (
        (folder / "b", {}),
        (folder / "c", {}),
        (folder / "d", {}),
        (folder / "e.zip", {}),
        (folder / "a" / ".." / "b" / "IM000", {"series": "8"}),
        (folder / "a", {"volume_index": 3}),
        (folder / "a", {"series": "9"}),
    ):
        with pytest.raises(MedSAM2Error) as error:
            read_volume(path, **options)
        said.append(str(error.value))
    said += [str(note) for note in read_volume(folder / "a" / "IM000").source.notes]
    said += [one.describe() for one in list_series(folder / "a")]
    said += [repr(read_volume(folder / "a").source.header.instances[0].uid), caplog.text, *capfd.readouterr()]

    for secret in ("SECRET", "1901", "2001", "0405"):
        assert not [text for text in said if secret in text]


def test_without_its_packages_dicom_is_refused_in_words(tmp_path, monkeypatch):
    write_series(tmp_path, VALUES)
    for name in [one for one in sys.modules if one.startswith("medsam2.io.dicom") and "series" not in one]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delattr(sys.modules["medsam2.io"], "dicom", raising=False)
    monkeypatch.setitem(sys.modules, "pydicom", None)

    with pytest.raises(MissingDependencyError, match=r'reading DICOM needs .*pip install "medsam2\[dicom\]"'):
        read_volume(tmp_path)


def test_a_cine_file_refers_to_its_frames(tmp_path):
    frames = np.zeros((3, 6, 4, 3), np.uint8)
    header = read_volume(write(picture(frames, Modality="US"), tmp_path / "cine.dcm")).source.header

    assert [one.frame for one in header.instances] == [1, 2, 3]
    assert header.modality == "US"


def test_an_enhanced_ct_has_its_own_numbers(tmp_path):
    scale = [{"PixelValueTransformationSequence": item(RescaleSlope=1, RescaleIntercept=-1024)}] * 5
    array = read_volume(
        write(enhanced((VALUES + 1024).astype(np.uint16), frames=scale, BitsStored=12), tmp_path / "a")
    ).array

    assert array.dtype == np.int16
    assert np.array_equal(array, VALUES)


def test_the_page_tells_the_limits():
    page = (Path(__file__).parents[2] / "docs" / "dicom.md").read_text(encoding="utf-8")

    assert f"more than {dicom_files.LARGEST_UNPACKED_BYTES // 2**30} GiB or {dicom_files.MOST_MEMBERS} files" in page
    assert f"within {dicom_geometry.EXACT_SHARE:.0%}".replace("%", " %") in page
    assert f"Up to {dicom_geometry.TOLERATED_SHARE:.0%}".replace("%", " %") in page
