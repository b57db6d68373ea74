from pathlib import Path

import pytest

from medsam2.errors import ConfigurationError
from medsam2.io.label_formats import NEEDED_SUFFIX, WRITERS, LabelFormat, label_format


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("mask.dcm", LabelFormat.DICOM_SEG),
        ("MASK.DCM", LabelFormat.DICOM_SEG),
        ("mask.rtstruct.dcm", LabelFormat.RTSTRUCT),
        ("mask.seg.nrrd", LabelFormat.SEG_NRRD),
        ("mask.coco.json", LabelFormat.COCO),
        ("mask.nrrd", None),
        ("mask.nii.gz", None),
        ("dcm", None),
    ],
)
def test_the_suffix_chooses(name, expected):
    assert label_format(Path(name)) is expected


@pytest.mark.parametrize(
    ("name", "chosen"),
    [
        ("a.dcm", LabelFormat.RTSTRUCT),
        ("a.rtstruct.dcm", LabelFormat.DICOM_SEG),
        ("a.nrrd", LabelFormat.SEG_NRRD),
        ("a.json", LabelFormat.COCO),
    ],
)
def test_the_user_overrides_the_suffix(name, chosen):
    assert label_format(Path(name), chosen) is chosen


@pytest.mark.parametrize("chosen", LabelFormat)
def test_a_name_that_promises_something_else_is_refused(chosen):
    with pytest.raises(ConfigurationError, match=rf"mask\.nii is to be of format {chosen}; expected a name that ends"):
        label_format(Path("mask.nii"), chosen)


def test_every_format_has_its_writer():
    assert set(WRITERS) == set(NEEDED_SUFFIX) == set(LabelFormat)
