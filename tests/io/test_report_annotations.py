"""Coordinates of structured reports (TID 1500) as prompts."""

import numpy as np
import pydicom
import pytest
from pydicom.uid import generate_uid

from medsam2.errors import FormatError
from medsam2.io import read_annotations, read_volume
from reference.annotating import measured, region, region_in_patient, structured_report
from reference.scanned_series import OBLIQUE, multiframe, scan

LONG, SHORT = [(2, 3), (8, 7)], [(4, 7), (6, 3)]
SQUARE = [(2, 3), (6, 3), (6, 8), (2, 8), (2, 3)]


@pytest.fixture
def source(tmp_path):
    return scan(tmp_path / "scan", orientation=OBLIQUE, tilt_mm=0.9)[0]


@pytest.fixture
def volume(source):
    return read_volume(source.path)


def square_mask(shape, k):
    mask = np.zeros(shape, bool)
    mask[k, 3:9, 2:7] = True
    return mask


def test_the_lines_of_a_group_are_one_object_with_its_name(tmp_path, source, volume):
    groups = [measured(source, 3, LONG, SHORT, name="Lesion 1"), measured(source, 1, LONG, name="Lesion 2")]
    read = read_annotations(structured_report(tmp_path / "report.dcm", source, groups), volume)

    assert (read.kind, read.notes) == ("structured report", ())
    assert [one.name for one in read.annotations] == ["Lesion 1", "Lesion 2"]
    first, second = read.annotations
    np.testing.assert_allclose(first.diameters, [np.column_stack([line, [3, 3]]) for line in (LONG, SHORT)])
    np.testing.assert_allclose(second.diameters, [np.column_stack([LONG, [1, 1]])])


def test_regions_in_an_image(tmp_path, source, volume):
    groups = [
        region(source, 2, "POLYLINE", SQUARE, "outline"),
        region(source, 2, "POINT", [(4, 5)], "point"),
        region(source, 2, "CIRCLE", [(4, 5), (7, 5)], "circle"),
    ]
    read = read_annotations(structured_report(tmp_path / "report.dcm", source, groups), volume)
    outline, point, circle = read.annotations

    assert np.array_equal(outline.mask, square_mask(volume.geometry.shape, 2))
    np.testing.assert_allclose(point.points, [(4, 5, 2)])
    np.testing.assert_allclose(circle.diameters[0], [(1, 5, 2), (7, 5, 2)])


def test_regions_in_the_patient(tmp_path, source, volume):
    ours = source.header.frame_of_reference_uid
    square = volume.geometry.index_to_lps([(x, y, 2) for x, y in SQUARE])
    line = volume.geometry.index_to_lps([(x, y, 3) for x, y in LONG])
    groups = [region_in_patient("POLYGON", square, ours), region_in_patient("POLYLINE", line, ours, "axis")]
    path = structured_report(tmp_path / "report.dcm", source, groups)
    assert [one.name for one in read_annotations(path, volume).annotations] == ["Lesion 1", "axis"]
    dataset = pydicom.dcmread(path)
    for container in dataset.ContentSequence[-1].ContentSequence:
        kept = [one for one in container.ContentSequence if one.ConceptNameCodeSequence[0].CodeValue != "112039"]
        container.ContentSequence = kept
    dataset.save_as(path)
    outline, axis = read_annotations(path, volume).annotations

    assert (outline.name, axis.name) == ("Neoplasm", "Neoplasm")
    assert np.array_equal(outline.mask, square_mask(volume.geometry.shape, 2))
    np.testing.assert_allclose(axis.diameters, [np.column_stack([LONG, [3, 3]])], atol=1e-3)


def test_places_in_the_patient_hold_for_another_series_of_the_same_frame_of_reference(tmp_path, source, volume):
    line = volume.geometry.index_to_lps([(x, y, 3) for x, y in LONG])
    groups = [region_in_patient("POLYLINE", line, generate_uid())]
    path = structured_report(tmp_path / "report.dcm", source, groups)
    with pytest.raises(FormatError, match="a shape in another frame of reference was left out"):
        read_annotations(path, volume)


def test_frames_are_told_apart(tmp_path, source):
    enhanced, frames = multiframe(tmp_path / "enhanced.dcm", source)
    volume = read_volume(tmp_path / "enhanced.dcm")

    def refer(frame):
        def change(dataset):
            study = dataset.CurrentRequestedProcedureEvidenceSequence[0]
            study.ReferencedSeriesSequence[0].SeriesInstanceUID = enhanced.header.series_uid
            for element in dataset.iterall():
                if element.keyword == "ReferencedSOPSequence" and len(element.value) == 1:
                    element.value[0].ReferencedSOPInstanceUID = enhanced.header.instances[0].uid
                    if frame:
                        element.value[0].ReferencedFrameNumber = frame

        return change

    path = structured_report(tmp_path / "report.dcm", source, [measured(source, 3, LONG)], refer(frames[3]))
    assert read_annotations(path, volume).annotations[0].diameters[0][0][2] == 3
    path = structured_report(tmp_path / "report.dcm", source, [measured(source, 3, LONG)], refer(None))
    with pytest.raises(FormatError, match="a shape on an image that is no slice of the input was left out"):
        read_annotations(path, volume)


def test_a_report_of_another_series_is_refused(tmp_path, source):
    path = structured_report(tmp_path / "report.dcm", source, [measured(source, 3, LONG)])
    scan(tmp_path / "other")
    with pytest.raises(FormatError, match=r"\(structured report\) was drawn on another series"):
        read_annotations(path, read_volume(tmp_path / "other"))


def test_an_angle_is_told(tmp_path, source, volume):
    group = measured(source, 3, [(2, 3), (5, 5), (2, 8)], name="Cobb")
    path = structured_report(tmp_path / "report.dcm", source, [group, measured(source, 3, LONG)])
    read = read_annotations(path, volume)
    assert read.notes == ("Cobb: a polyline of 3 points was left out.",)
    assert [one.name for one in read.annotations] == ["Lesion 1"]
