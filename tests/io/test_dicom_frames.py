import numpy as np
import pytest

from medsam2.io.dicom_frames import read_frames
from reference.dicom_writing import enhanced, item, picture, uid, write, write_series

PIXELS = np.zeros((3, 6, 4), np.int16)


def one_frame(folder, **elements):
    (frame,), _ = read_frames(write(picture(PIXELS[0], **elements), folder / "a"))
    return frame


def test_a_slice_says_what_it_is(tmp_path):
    path = write_series(tmp_path, PIXELS, Modality="MR", EchoTime=4.6, ImageType="ORIGINAL\\PRIMARY")[1]
    (frame,), kind = read_frames(path)

    assert kind == "MR Image"
    assert (frame.path, frame.number, frame.name) == (path, None, "IM001")
    assert (frame.uid, frame.series_uid, frame.study_uid) == (uid(9, 2, 1), uid(2, 2), uid(1))
    assert (frame.series_number, frame.instance_number, frame.frame_of_reference_uid) == (2, 2, uid(3))
    assert (frame.layout.rows, frame.layout.columns, frame.layout.bits, frame.layout.signed) == (6, 4, 16, True)
    assert frame.position.tolist() == [-100.25, 50.5, 32.625]
    assert frame.pixel_spacing == (0.75, 0.5)
    assert frame.slice_spacing == 2.5
    assert frame.tags["EchoTime"] == "4.6"
    assert frame.tags["ImageType"] == r"ORIGINAL\PRIMARY"


def test_frames_are_told_by_their_number(tmp_path):
    frames, _ = read_frames(write(enhanced(PIXELS), tmp_path / "a"))

    assert [frame.name for frame in frames] == ["a, frame 1", "a, frame 2", "a, frame 3"]


def test_patients_are_told_apart_and_not_told(tmp_path):
    frames = [one_frame(tmp_path, PatientID=name) for name in ("SECRET-ID", "SECRET-ID", "OTHER", None)]

    assert frames[0].patient == frames[1].patient
    assert len({frame.patient for frame in frames}) == 3
    assert "SECRET" not in repr(frames[0])
    assert "SECRET" not in frames[0].patient


def test_half_a_place_is_none(tmp_path):
    frame = one_frame(tmp_path, ImagePositionPatient=[0, 0, 0])

    assert frame.position is None


@pytest.mark.parametrize(
    ("elements", "spacing"),
    [({"SpacingBetweenSlices": -3, "SliceThickness": 2}, 3), ({"SliceThickness": 2}, 2), ({"SliceThickness": 0}, None)],
)
def test_slices_are_spaced_as_they_say(tmp_path, elements, spacing):
    assert one_frame(tmp_path, **elements).slice_spacing == spacing


def region(columns, rows, units=3, kind=1):
    return item(
        RegionSpatialFormat=kind,
        PhysicalUnitsXDirection=units,
        PhysicalUnitsYDirection=units,
        PhysicalDeltaX=columns,
        PhysicalDeltaY=rows,
    )


@pytest.mark.parametrize(
    ("regions", "spacing"),
    [
        (region(0.02, 0.03), (0.3, 0.2)),
        (region(0.02, -0.03), (0.3, 0.2)),
        (region(0.02, 0.03) + region(0.02, 0.03), (0.3, 0.2)),
        (region(0.02, 0.03) + region(9, 9, units=4), (0.3, 0.2)),  # a Doppler strip, in seconds
        (region(0.02, 0.03) + region(0.01, 0.01), None),
        (region(0.02, 0.03, kind=3), None),
        (region(0, 0), None),
    ],
)
def test_ultrasound_is_calibrated_by_its_regions(tmp_path, regions, spacing):
    found = one_frame(tmp_path, Modality="US", SequenceOfUltrasoundRegions=regions).pixel_spacing

    assert found == (None if spacing is None else pytest.approx(spacing))


def test_padding_may_be_a_range(tmp_path):
    assert one_frame(tmp_path).layout.padding is None
    assert one_frame(tmp_path, PixelPaddingValue=-2000).layout.padding == (-2000, -2000)
    assert one_frame(tmp_path, PixelPaddingValue=-2000, PixelPaddingRangeLimit=-3000).layout.padding == (-3000, -2000)
