"""SEG, read back with pydicom alone, highdicom, SimpleITK, dciodvfy and dcmqi."""

import logging
import shutil
import subprocess
import sys
import warnings
from dataclasses import replace

import highdicom
import numpy as np
import pydicom
import pytest
import SimpleITK

from medsam2.errors import FormatError, MissingDependencyError
from medsam2.io import Algorithm, check_output, read_volume, write_segmentation
from medsam2.io.segments import PALETTE, segments_of
from medsam2.spatial import Geometry, Segmentation, SourceFile, Volume
from reference.scanned_series import OBLIQUE, multiframe, scan

STACKS = {
    "axial": {},
    "oblique": {"orientation": OBLIQUE},
    "tilted gantry": {"tilt_mm": 1.1},
    "tilted and oblique": {"orientation": OBLIQUE, "tilt_mm": -0.8},
    "coronal": {"orientation": (1.0, 0.0, 0.0, 0.0, 0.0, -1.0)},
}
NAMES = {1: "liver", 4: "kidney_left tumour", 9: "Läsion 腎"}


def labels(shape, seed=0):
    """Some of 1, 4 and 9 everywhere but on the first slice, and 4 on two slices only."""
    array = np.random.default_rng(seed).choice(np.array([0, 1, 4, 9], np.uint8), shape)
    array[0] = 0
    array[3:][array[3:] == 4] = 0
    return array


def written(tmp_path, name="axial", names=NAMES, **changes):
    source, geometry = scan(tmp_path / "scan", **STACKS[name], **changes)
    segmentation = Segmentation(labels(geometry.shape), geometry, names, source)
    notes = write_segmentation(segmentation, tmp_path / "mask.dcm", algorithm=Algorithm("starter"))
    return segmentation, tmp_path / "mask.dcm", notes


def overlay(dataset, segmentation):
    """Lay each frame on the image that it refers to, by the bits of the pixel data."""
    height, width = dataset.Rows, dataset.Columns
    bits = np.unpackbits(np.frombuffer(dataset.PixelData, np.uint8), bitorder="little")
    frames = bits[: dataset.NumberOfFrames * height * width].reshape(-1, height, width)
    place = {instance.uid: k for k, instance in enumerate(segmentation.source.header.instances)}
    label = {segment.number: segment.label for segment in segments_of(segmentation)}
    array = np.zeros(segmentation.labels.shape, np.uint8)
    for frame, groups in zip(frames, dataset.PerFrameFunctionalGroupsSequence, strict=True):
        number = groups.SegmentIdentificationSequence[0].ReferencedSegmentNumber
        image = groups.DerivationImageSequence[0].SourceImageSequence[0]
        array[place[image.ReferencedSOPInstanceUID]][frame == 1] = label[number]
    return array


@pytest.mark.parametrize("name", STACKS)
def test_each_frame_is_the_mask_of_the_image_it_refers_to(tmp_path, name):
    segmentation, path, notes = written(tmp_path, name)

    assert np.array_equal(overlay(pydicom.dcmread(path), segmentation), segmentation.labels)
    assert notes == ()


@pytest.mark.parametrize("name", STACKS)
def test_each_frame_lies_where_its_image_lies(tmp_path, name):
    segmentation, path, _ = written(tmp_path, name)
    dataset = pydicom.dcmread(path)
    images = {one.uid: pydicom.dcmread(one.path) for one in segmentation.source.header.instances}
    (shared,) = dataset.SharedFunctionalGroupsSequence

    assert dataset.NumberOfFrames == 4 + 2 + 4
    for groups in dataset.PerFrameFunctionalGroupsSequence:
        image = images[groups.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID]
        assert groups.PlanePositionSequence[0].ImagePositionPatient == image.ImagePositionPatient
        assert shared.PlaneOrientationSequence[0].ImageOrientationPatient == image.ImageOrientationPatient
        assert shared.PixelMeasuresSequence[0].PixelSpacing == image.PixelSpacing
        assert dataset.FrameOfReferenceUID == image.FrameOfReferenceUID


@pytest.mark.parametrize("name", ["axial", "oblique", "tilted gantry"])
def test_highdicom_gives_the_masks_back_by_source(tmp_path, name):
    segmentation, path, _ = written(tmp_path, name)
    read = highdicom.seg.segread(path)
    uids = [instance.uid for instance in segmentation.source.header.instances]
    stacked = read.get_pixels_by_source_instance(uids, assert_missing_frames_are_empty=True)

    for number, label in enumerate(NAMES):
        assert np.array_equal(stacked[..., number] == 1, segmentation.mask(label))


@pytest.mark.parametrize("name", ["axial", "oblique", "coronal"])
def test_highdicom_gives_a_volume_with_the_scans_geometry(tmp_path, name):
    segmentation, path, _ = written(tmp_path, name)
    volume = highdicom.seg.segread(path).get_volume(combine_segments=True, allow_missing_positions=True)
    indices = np.argwhere(volume.array)
    where = (volume.affine @ np.column_stack([indices, np.ones(len(indices))]).T)[:3].T
    index = segmentation.geometry.lps_to_index(where)

    assert np.abs(index - index.round()).max() < 1e-3
    i, j, k = index.round().astype(int).T
    assert np.count_nonzero(segmentation.labels) == len(indices)
    assert np.array_equal(np.array([0, *NAMES])[volume.array[tuple(indices.T)]], segmentation.labels[k, j, i])


def test_simpleitk_reads_the_frames(tmp_path):
    segmentation, path, _ = written(tmp_path)
    stored = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(path))) > 0

    assert np.array_equal(stored, pydicom.dcmread(path).pixel_array == 1)
    assert stored.sum() == np.count_nonzero(segmentation.labels)


def verified(path):
    """Ask dciodvfy, if it is there."""
    if shutil.which("dciodvfy") is None:
        pytest.skip("dciodvfy (Debian package dicom3tools) is not installed")
    told = subprocess.run(["dciodvfy", path], capture_output=True, check=False).stderr.decode(errors="replace")
    return "Segmentation" in told and "Error" not in told


@pytest.mark.parametrize("name", STACKS)
def test_dciodvfy_finds_no_error(tmp_path, name):
    assert verified(written(tmp_path, name)[1])


@pytest.mark.parametrize("name", ["axial", "oblique", "coronal"])
def test_dcmqi_agrees_to_the_voxel(tmp_path, name):
    if shutil.which("segimage2itkimage") is None:
        pytest.skip("segimage2itkimage (pip install dcmqi) is not installed")
    segmentation, path, _ = written(tmp_path, name)
    command = ["segimage2itkimage", "--inputDICOM", path, "--outputDirectory", tmp_path, "--prefix", "out"]
    subprocess.run([*command, "--outputType", "nrrd"], capture_output=True, check=True)

    for segment in segments_of(segmentation):
        image = SimpleITK.ReadImage(str(tmp_path / f"out-{segment.number}.nrrd"))
        index = np.argwhere(SimpleITK.GetArrayFromImage(image))[:, ::-1]
        where = [image.TransformIndexToPhysicalPoint(one) for one in index.tolist()]
        i, j, k = segmentation.geometry.lps_to_index(where).round().astype(int).T
        found = np.zeros(segmentation.labels.shape, bool)
        found[k, j, i] = True
        assert np.array_equal(found, segmentation.mask(segment.label))


def test_segments_say_what_they_are_and_who_drew_them(tmp_path):
    _, path, _ = written(tmp_path)
    liver, tumour, unknown = pydicom.dcmread(path).SegmentSequence

    assert [one.SegmentLabel for one in (liver, tumour, unknown)] == list(NAMES.values())
    assert [one.SegmentNumber for one in (liver, tumour, unknown)] == [1, 2, 3]
    assert liver.SegmentedPropertyTypeCodeSequence[0].CodeValue == "10200004"
    assert liver.SegmentedPropertyCategoryCodeSequence[0].CodeMeaning == "Anatomical Structure"
    kind = tumour.SegmentedPropertyTypeCodeSequence[0]
    assert (kind.CodeMeaning, kind.SegmentedPropertyTypeModifierCodeSequence[0].CodeMeaning) == ("Neoplasm", "Left")
    assert tumour.AnatomicRegionSequence[0].CodeMeaning == "Kidney"
    assert unknown.SegmentedPropertyTypeCodeSequence[0].CodeMeaning == "Tissue"
    assert (liver.SegmentAlgorithmType, liver.SegmentAlgorithmName) == ("SEMIAUTOMATIC", "medsam2")
    algorithm = liver.SegmentationAlgorithmIdentificationSequence[0]
    assert (algorithm.AlgorithmVersion, algorithm.AlgorithmParameters) == (Algorithm().version, "model=starter")


def test_colours_are_those_of_the_pictures(tmp_path):
    _, path, _ = written(tmp_path)

    for segment, colour in zip(pydicom.dcmread(path).SegmentSequence, PALETTE, strict=False):
        read = highdicom.color.CIELabColor.from_dicom_value(segment.RecommendedDisplayCIELabValue)
        assert np.abs(np.subtract(read.to_rgb(), colour)).max() <= 2


def test_an_algorithm_that_nobody_prompted_is_automatic(tmp_path):
    source, geometry = scan(tmp_path / "scan")
    segmentation = Segmentation(labels(geometry.shape), geometry, source=source)
    write_segmentation(segmentation, tmp_path / "mask.dcm", algorithm=Algorithm(automatic=True))
    dataset = pydicom.dcmread(tmp_path / "mask.dcm")

    assert {segment.SegmentAlgorithmType for segment in dataset.SegmentSequence} == {"AUTOMATIC"}
    assert [segment.SegmentLabel for segment in dataset.SegmentSequence] == ["object 1", "object 4", "object 9"]


def test_patient_and_study_are_the_sources(tmp_path):
    segmentation, path, _ = written(tmp_path)
    dataset, image = pydicom.dcmread(path), pydicom.dcmread(segmentation.source.header.files[0])

    for keyword in ("PatientID", "PatientBirthDate", "PatientSex", "StudyInstanceUID", "StudyID", "AccessionNumber"):
        assert dataset[keyword].value == image[keyword].value
    assert str(dataset.PatientName) == "Müller^Jürgen"
    assert dataset.SeriesInstanceUID != image.SeriesInstanceUID
    assert (dataset.SpecificCharacterSet, dataset.Modality) == ("ISO_IR 192", "SEG")


def test_an_object_without_a_voxel_is_a_segment_without_a_frame(tmp_path):
    segmentation, path, _ = written(tmp_path, names={**NAMES, 5: "spleen"})
    dataset = pydicom.dcmread(path)

    assert [segment.SegmentLabel for segment in dataset.SegmentSequence][2] == "spleen"
    assert np.array_equal(overlay(dataset, segmentation), segmentation.labels)


def test_nothing_but_an_object_without_a_voxel_can_be_written(tmp_path):
    source, geometry = scan(tmp_path / "scan")
    write_segmentation(Segmentation(np.zeros(geometry.shape, np.uint8), geometry, {3: "x"}, source), tmp_path / "m.dcm")

    assert not pydicom.dcmread(tmp_path / "m.dcm").pixel_array.any()


def test_no_object_at_all_is_refused(tmp_path):
    source, geometry = scan(tmp_path / "scan")
    with pytest.raises(FormatError, match=r"m\.dcm cannot be written: there is no object"):
        write_segmentation(Segmentation(np.zeros(geometry.shape, np.uint8), geometry, {}, source), tmp_path / "m.dcm")


def test_a_long_name_is_cut_and_told(tmp_path):
    _, path, notes = written(tmp_path, names={1: "x" * 70, 4: "a\\b\nc"})
    dataset = pydicom.dcmread(path)

    assert dataset.SegmentSequence[0].SegmentLabel == "x" * 64
    assert dataset.SegmentSequence[1].SegmentLabel == "a/b c"
    assert notes == (f"the name '{'x' * 70}' has 70 characters, DICOM holds 64; it was cut to '{'x' * 64}'",)


def test_a_multiframe_source_is_referred_to_by_frame(tmp_path):
    single, geometry = scan(tmp_path / "scan", orientation=OBLIQUE)
    source, frames = multiframe(tmp_path / "enhanced.dcm", single)
    segmentation = Segmentation(labels(geometry.shape), geometry, NAMES, source)
    write_segmentation(segmentation, tmp_path / "mask.dcm")
    read = highdicom.seg.segread(tmp_path / "mask.dcm")
    stacked = read.get_pixels_by_source_frame(
        source.header.instances[0].uid, frames, assert_missing_frames_are_empty=True
    )

    for number, label in enumerate(NAMES):
        assert np.array_equal(stacked[..., number] == 1, segmentation.mask(label))
    assert verified(tmp_path / "mask.dcm")


def test_several_multiframe_files_are_refused(tmp_path):
    single, geometry = scan(tmp_path / "scan")
    first, _ = multiframe(tmp_path / "first.dcm", single)
    second, _ = multiframe(tmp_path / "second.dcm", single)
    instances = (*first.header.instances[:3], *second.header.instances[3:])
    series = replace(first.header, files=(*first.header.files, *second.header.files), instances=instances)
    segmentation = Segmentation(labels(geometry.shape), geometry, source=replace(first, header=series))
    with pytest.raises(FormatError, match="DICOM SEG cannot refer to images like those of the series"):
        write_segmentation(segmentation, tmp_path / "mask.dcm")


def test_the_readers_volume_can_be_segmented(tmp_path):
    scan(tmp_path / "scan", orientation=OBLIQUE, tilt_mm=0.5)
    volume = read_volume(tmp_path / "scan")
    check_output(volume, tmp_path / "mask.dcm")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["scan"]

    segmentation = Segmentation(labels(volume.geometry.shape), volume.geometry, NAMES, volume.source)
    write_segmentation(segmentation, tmp_path / "mask.dcm")
    assert np.array_equal(overlay(pydicom.dcmread(tmp_path / "mask.dcm"), segmentation), segmentation.labels)


def as_radiograph(dataset, _):
    dataset.SOPClassUID, dataset.Modality = "1.2.840.10008.5.1.4.1.1.1", "CR"
    for keyword in ("FrameOfReferenceUID", "PositionReferenceIndicator", "ImagePositionPatient", "RescaleType"):
        delattr(dataset, keyword)
    del dataset.ImageOrientationPatient


def test_a_picture_without_a_place_can_be_written(tmp_path):
    scan(tmp_path / "scan", shape=(1, 12, 10), change=as_radiograph)
    volume = read_volume(tmp_path / "scan")
    mask = np.zeros((1, 12, 10), np.uint8)
    mask[0, 3:7, 2:9] = 1
    write_segmentation(Segmentation(mask, volume.geometry, {1: "lung"}, volume.source), tmp_path / "mask.dcm")

    assert np.array_equal(pydicom.dcmread(tmp_path / "mask.dcm").pixel_array, mask[0])
    assert verified(tmp_path / "mask.dcm")


def strip(dataset, _):
    for keyword in ("PatientID", "PatientBirthDate", "AccessionNumber", "StudyID", "StudyDate", "StudyTime"):
        del dataset[keyword]
    dataset.PatientSex, dataset.SeriesNumber = "", None


def test_a_series_stripped_by_an_anonymiser_can_be_written(tmp_path):
    segmentation, path, _ = written(tmp_path, change=strip)

    assert np.array_equal(overlay(pydicom.dcmread(path), segmentation), segmentation.labels)


def spoil(dataset, _):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset.PatientName, dataset.PatientSex, dataset.PatientBirthDate = "Secretperson", "X", "19600504"
    dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.2"


def test_the_patients_name_stays_out_of_logs(tmp_path, caplog, capfd):
    with caplog.at_level(logging.DEBUG):
        written(tmp_path, change=spoil)

    assert "Secretperson" not in caplog.text + "".join(capfd.readouterr())


def test_what_the_library_refuses_is_told_without_the_header(tmp_path):
    def without_frame_of_reference(dataset, k):
        del dataset.FrameOfReferenceUID
        dataset.PatientName = "Secret^Person"

    with pytest.raises(FormatError, match=r"DICOM SEG cannot refer to images like those of the series") as error:
        written(tmp_path, change=without_frame_of_reference)
    assert "Secret" not in str(error.value)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["scan"]


def test_another_scan_than_dicom_is_refused_in_words(tmp_path):
    volume = Volume(np.zeros((2, 3, 4), np.int16), Geometry((2, 3, 4), np.eye(4)), SourceFile(tmp_path / "a", "nifti"))
    with pytest.raises(FormatError, match=r"mask\.dcm is to be DICOM SEG, which .* but the scan is of format 'nifti'"):
        check_output(volume, tmp_path / "mask.dcm")


def test_a_series_that_is_gone_or_changed_is_told_and_the_old_file_stays(tmp_path):
    segmentation, path, _ = written(tmp_path)
    before = path.read_bytes()
    files = segmentation.source.header.files
    files[1].write_bytes(files[2].read_bytes())
    with pytest.raises(FormatError, match=r"the image of slice 1 is not the one that was segmented"):
        write_segmentation(segmentation, path)

    files[1].unlink()
    with pytest.raises(FormatError, match=r"file 2 of the series cannot be read again \(No such file") as error:
        write_segmentation(segmentation, path)
    assert files[1].name not in str(error.value)

    files[1].write_text("Dear reader")
    with pytest.raises(FormatError, match=r"mask\.dcm cannot be written: .*"):
        write_segmentation(segmentation, path)
    assert path.read_bytes() == before


def test_a_label_map_of_another_place_is_refused(tmp_path):
    source, geometry = scan(tmp_path / "scan")
    moved = geometry.affine.copy()
    moved[0, 3] += 10
    for other in (Geometry(geometry.shape, moved), Geometry((4, 12, 10), geometry.affine)):
        segmentation = Segmentation(np.ones(other.shape, np.uint8), other, source=source)
        with pytest.raises(FormatError, match=r"not the one that was segmented|has 5 slices, the label map 4"):
            write_segmentation(segmentation, tmp_path / "mask.dcm")


def test_a_slice_that_is_not_quite_even_lies_where_its_image_lies(tmp_path):
    def shift(dataset, k):
        x, y, z = dataset.ImagePositionPatient
        dataset.ImagePositionPatient = [x, y, z + 0.4 * (k == 2)]

    _, path, _ = written(tmp_path, change=shift)
    frames = pydicom.dcmread(path).PerFrameFunctionalGroupsSequence

    assert {float(one.PlanePositionSequence[0].ImagePositionPatient[2]) for one in frames} == {43.0, 46.4, 49.0, 52.0}


def test_a_missing_package_is_told_with_its_extra(tmp_path, monkeypatch):
    source, geometry = scan(tmp_path / "scan")
    monkeypatch.setitem(sys.modules, "highdicom", None)
    with pytest.raises(MissingDependencyError, match=r'needs the package "highdicom".*pip install "medsam2\[dicom\]"'):
        write_segmentation(Segmentation(labels(geometry.shape), geometry, source=source), tmp_path / "mask.dcm")
