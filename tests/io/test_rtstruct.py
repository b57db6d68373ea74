"""RTSTRUCT, read back with pydicom and filled by an own rule, and dciodvfy."""

import shutil
import subprocess

import numpy as np
import pydicom
import pytest
from scipy import ndimage

from medsam2.errors import FormatError
from medsam2.io import Algorithm, LabelFormat, check_output, read_volume, write_segmentation
from medsam2.io.segments import PALETTE, segments_of
from medsam2.spatial import Geometry, Segmentation, Volume
from reference.scanned_series import OBLIQUE, multiframe, scan

STACKS = {
    "axial": {},
    "oblique": {"orientation": OBLIQUE},
    "tilted gantry": {"tilt_mm": 1.1},
    "tilted and oblique": {"orientation": OBLIQUE, "tilt_mm": -0.8},
    "sagittal": {"orientation": (0.0, 1.0, 0.0, 0.0, 0.0, -1.0)},
}
SHAPE = (5, 24, 20)
NAMES = {1: "liver", 4: "kidney_left tumour", 9: "Läsion 腎"}


def labels(seed=0):
    """Blobs with holes, islands in the holes and pixels that touch at corners; nothing on the first slice."""
    noise = np.random.default_rng(seed).normal(size=SHAPE)
    smooth = ndimage.gaussian_filter(noise, (0.5, 1, 1))
    array = np.digitize(smooth, np.quantile(smooth, [0.4, 0.6, 0.9]))
    array[0] = 0
    return np.array([0, 1, 4, 9], np.uint8)[array]


def written(tmp_path, name="axial", names=NAMES, array=None):
    source, geometry = scan(tmp_path / "scan", shape=SHAPE, **STACKS[name])
    segmentation = Segmentation(labels() if array is None else array, geometry, names, source)
    notes = write_segmentation(segmentation, tmp_path / "mask.rtstruct.dcm", algorithm=Algorithm("starter"))
    return segmentation, tmp_path / "mask.rtstruct.dcm", notes


def inside(polygon, points):
    """Tell which points (N, 2) have an odd number of edges of a polygon to their right."""
    result = np.zeros(len(points), bool)
    x, y = points.T
    for (x0, y0), (x1, y1) in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
        if y0 != y1:
            result ^= ((y0 > y) != (y1 > y)) & (x < x0 + (y - y0) / (y1 - y0) * (x1 - x0))
    return result


def filled(dataset, segmentation):
    """Fill each contour on the image it refers to, in that image's own plane."""
    images = {one.uid: (k, pydicom.dcmread(one.path)) for k, one in enumerate(segmentation.source.header.instances)}
    rows, columns = np.indices(SHAPE[1:])
    centres = np.column_stack([columns.ravel(), rows.ravel()]).astype(float)
    array = np.zeros(SHAPE, np.uint8)
    for segment, roi in zip(segments_of(segmentation), dataset.ROIContourSequence, strict=True):
        for contour in roi.get("ContourSequence", ()):
            k, image = images[contour.ContourImageSequence[0].ReferencedSOPInstanceUID]
            points = np.array(contour.ContourData, float).reshape(-1, 3) - np.array(image.ImagePositionPatient, float)
            along_row, along_column = np.array(image.ImageOrientationPatient, float).reshape(2, 3)
            assert len(points) == contour.NumberOfContourPoints
            assert np.abs(points @ np.cross(along_row, along_column)).max() < 1e-4
            spacing = np.array(image.PixelSpacing, float)[::-1]
            polygon = points @ np.column_stack([along_row, along_column]) / spacing
            mask = inside(polygon, centres).reshape(SHAPE[1:])
            assert not array[k][mask].any()
            array[k][mask] = segment.label
    return array


@pytest.mark.parametrize("name", STACKS)
def test_filling_the_contours_gives_every_voxel_back(tmp_path, name):
    segmentation, path, notes = written(tmp_path, name)

    assert np.array_equal(filled(pydicom.dcmread(path), segmentation), segmentation.labels)
    assert notes == ()


def verified(path):
    """Ask dciodvfy, if it is there."""
    if shutil.which("dciodvfy") is None:
        pytest.skip("dciodvfy (Debian package dicom3tools) is not installed")
    told = subprocess.run(["dciodvfy", path], capture_output=True, check=False).stderr.decode(errors="replace")
    return "RTStructureSet" in told and "Error" not in told


@pytest.mark.parametrize("name", STACKS)
def test_dciodvfy_finds_no_error(tmp_path, name):
    assert verified(written(tmp_path, name)[1])


def test_every_part_is_a_closed_planar_contour_of_its_own(tmp_path):
    array = np.zeros(SHAPE, np.uint8)
    array[2, 3:12, 3:12] = 1
    array[2, 5:10, 5:10] = 0
    array[2, 7, 7] = array[3, 0, 0] = 1
    _, path, _ = written(tmp_path, array=array, names={})
    (roi,) = pydicom.dcmread(path).ROIContourSequence

    assert [contour.ContourGeometricType for contour in roi.ContourSequence] == ["CLOSED_PLANAR"] * 3
    assert [int(contour.ContourNumber) for contour in roi.ContourSequence] == [1, 2, 3]


def test_a_hole_of_many_corners_makes_a_contour_of_any_length(tmp_path):
    array = np.ones(SHAPE, np.uint8)
    array[:, 1:-1:2, 1:-1:2] = 0
    segmentation, path, _ = written(tmp_path, array=array, names={})
    dataset = pydicom.dcmread(path)

    assert len(dataset.ROIContourSequence[0].ContourSequence) == SHAPE[0]
    assert dataset.file_meta.TransferSyntaxUID == pydicom.uid.ImplicitVRLittleEndian
    assert np.array_equal(filled(dataset, segmentation), array)


def test_rois_say_what_they_are_and_who_drew_them(tmp_path):
    segmentation, path, _ = written(tmp_path)
    dataset = pydicom.dcmread(path)
    liver, tumour, unknown = dataset.StructureSetROISequence

    assert [one.ROIName for one in (liver, tumour, unknown)] == list(NAMES.values())
    assert {one.ReferencedFrameOfReferenceUID for one in (liver, tumour)} == {
        segmentation.source.header.frame_of_reference_uid
    }
    assert (liver.ROIGenerationAlgorithm, liver.ROIGenerationDescription) == (
        "SEMIAUTOMATIC",
        f"medsam2 {Algorithm().version}, model starter",
    )
    first, second, third = dataset.RTROIObservationsSequence
    assert [one.RTROIInterpretedType for one in (first, second, third)] == ["ORGAN", "", ""]
    assert first.RTROIIdentificationCodeSequence[0].CodeMeaning == "Liver"
    modifier = second.RTROIIdentificationCodeSequence[0].SegmentedPropertyTypeModifierCodeSequence[0]
    assert modifier.CodeMeaning == "Left"
    assert "RTROIIdentificationCodeSequence" not in third
    for number, roi in enumerate(dataset.ROIContourSequence):
        assert (roi.ReferencedROINumber, tuple(roi.ROIDisplayColor)) == (number + 1, PALETTE[number])


def test_the_series_and_all_its_images_are_referred_to(tmp_path):
    segmentation, path, _ = written(tmp_path)
    series = segmentation.source.header
    (frame,) = pydicom.dcmread(path).ReferencedFrameOfReferenceSequence
    (study,) = frame.RTReferencedStudySequence
    (referred,) = study.RTReferencedSeriesSequence

    assert frame.FrameOfReferenceUID == series.frame_of_reference_uid
    assert study.ReferencedSOPInstanceUID == series.study_uid
    assert referred.SeriesInstanceUID == series.series_uid
    assert [one.ReferencedSOPInstanceUID for one in referred.ContourImageSequence] == [
        instance.uid for instance in series.instances
    ]


def test_patient_and_study_are_the_sources(tmp_path):
    segmentation, path, _ = written(tmp_path)
    dataset, image = pydicom.dcmread(path), pydicom.dcmread(segmentation.source.header.files[0])

    for keyword in ("PatientID", "PatientBirthDate", "PatientSex", "StudyInstanceUID", "StudyID", "AccessionNumber"):
        assert dataset[keyword].value == image[keyword].value
    assert str(dataset.PatientName) == "Müller^Jürgen"
    assert (dataset.SpecificCharacterSet, dataset.Modality) == ("ISO_IR 192", "RTSTRUCT")


def test_an_object_without_a_voxel_is_an_roi_without_a_contour(tmp_path):
    segmentation, path, _ = written(tmp_path, names={**NAMES, 5: "spleen"})
    dataset = pydicom.dcmread(path)

    assert dataset.StructureSetROISequence[2].ROIName == "spleen"
    assert "ContourSequence" not in dataset.ROIContourSequence[2]
    assert np.array_equal(filled(dataset, segmentation), segmentation.labels)


def test_a_long_name_is_cut_and_told(tmp_path):
    _, path, notes = written(tmp_path, names={1: "x" * 70})

    assert pydicom.dcmread(path).StructureSetROISequence[0].ROIName == "x" * 64
    assert len(notes) == 1


def test_the_readers_volume_can_be_segmented_with_the_format_chosen(tmp_path):
    scan(tmp_path / "scan", shape=SHAPE, orientation=OBLIQUE, tilt_mm=0.5)
    volume = read_volume(tmp_path / "scan")
    check_output(volume, tmp_path / "mask.dcm", LabelFormat.RTSTRUCT)
    segmentation = Segmentation(labels(), volume.geometry, NAMES, volume.source)
    write_segmentation(segmentation, tmp_path / "mask.dcm", LabelFormat.RTSTRUCT)

    assert np.array_equal(filled(pydicom.dcmread(tmp_path / "mask.dcm"), segmentation), segmentation.labels)


def test_a_multiframe_source_is_referred_to_by_frame(tmp_path):
    single, geometry = scan(tmp_path / "scan", shape=SHAPE, orientation=OBLIQUE)
    source, frames = multiframe(tmp_path / "enhanced.dcm", single)
    segmentation = Segmentation(labels(), geometry, NAMES, source)
    write_segmentation(segmentation, tmp_path / "mask.rtstruct.dcm")
    dataset = pydicom.dcmread(tmp_path / "mask.rtstruct.dcm")

    for contour in dataset.ROIContourSequence[0].ContourSequence:
        slices = geometry.lps_to_index(np.reshape(contour.ContourData, (-1, 3)).astype(float))[:, 2]
        assert np.abs(slices - slices[0].round()).max() < 1e-3
        assert contour.ContourImageSequence[0].ReferencedFrameNumber == frames[int(slices[0].round())]
    assert verified(tmp_path / "mask.rtstruct.dcm")


def test_a_series_of_no_place_is_refused(tmp_path):
    def nowhere(dataset, k):
        del dataset.ImagePositionPatient

    source, geometry = scan(tmp_path / "scan", shape=SHAPE, change=nowhere)
    with pytest.raises(FormatError, match=r"mask\.rtstruct\.dcm cannot be written: the series does not say where it"):
        write_segmentation(Segmentation(labels(), geometry, source=source), tmp_path / "mask.rtstruct.dcm")
    assert [file.name for file in tmp_path.iterdir()] == ["scan"]


def test_another_scan_than_dicom_is_refused_in_words(tmp_path):
    volume = Volume(np.zeros((2, 3, 4), np.int16), Geometry((2, 3, 4), np.eye(4)))
    with pytest.raises(FormatError, match=r"mask\.rtstruct\.dcm is to be RTSTRUCT, which .* has no source file"):
        check_output(volume, tmp_path / "mask.rtstruct.dcm")


def test_a_failure_leaves_the_old_file(tmp_path):
    segmentation, path, _ = written(tmp_path)
    before = path.read_bytes()
    segmentation.source.header.files[-1].unlink()
    with pytest.raises(FormatError, match=r"file 5 of the series cannot be read again"):
        write_segmentation(segmentation, path)

    assert path.read_bytes() == before
    assert sorted(file.name for file in tmp_path.iterdir()) == ["mask.rtstruct.dcm", "scan"]
