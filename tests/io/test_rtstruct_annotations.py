"""RTSTRUCT as prompts."""

import numpy as np
import pydicom
import pytest
from pydicom.uid import generate_uid

from medsam2.errors import FormatError, GeometryError
from medsam2.io import read_annotations, read_volume, write_segmentation
from medsam2.spatial import Segmentation
from reference.scanned_series import OBLIQUE, scan

SCANS = {"axial": {}, "oblique": {"orientation": OBLIQUE}, "tilted": {"orientation": OBLIQUE, "tilt_mm": 0.9}}


def annotated(tmp_path, array=None, **given):
    scan(tmp_path / "scan", **given)
    volume = read_volume(tmp_path / "scan")
    if array is None:
        array = np.random.default_rng(0).choice(np.array([0, 1, 4], np.uint8), volume.geometry.shape)
    drawn = Segmentation(array, volume.geometry, {1: "liver", 4: "Läsion"}, volume.source)
    write_segmentation(drawn, tmp_path / "drawn.rtstruct.dcm")
    return volume, drawn, tmp_path / "drawn.rtstruct.dcm"


def redrawn(path, *contours):
    """Replace what is drawn by contours of (type, voxel indices) on slice 2 of the axial series."""
    dataset = pydicom.dcmread(path)
    roi = dataset.ROIContourSequence[0]
    example = roi.ContourSequence[0]
    items = []
    for kind, index in contours:
        item = pydicom.Dataset()
        item.ContourGeometricType = kind
        points = np.asarray(index, float) * [0.8, 0.7, 3] + [-120.5, -98.25, 40]
        item.ContourData = [f"{value:.4f}" for value in points.ravel()]
        item.NumberOfContourPoints = len(points)
        items.append(item)
    roi.ContourSequence = items
    dataset.ROIContourSequence = [roi]
    dataset.StructureSetROISequence = [dataset.StructureSetROISequence[0]]
    dataset.save_as(path)
    return example


@pytest.mark.parametrize("name", SCANS)
def test_rois_come_back_to_the_voxel_with_their_names(tmp_path, name):
    volume, drawn, path = annotated(tmp_path, **SCANS[name])
    read = read_annotations(path, volume)

    assert (read.kind, read.notes) == ("RTSTRUCT", ())
    assert [(one.name, one.number) for one in read.annotations] == [("liver", 1), ("Läsion", 2)]
    for one, label in zip(read.annotations, (1, 4), strict=True):
        assert np.array_equal(one.mask, drawn.mask(label))


def test_slices_are_found_without_references_and_where_they_are_uneven(tmp_path):
    def shift(dataset, k):
        dataset.ImagePositionPatient[2] += 0.3 * (k == 2)

    volume, drawn, path = annotated(tmp_path, change=shift)
    assert np.array_equal(read_annotations(path, volume).annotations[0].mask, drawn.mask(1))
    dataset = pydicom.dcmread(path)
    for roi in dataset.ROIContourSequence:
        for contour in roi.ContourSequence:
            del contour.ContourImageSequence
    dataset.save_as(path)
    assert np.array_equal(read_annotations(path, volume).annotations[0].mask, drawn.mask(1))


def test_contours_through_pixel_centres_and_holes(tmp_path):
    volume, _, path = annotated(tmp_path)
    outer = [(1, 1, 2), (8, 1, 2), (8, 9, 2), (1, 9, 2)]
    hole = [(3, 3, 2), (6, 3, 2), (6, 7, 2), (3, 7, 2)]
    for kind in ("CLOSED_PLANAR", "CLOSEDPLANAR_XOR"):
        redrawn(path, (kind, outer), (kind, hole))
        (one,) = read_annotations(path, volume).annotations
        expected = np.zeros(volume.geometry.shape, bool)
        expected[2, 1:10, 1:9] = True
        expected[2, 4:7, 4:6] = False
        assert np.array_equal(one.mask, expected)


def test_points_lines_and_what_cannot_be_used(tmp_path):
    volume, _, path = annotated(tmp_path)
    line, bent = [(1, 1, 2), (8, 5, 2)], [(1, 1, 2), (4, 2, 2), (8, 5, 2)]
    redrawn(path, ("POINT", [(3, 4, 2)]), ("OPEN_PLANAR", line), ("OPEN_PLANAR", bent))
    read = read_annotations(path, volume)
    (one,) = read.annotations

    np.testing.assert_allclose(one.points, [(3, 4, 2)], atol=1e-3)
    np.testing.assert_allclose(one.diameters, [line], atol=1e-3)
    assert read.notes == ("liver: an open contour of 3 points was left out.",)


@pytest.mark.parametrize(
    ("points", "words"),
    [
        ([(1, 1, 2.5), (8, 1, 2.5), (8, 9, 2.5)], "liver: an outline lies at k = 2.50"),
        ([(1, 1, 7), (8, 1, 7), (8, 9, 7)], "expected it in one of the input's slices, 0..4"),
        ([(1, 1, 1), (8, 1, 2), (8, 9, 3)], "an outline lies at k = 1.00..3.00"),
        ([(1, 1, 2), (28, 1, 2), (8, 9, 2)], "reaches beyond the input's 10 x 12 pixels"),
    ],
)
def test_contours_off_the_slices_are_refused(tmp_path, points, words):
    volume, _, path = annotated(tmp_path)
    redrawn(path, ("CLOSED_PLANAR", points))
    with pytest.raises(GeometryError, match=words):
        read_annotations(path, volume)


def test_an_rtstruct_of_another_series_is_refused_whatever_tells_it(tmp_path):
    volume, _, path = annotated(tmp_path)
    scan(tmp_path / "other")
    with pytest.raises(FormatError, match=r"\(RTSTRUCT\) was drawn on another series than the input"):
        read_annotations(path, read_volume(tmp_path / "other"))
    redrawn(path, ("CLOSED_PLANAR", [(1, 1, 2), (8, 1, 2), (8, 9, 2)]))
    dataset = pydicom.dcmread(path)
    del dataset.ReferencedFrameOfReferenceSequence[0].RTReferencedStudySequence
    dataset.save_as(path)
    assert read_annotations(path, volume).annotations
    dataset.ReferencedFrameOfReferenceSequence[0].FrameOfReferenceUID = generate_uid()
    dataset.save_as(path)
    with pytest.raises(FormatError, match="another series"):
        read_annotations(path, volume)


def test_rois_without_contours_are_told(tmp_path):
    array = np.zeros((5, 12, 10), np.uint8)
    array[2, 3:6, 4:7] = 1
    volume, _, path = annotated(tmp_path, array)
    read = read_annotations(path, volume)
    assert [one.name for one in read.annotations] == ["liver"]
    assert read.notes == ("Läsion has no contour and was left out.",)
