import warnings

import numpy as np
import pydicom
import pytest
from pydicom import Dataset

from medsam2.errors import FormatError
from medsam2.io import read_volume
from medsam2.io.dicom_header import floats, frames_of, quiet, read_header, whole
from reference.dicom_writing import AXIAL, enhanced, item, picture, write

PIXELS = np.zeros((3, 6, 4), np.int16)


def test_nothing_of_the_patient_is_read_but_what_tells_two_apart(tmp_path):
    header, kind = read_header(write(picture(PIXELS[0]), tmp_path / "a"))

    assert kind == "CT Image"
    assert "PatientName" not in header
    assert not any(name in header for name in ("PatientBirthDate", "StudyDate", "StudyTime", "PixelData"))


def test_a_frame_of_an_enhanced_image_reads_like_a_file_of_its_own(tmp_path):
    frames = [
        {
            "PixelValueTransformationSequence": item(RescaleSlope=slope, RescaleIntercept=-1024),
            "MRDiffusionSequence": item(
                DiffusionBValue=800,
                DiffusionGradientDirectionSequence=item(DiffusionGradientOrientation=[0, 0, 1]),
            ),
        }
        for slope in (1, 2, 3)
    ]
    path = write(enhanced(PIXELS, frames=frames), tmp_path / "a")
    found = list(frames_of(path, read_header(path)[0]))

    assert [number for number, _ in found] == [1, 2, 3]
    assert [elements.RescaleSlope for _, elements in found] == [1, 2, 3]
    assert all(list(elements.ImageOrientationPatient) == list(AXIAL) for _, elements in found)
    assert all(list(elements.DiffusionGradientOrientation) == [0, 0, 1] for _, elements in found)
    assert [float(elements.ImagePositionPatient[2]) for _, elements in found] == [30.125, 32.625, 35.125]


def test_frames_that_are_not_described_are_told(tmp_path):
    dataset = enhanced(PIXELS)
    del dataset.PerFrameFunctionalGroupsSequence[-1]

    with pytest.raises(FormatError, match=r"^a has 3 frames and describes 2; it is damaged"):
        read_volume(write(dataset, tmp_path / "a"))


def test_slides_are_refused(tmp_path):
    with pytest.raises(FormatError, match=r"^a is a tiled whole-slide image"):
        read_volume(write(picture(PIXELS, TotalPixelMatrixRows=60, TotalPixelMatrixColumns=40), tmp_path / "a"))


def test_files_without_a_series_are_refused(tmp_path):
    with pytest.raises(FormatError, match=r"^a names no series or no instance"):
        read_volume(write(picture(PIXELS[0], SeriesInstanceUID=None), tmp_path / "a"))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ImagePositionPatient", ["1", "2"]),
        ("PixelSpacing", "SECRET"),
        ("InstanceNumber", "SECRET"),
        ("ImageOrientationPatient", ["1", "0", "0", "0", "nan", "0"]),
    ],
)
def test_malformed_elements_are_told_without_quoting_them(tmp_path, name, value):
    dataset = picture(PIXELS[0])
    dataset.add_new(pydicom.datadict.tag_for_keyword(name), "LO", value)
    path = write(dataset, tmp_path / "a")

    with pytest.raises(FormatError) as error:
        read_volume(path)
    assert str(error.value) == "a cannot be read as DICOM; it may be damaged or incomplete."


@pytest.mark.parametrize("kept", [133, 200, 300, 340])
def test_truncated_headers_are_refused(tmp_path, kept):
    path = write(picture(PIXELS[0]), tmp_path / "a")
    path.write_bytes(path.read_bytes()[:kept])

    with pytest.raises(FormatError, match=r"^(a |there is no scan)"):
        read_volume(path)


def test_a_file_that_is_gone_is_told_by_its_name(tmp_path):
    with pytest.raises(FormatError, match=r"^gone cannot be read: No such file or directory\.$"):
        read_header(tmp_path / "gone")


def test_numbers_of_elements():
    dataset = Dataset()
    dataset.PixelSpacing = [1, 2]
    dataset.SliceThickness = None
    dataset.InstanceNumber = ""

    assert floats(dataset, "PixelSpacing", 2).tolist() == [1, 2]
    assert floats(dataset, "SliceThickness", 1) is None
    assert floats(dataset, "ImagePositionPatient", 3) is None
    assert whole(dataset, "InstanceNumber") is None
    with pytest.raises(ValueError, match="PixelSpacing"):
        floats(dataset, "PixelSpacing", 3)


def test_the_remarks_of_pydicom_are_not_shown(caplog):
    with quiet():
        warnings.warn("SECRET", stacklevel=1)
        pydicom.config.logger.warning("SECRET")

    assert not caplog.messages


def test_a_damaged_kind_is_not_quoted(tmp_path):
    path = write(picture(PIXELS[0], SOPClassUID="1.2.3.4.5.6.7.8", Rows=None), tmp_path / "a")
    path.write_bytes(path.read_bytes().replace(b"1.2.3.4.5.6.7.8", b"1.2.SECRET^NAME"))
    with pytest.raises(FormatError, match=r"only: of an unknown kind \(1\)"):
        read_volume(path)


def test_a_count_of_frames_that_the_file_cannot_hold_is_refused(tmp_path):
    with pytest.raises(FormatError, match=r"^a announces 2000000000 frames and is too short"):
        read_volume(write(picture(PIXELS[0], NumberOfFrames=2_000_000_000), tmp_path / "a"))
