import logging
from pathlib import Path

import pytest

from medsam2.errors import FormatError, MissingDependencyError
from medsam2.io.libraries import extra_needed, format_errors, silenced

ITK_MESSAGE = """Exception thrown in SimpleITK ImageFileReader_Execute: /source/itkMetaImageIO.cxx:113:
sitk::ERROR: The file could not be read.
itk::ERROR: MetaImageIO(0x55d0aa): File cannot be read: scan.mha for reading.
Reason: Success"""


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (OSError(2, "No such file or directory"), "No such file or directory."),
        (OSError("Expected 8 bytes,\n got 3"), "Expected 8 bytes, got 3; it may be damaged or incomplete."),
        (MemoryError(), "MemoryError; it may be damaged or incomplete."),
        (ValueError(ITK_MESSAGE), "File cannot be read: scan.mha for reading; it may be damaged or incomplete."),
        (ValueError("[nrrd] trouble\n[nrrd] no data\n"), "no data; it may be damaged or incomplete."),
    ],
)
def test_errors_become_one_line_that_names_the_file(error, reason):
    with pytest.raises(FormatError) as caught, format_errors(Path("scan.nii"), "read", ValueError):
        raise error

    assert str(caught.value) == f"scan.nii cannot be read: {reason}"
    assert caught.value.__cause__ is error


def test_a_failure_to_write_is_not_blamed_on_the_file():
    with pytest.raises(FormatError) as caught, format_errors(Path("scan.nii"), "written", ValueError):
        raise ValueError("disk full")

    assert str(caught.value) == "scan.nii cannot be written: disk full."


def test_other_errors_pass():
    with pytest.raises(KeyError), format_errors(Path("scan.nii"), "read", ValueError):
        raise KeyError


def test_a_silenced_logger_speaks_again(caplog):
    logger = logging.getLogger("a library")
    with silenced(logger):
        logger.error("hidden")
    logger.error("shown")

    assert caplog.messages == ["shown"]


def test_a_package_that_is_missing_is_told_with_its_extra():
    with (
        pytest.raises(MissingDependencyError, match=r'reading DICOM needs .*"no_dicom", .*"medsam2\[dicom\]"'),
        extra_needed("dicom", "reading DICOM"),
    ):
        import no_dicom  # noqa: F401
