import logging
import warnings

import numpy as np
import pydicom
import pytest

from medsam2.errors import FormatError
from medsam2.io.dicom_sources import CHARACTER_SET, completed, quiet, read_sources, series_of
from medsam2.spatial import Geometry, Segmentation, SourceFile
from reference.scanned_series import OBLIQUE, scan

TILTED = {"orientation": OBLIQUE, "tilt_mm": 0.9}


@pytest.mark.parametrize("stack", [{}, {"orientation": OBLIQUE}, TILTED])
def test_each_slice_lies_where_the_geometry_has_it(tmp_path, stack):
    source, geometry = scan(tmp_path / "scan", **stack)
    pixels = np.array([(0, 0), (9, 0), (0, 11), (4.5, -0.5)], float)

    for k, one in enumerate(read_sources(source.header, geometry, tmp_path / "mask.dcm")):
        expected = geometry.index_to_lps(np.column_stack([pixels, np.full(4, k)]))
        np.testing.assert_allclose(one.to_lps(pixels), expected, atol=1e-4)
        assert one.frame is None
        assert "PixelData" not in one.header


def test_an_image_without_a_place_is_read_but_cannot_place_points(tmp_path):
    def nowhere(dataset, k):
        del dataset.ImageOrientationPatient

    source, geometry = scan(tmp_path / "scan", change=nowhere)
    first = read_sources(source.header, geometry, tmp_path / "mask.dcm")[0]

    assert first.axes is None
    with pytest.raises(FormatError, match="has no position in the patient"):
        first.to_lps(np.zeros((1, 2)))


def test_only_a_dicom_scan_has_a_series(tmp_path):
    source, geometry = scan(tmp_path / "scan")
    labels = np.zeros(geometry.shape, np.uint8)

    assert series_of(Segmentation(labels, geometry, source=source), tmp_path / "m.dcm", "SEG") is source.header
    for other, told in ((None, "the scan has no source file"), (SourceFile(tmp_path, "itk"), "is of format 'itk'")):
        with pytest.raises(FormatError, match=rf"m\.dcm is to be SEG, which refers to .* {told}; write \.nii\.gz"):
            series_of(Segmentation(labels, geometry, source=other), tmp_path / "m.dcm", "SEG")


def test_files_that_are_gone_are_told_without_their_names(tmp_path):
    source, geometry = scan(tmp_path / "scan")
    source.header.files[2].unlink()
    with pytest.raises(FormatError, match=r"m\.dcm cannot be written: file 3 of the series cannot be read") as error:
        read_sources(source.header, geometry, tmp_path / "m.dcm")
    assert source.header.files[2].name not in str(error.value)


@pytest.mark.parametrize(("keyword", "value"), [("SOPInstanceUID", "1.2.3"), ("Rows", 13), ("PixelSpacing", [3, 3])])
def test_files_that_have_changed_are_told(tmp_path, keyword, value):
    source, geometry = scan(tmp_path / "scan")
    dataset = pydicom.dcmread(source.header.files[1])
    setattr(dataset, keyword, value)
    dataset.save_as(source.header.files[1])

    with pytest.raises(FormatError, match=r"the image of slice 1 is not the one that was segmented"):
        read_sources(source.header, geometry, tmp_path / "m.dcm")


def test_a_grid_of_other_slices_is_told(tmp_path):
    source, geometry = scan(tmp_path / "scan")
    with pytest.raises(FormatError, match="the series has 5 slices, the label map 4"):
        read_sources(source.header, Geometry((4, 12, 10), geometry.affine), tmp_path / "m.dcm")


def test_a_header_is_completed_and_its_text_is_decoded(tmp_path):
    def strip(dataset, k):
        del dataset.PatientID, dataset.StudyDate
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            dataset.PatientSex = "UNKNOWN"

    source, _ = scan(tmp_path / "scan", change=strip)
    header = completed(pydicom.dcmread(source.header.files[0]))

    assert (header.PatientID, header.StudyDate, header.PatientSex) == ("", "", "")
    header.SpecificCharacterSet = CHARACTER_SET
    assert str(header.PatientName) == "Müller^Jürgen"


def test_quiet_keeps_remarks_that_quote_headers_away(caplog):
    with quiet(), caplog.at_level(logging.DEBUG):
        warnings.warn("the name Secret is odd", UserWarning, stacklevel=1)
        for name in ("pydicom", "highdicom.base", "highdicom.image"):
            logging.getLogger(name).error("Secret")

    assert caplog.text == ""
    assert not logging.getLogger("highdicom.base").disabled
