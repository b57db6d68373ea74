"""SEG as prompts: what medsam2, highdicom and others write, on its own series and on others."""

import warnings

import highdicom
import numpy as np
import pydicom
import pytest
from pydicom.uid import generate_uid

from medsam2.errors import FormatError, GeometryError
from medsam2.io import read_annotations, read_volume, write_segmentation
from medsam2.spatial import Segmentation
from reference.scanned_series import OBLIQUE, multiframe, scan

SCANS = {
    "axial": {},
    "odd": {"shape": (4, 5, 7)},
    "oblique": {"orientation": OBLIQUE},
    "tilted": {"orientation": OBLIQUE, "tilt_mm": 0.9},
}


def labels(shape):
    array = np.random.default_rng(0).choice(np.array([0, 1, 4, 9], np.uint8), shape)
    array[0] = 0
    return array


def annotated(tmp_path, suffix=".dcm", **given):
    scan(tmp_path / "scan", **given)
    volume = read_volume(tmp_path / "scan")
    drawn = Segmentation(
        labels(volume.geometry.shape), volume.geometry, {1: "liver", 4: "cyst", 9: "cyst"}, volume.source
    )
    write_segmentation(drawn, tmp_path / f"drawn{suffix}")
    return volume, drawn, tmp_path / f"drawn{suffix}"


def change(path, **values):
    dataset = pydicom.dcmread(path)
    for name, value in values.items():
        setattr(dataset, name, value)
    dataset.save_as(path)


@pytest.mark.parametrize("name", SCANS)
def test_segments_come_back_to_the_voxel_with_their_names(tmp_path, name):
    volume, drawn, path = annotated(tmp_path, **SCANS[name])
    read = read_annotations(path, volume)

    assert (read.kind, read.notes) == ("DICOM SEG", ())
    assert [(one.name, one.number) for one in read.annotations] == [("liver", 1), ("cyst", 2), ("cyst", 3)]
    for one, label in zip(read.annotations, (1, 4, 9), strict=True):
        assert np.array_equal(one.mask, drawn.mask(label))


def test_slices_that_are_not_quite_even_keep_their_masks(tmp_path):
    def shift(dataset, k):
        dataset.ImagePositionPatient[2] += 0.3 * (k == 2)

    volume, drawn, path = annotated(tmp_path, change=shift)
    for reference in (True, False):
        if not reference:
            dataset = pydicom.dcmread(path)
            for frame in dataset.PerFrameFunctionalGroupsSequence:
                del frame.DerivationImageSequence
            dataset.save_as(path)
        assert np.array_equal(read_annotations(path, volume).annotations[0].mask, drawn.mask(1))


def test_frames_of_an_enhanced_image_find_their_slices(tmp_path):
    source, _ = scan(tmp_path / "scan")
    multiframe(tmp_path / "enhanced.dcm", source)
    volume = read_volume(tmp_path / "enhanced.dcm")
    drawn = Segmentation(labels(volume.geometry.shape), volume.geometry, {}, volume.source)
    write_segmentation(drawn, tmp_path / "drawn.dcm")

    assert np.array_equal(read_annotations(tmp_path / "drawn.dcm", volume).annotations[1].mask, drawn.mask(4))


@pytest.mark.parametrize("kind", ["FRACTIONAL", "LABELMAP"])
def test_other_types_of_segmentation(tmp_path, kind):
    volume, drawn, path = annotated(tmp_path)
    binary = highdicom.seg.segread(path)
    numbers = np.select([drawn.mask(1), drawn.mask(4), drawn.mask(9)], [1, 2, 3], 0).astype(np.uint8)
    shares = np.stack([numbers == n for n in (1, 2, 3)], axis=-1) * 0.6 + 0.1
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        highdicom.seg.Segmentation(
            [pydicom.dcmread(file) for file in volume.source.header.files],
            shares if kind == "FRACTIONAL" else numbers,
            kind,
            [highdicom.seg.SegmentDescription.from_dataset(item) for item in binary.SegmentSequence],
            highdicom.UID(),
            1,
            highdicom.UID(),
            1,
            "Maker",
            "Model",
            "1",
            "1",
        ).save_as(path)
    read = read_annotations(path, volume)

    assert all(np.array_equal(one.mask, drawn.mask(n)) for one, n in zip(read.annotations, (1, 4, 9), strict=True))


def test_a_seg_turned_round_finds_its_place_by_its_geometry(tmp_path):
    volume, drawn, path = annotated(tmp_path)
    dataset = pydicom.dcmread(path)
    for frame in dataset.PerFrameFunctionalGroupsSequence:
        del frame.DerivationImageSequence
        position = np.array(frame.PlanePositionSequence[0].ImagePositionPatient, float)
        frame.PlanePositionSequence[0].ImagePositionPatient = list((position + np.array([0.8 * 9, 0, 0])).round(6))
    shared = dataset.SharedFunctionalGroupsSequence[0]
    shared.PlaneOrientationSequence[0].ImageOrientationPatient = [-1, 0, 0, 0, 1, 0]
    bits = np.unpackbits(np.frombuffer(dataset.PixelData, np.uint8), bitorder="little")
    frames = bits[: dataset.NumberOfFrames * 120].reshape(-1, 12, 10)[:, :, ::-1]
    dataset.PixelData = np.packbits(frames.ravel(), bitorder="little").tobytes()
    dataset.save_as(path)

    assert np.array_equal(read_annotations(path, volume).annotations[0].mask, drawn.mask(1))


def test_another_grid_is_refused(tmp_path):
    volume, _, path = annotated(tmp_path)
    dataset = pydicom.dcmread(path)
    dataset.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0].PixelSpacing = [0.5, 0.5]
    dataset.save_as(path)

    with pytest.raises(GeometryError, match="voxels do not meet"):
        read_annotations(path, volume)


def test_a_seg_of_another_series_is_refused_whatever_tells_it(tmp_path):
    volume, _, path = annotated(tmp_path)
    whole = path.read_bytes()
    scan(tmp_path / "other")
    with pytest.raises(FormatError, match=r"^drawn.dcm \(DICOM SEG\) was drawn on another series than the input"):
        read_annotations(path, read_volume(tmp_path / "other"))

    dataset = pydicom.dcmread(path)
    dataset.ReferencedSeriesSequence[0].SeriesInstanceUID = generate_uid()
    dataset.save_as(path)
    with pytest.raises(FormatError, match="another series"):
        read_annotations(path, volume)

    path.write_bytes(whole)
    dataset = pydicom.dcmread(path)
    del dataset.ReferencedSeriesSequence, dataset.SourceImageSequence
    for frame in dataset.PerFrameFunctionalGroupsSequence:
        del frame.DerivationImageSequence
    dataset.save_as(path)
    assert read_annotations(path, volume).annotations
    change(path, FrameOfReferenceUID=generate_uid())
    with pytest.raises(FormatError, match="another series"):
        read_annotations(path, volume)


def test_segments_without_a_voxel_are_told(tmp_path):
    scan(tmp_path / "scan")
    volume = read_volume(tmp_path / "scan")
    array = np.zeros(volume.geometry.shape, np.uint8)
    array[2, 3, 4] = 1
    names = {1: "liver", 2: "spleen"}
    write_segmentation(Segmentation(array, volume.geometry, names, volume.source), tmp_path / "drawn.dcm")
    read = read_annotations(tmp_path / "drawn.dcm", volume)

    assert [one.name for one in read.annotations] == ["liver"]
    assert read.notes == ("1 of 2 segments are empty and were left out.",)
