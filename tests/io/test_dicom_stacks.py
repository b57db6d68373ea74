import numpy as np
import pytest

from medsam2.errors import FormatError, InputError
from medsam2.io import read_volume
from medsam2.io.dicom_frames import read_frames
from medsam2.io.dicom_stacks import divide, without_duplicates
from reference.dicom_writing import AXIAL, CORONAL, SAGITTAL, enhanced, item, picture, uid, write, write_series

VALUES = np.random.default_rng(0).integers(0, 900, (12, 6, 4)).astype(np.int16)
TWICE = [0, 1, 2, 3, 4, 5, 0, 1, 2, 3, 4, 5]


def stacks_of(paths):
    return divide([frame for path in paths for frame in read_frames(path)[0]])


@pytest.mark.parametrize(
    ("name", "first", "second"),
    [
        ("EchoTime", 4.6, 9.2),
        ("EchoNumbers", 1, 2),
        ("TemporalPositionIdentifier", 1, 2),
        ("DiffusionBValue", 0, 800),
        ("ImageType", "ORIGINAL\\PRIMARY\\M", "ORIGINAL\\PRIMARY\\P"),
        ("AcquisitionNumber", 1, 2),
        ("TriggerTime", 10, 300),
        ("DiffusionGradientOrientation", (1, 0, 0), (0, 1, 0)),
    ],
)
def test_what_differs_is_never_mixed(tmp_path, name, first, second):
    marks = [first if number % 2 else second for number in range(12)]
    marks = [list(mark) if isinstance(mark, tuple) else mark for mark in marks]
    places = [number // 2 for number in range(12)]
    write_series(tmp_path, VALUES, Modality="MR", places=places, **{name: marks})

    with pytest.raises(FormatError) as error:
        read_volume(tmp_path)
    assert "the series holds 2 volumes; expected one. Choose one (volume_index in Python): 0: 6 axial" in str(
        error.value
    )
    assert f"0: 6 axial slices of 4 x 6, {name} " in str(error.value)
    assert np.array_equal(read_volume(tmp_path, 0).array, VALUES[0::2])
    assert np.array_equal(read_volume(tmp_path, 1).array, VALUES[1::2])
    for index in (-1, 2):
        with pytest.raises(
            InputError, match=f"volume index {index} is not in the series; expected one of 0: 6 axial slices"
        ):
            read_volume(tmp_path, index)


def test_the_time_of_day_divides_and_is_not_told(tmp_path):
    times = ["101112"] * 6 + ["131415"] * 6
    write_series(tmp_path, VALUES, places=TWICE, AcquisitionTime=times)

    with pytest.raises(FormatError) as error:
        read_volume(tmp_path)
    assert (
        "0: 6 axial slices of 4 x 6, AcquisitionTime number 1; 1: 6 axial slices of 4 x 6, AcquisitionTime number 2"
        in str(error.value)
    )
    assert "1011" not in str(error.value)
    assert np.array_equal(read_volume(tmp_path, 1).array, VALUES[6:])


def test_slices_that_nothing_tells_apart_are_refused(tmp_path):
    write_series(tmp_path, VALUES, places=TWICE)

    with pytest.raises(FormatError, match="IM000 and IM006 lie at the same place"):
        read_volume(tmp_path)


def test_a_table_that_moves_on_makes_one_volume(tmp_path):
    numbers = [1 + number // 4 for number in range(12)]
    write_series(tmp_path, VALUES, AcquisitionNumber=numbers, AcquisitionTime=[f"1011{n:02d}" for n in range(12)])

    assert np.array_equal(read_volume(tmp_path).array, VALUES)


def test_a_gap_is_a_gap_however_the_table_moved(tmp_path):
    numbers = [1 + number // 4 for number in range(12)]
    write_series(tmp_path, VALUES, AcquisitionNumber=numbers, places=[*range(8), *range(9, 13)])

    with pytest.raises(FormatError, match="not evenly spaced"):
        read_volume(tmp_path)


def test_two_ranges_that_overlap_are_two_volumes(tmp_path):
    numbers = [1] * 6 + [2] * 6
    write_series(tmp_path, VALUES, AcquisitionNumber=numbers, places=[0, 1, 2, 3, 4, 5, 4.3, 5.3, 6.3, 7.3, 8.3, 9.3])

    with pytest.raises(
        FormatError, match=r"2 volumes.*AcquisitionNumber 1; 1: 6 axial slices of 4 x 6, AcquisitionNumber 2"
    ):
        read_volume(tmp_path)


def test_other_orientations_and_sizes_are_other_volumes(tmp_path):
    paths = write_series(tmp_path / "a", VALUES[:5], AXIAL, series=4)
    paths += write_series(tmp_path / "b", VALUES[:4], CORONAL, series=4)
    paths += write_series(tmp_path / "c", VALUES[:3], SAGITTAL, series=4)
    paths += write_series(tmp_path / "d", VALUES[:2, :5], AXIAL, series=4)

    assert sorted(len(stack.frames) for stack in stacks_of(paths)) == [2, 3, 4, 5]
    with pytest.raises(FormatError, match=r"4 volumes; expected one\. .*slices of 4 x 5"):
        read_volume(tmp_path)


def test_cosines_that_were_rounded_are_one_orientation(tmp_path):
    cosines = [[1, 0, 0, 0, 1, jitter] for jitter in (0, 1e-5, -1e-5, 0)]
    write_series(tmp_path, VALUES[:4], ImageOrientationPatient=cosines)

    assert np.array_equal(read_volume(tmp_path).array, VALUES[:4])


@pytest.mark.parametrize("how", ["orientation", "image type"])
def test_a_localiser_in_the_series_is_left_out_and_told(tmp_path, how):
    write_series(tmp_path / "a", VALUES[:5], series=4, ImageType="ORIGINAL\\PRIMARY\\AXIAL")
    plane = "coronal" if how == "orientation" else "axial"
    where = {"orientation": CORONAL} if how == "orientation" else {}
    write_series(tmp_path / "b", VALUES[:1], series=4, ImageType="ORIGINAL\\PRIMARY\\LOCALIZER", **where)
    volume = read_volume(tmp_path)

    assert np.array_equal(volume.array, VALUES[:5])
    assert volume.source.notes == (
        f"Left out of the series: 1 {plane} slice of 4 x 6, localiser, ImageType ORIGINAL\\PRIMARY\\LOCALIZER.",
    )
    assert {len(read_volume(tmp_path, index).array) for index in (0, 1)} == {1, 5}


def test_a_localiser_alone_is_read(tmp_path):
    write_series(tmp_path, VALUES[:1], ImageType="ORIGINAL\\PRIMARY\\LOCALIZER")

    assert np.array_equal(read_volume(tmp_path).array, VALUES[:1])


def test_files_that_are_there_twice_are_read_once(tmp_path):
    write_series(tmp_path / "a", VALUES)
    write_series(tmp_path / "b", VALUES[:2])
    volume = read_volume(tmp_path)

    assert np.array_equal(volume.array, VALUES)
    assert volume.source.notes == ("2 slices are there twice and read once.",)
    assert len(volume.source.header.files) == 12


def test_an_instance_at_two_places_is_no_duplicate(tmp_path):
    paths = write_series(tmp_path, VALUES[:3], SOPInstanceUID="1.2.3")
    frames = [frame for path in paths for frame in read_frames(path)[0]]

    assert without_duplicates(frames) == (frames, [])


def test_files_without_a_place_are_pictures_of_their_own(tmp_path):
    for number in range(3):
        elements = {"Modality": "DX", "InstanceNumber": 3 - number, "SOPInstanceUID": uid(9, number)}
        write(picture(VALUES[number], **elements), tmp_path / f"IM{number}")

    with pytest.raises(FormatError, match="holds 3 volumes") as error:
        read_volume(tmp_path)
    assert "0: 1 slice of 4 x 6; 1: " in str(error.value)
    assert np.array_equal(read_volume(tmp_path, 0).array[0], VALUES[2])


def test_frames_of_an_enhanced_image_are_divided_the_same_way(tmp_path):
    frames = [
        {
            "MREchoSequence": item(EffectiveEchoTime=4.6 if number % 2 else 9.2),
            "FrameContentSequence": item(StackID="1", TemporalPositionIndex=1),
        }
        for number in range(12)
    ]
    path = write(enhanced(VALUES, "MR", frames=frames, places=[n // 2 for n in range(12)]), tmp_path / "a")

    with pytest.raises(FormatError, match=r"2 volumes.*0: 6 axial slices of 4 x 6, EffectiveEchoTime 9\.2; 1: "):
        read_volume(path)
    volume = read_volume(path, 1)
    assert np.array_equal(volume.array, VALUES[1::2])
    assert [one.frame for one in volume.source.header.instances] == [2, 4, 6, 8, 10, 12]


def test_stacks_of_an_enhanced_image_are_volumes(tmp_path):
    frames = [{"FrameContentSequence": item(StackID="1" if number < 6 else "2")} for number in range(12)]
    path = write(enhanced(VALUES, "MR", frames=frames, places=[*range(6), *range(20, 26)]), tmp_path / "a")

    assert [stack.marks for stack in stacks_of([path])] == [("StackID 1",), ("StackID 2",)]
