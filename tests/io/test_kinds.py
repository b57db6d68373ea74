import gzip
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from medsam2.errors import FormatError
from medsam2.io import read_label_map, read_volume, write_segmentation
from medsam2.io.kinds import SUFFIXES, FileKind, kind_of_file, kind_of_name
from medsam2.spatial import Geometry, Segmentation

LABELS = Segmentation(np.zeros((1, 4, 5), np.uint8), Geometry((1, 4, 5), np.eye(4)))
READ = {suffix: kind for suffix, kind in SUFFIXES.items() if suffix != ".dcm"}


def written(folder, suffix):
    """Write a file of the suffix's kind."""
    path = folder / f"file{suffix}"
    if READ[suffix] is FileKind.JPEG:
        Image.fromarray(LABELS.labels[0]).save(path)
    else:
        write_segmentation(LABELS, path)
    return path


@pytest.mark.parametrize("suffix", READ)
def test_name_and_content_agree(tmp_path, suffix):
    path = written(tmp_path, suffix)

    assert kind_of_file(path) is READ[suffix]
    assert kind_of_name(Path(f"SCAN{suffix.upper()}")) is READ[suffix]


@pytest.mark.parametrize("content", READ)
@pytest.mark.parametrize("name", READ)
def test_a_wrong_name_is_told_with_the_right_one(tmp_path, content, name):
    if READ[content] is READ[name]:
        return
    path = written(tmp_path, content).rename(tmp_path / f"renamed{name}")

    with pytest.raises(
        FormatError, match=rf"renamed{name} is named as {READ[name]}, but holds {READ[content]}"
    ) as error:
        read_volume(path)
    assert "rename it to end in ." in str(error.value)


@pytest.mark.parametrize("read", [read_volume, read_label_map])
@pytest.mark.parametrize("suffix", READ)
def test_text_and_nothing_are_refused(tmp_path, read, suffix):
    path = tmp_path / f"file{suffix}"
    path.write_text("Dear reader,\nthis is no picture.\n")
    with pytest.raises(FormatError, match=rf"file{suffix} is named as .*, but its content is not"):
        read(path)

    path.write_bytes(b"")
    with pytest.raises(FormatError, match=rf"file{suffix} is empty\."):
        read(path)


def test_gzip_of_something_else_is_refused(tmp_path):
    path = tmp_path / "file.nii.gz"
    path.write_bytes(gzip.compress(b"Dear reader"))
    with pytest.raises(FormatError, match="its content is not"):
        read_volume(path)

    path.write_bytes(b"\x1f\x8b" + bytes(range(100)))
    with pytest.raises(FormatError, match="its content is not"):
        read_volume(path)


def test_missing_files_are_named(tmp_path):
    with pytest.raises(FormatError, match=r"nothing\.nii cannot be read: No such file or directory\."):
        read_volume(tmp_path / "nothing.nii")


def test_a_file_without_permission_is_named(tmp_path, monkeypatch):
    def denied(*_):
        raise PermissionError(13, "Permission denied")

    path = written(tmp_path, ".nii")
    monkeypatch.setattr(Path, "open", denied)

    with pytest.raises(FormatError, match=r"file\.nii cannot be read: Permission denied\."):
        read_volume(path)


@pytest.mark.parametrize("name", ["slice.dcm", "IM0001", "1.2.840.113"])
@pytest.mark.parametrize(
    "head",
    [
        bytes(128) + b"DICM",
        b"\x08\x00\x05\x00CS\x0a\x00ISO_IR 100",  # explicit, no preamble
        b"\x08\x00\x05\x00\x0a\x00\x00\x00ISO_IR 100",  # implicit
        b"\x00\x08\x00\x05CS\x00\x0aISO_IR 100",  # big endian
    ],
)
def test_dicom_is_recognised_by_its_content(tmp_path, name, head):
    (tmp_path / name).write_bytes(head + bytes(500))

    assert kind_of_file(tmp_path / name) is FileKind.DICOM


def test_dicom_that_is_named_as_something_else_is_told(tmp_path):
    (tmp_path / "slice.nii").write_bytes(bytes(128) + b"DICM" + bytes(500))

    with pytest.raises(FormatError, match=r"slice\.nii is named as NIfTI, but holds DICOM; rename it to end in \.dcm"):
        kind_of_file(tmp_path / "slice.nii")


def test_what_is_only_named_as_dicom_is_told(tmp_path):
    (tmp_path / "slice.dcm").write_text("Dear reader")

    with pytest.raises(FormatError, match=r"slice\.dcm is named as DICOM, but its content is not"):
        kind_of_file(tmp_path / "slice.dcm")


def test_folders_and_zips_are_taken_for_dicom(tmp_path):
    (tmp_path / "series.ZIP").write_bytes(b"PK")

    assert kind_of_file(tmp_path) is FileKind.DICOM
    assert kind_of_file(tmp_path / "series.ZIP") is FileKind.DICOM


def test_a_name_of_no_kind_is_refused(tmp_path):
    path = written(tmp_path, ".nii").rename(tmp_path / "scan")

    with pytest.raises(FormatError, match="scan has an unknown suffix; expected one of"):
        read_volume(path)
