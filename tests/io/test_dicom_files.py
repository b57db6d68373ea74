import gc
import zipfile

import numpy as np
import pytest

from medsam2.errors import FormatError
from medsam2.io import dicom_files, read_volume
from medsam2.io.dicom_files import find_files
from reference.dicom_writing import picture, write, write_series

VALUES = np.arange(72, dtype=np.int16).reshape(3, 6, 4)


def zipped(path, files):
    """Write a zip of {member name: file or bytes}."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content if isinstance(content, bytes) else content.read_bytes())
    return path


@pytest.fixture
def series(tmp_path):
    return write_series(tmp_path / "series", VALUES)


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    """The folder for temporary files."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(dicom_files.tempfile, "tempdir", str(folder))
    return folder


def test_names_do_not_matter_and_subfolders_do(tmp_path):
    paths = write_series(tmp_path, VALUES)
    (tmp_path / "deep" / "er").mkdir(parents=True)
    moved = paths[1].rename(tmp_path / "deep" / "er" / "1.2.3")
    (tmp_path / "notes.txt").write_text("Dear reader")
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / ".hidden").write_bytes(paths[0].read_bytes())
    (tmp_path / ".folder").mkdir()
    (tmp_path / ".folder" / "IM").write_bytes(paths[0].read_bytes())

    assert set(find_files(tmp_path).paths) == {paths[0], moved, paths[2]}
    assert np.array_equal(read_volume(tmp_path).array, VALUES)


def test_links_are_not_followed_in_circles(tmp_path, series):
    (series[0].parent / "round").symlink_to(series[0].parent)

    assert len(find_files(series[0].parent).paths) == 3


@pytest.mark.parametrize("files", [[], ["notes.txt"]])
def test_a_folder_without_dicom_is_refused(tmp_path, files):
    for name in files:
        (tmp_path / name).write_text("Dear reader")

    with pytest.raises(FormatError, match=r"^the folder holds no DICOM file; expected those of a series\.$"):
        read_volume(tmp_path)


def test_a_folder_without_permission_is_told_without_its_path(tmp_path, monkeypatch):
    def denied(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(dicom_files.os, "scandir", denied)
    with pytest.raises(FormatError, match=r"^the folder cannot be read: Permission denied\.$"):
        read_volume(tmp_path)


def test_a_zip_is_a_series(tmp_path, series, temporary):
    files = {f"patient/study/{path.name}": path for path in series} | {"patient/README": b"Dear reader"}
    path = zipped(tmp_path / "series.zip", files)
    volume = read_volume(path)
    (unpacked,) = temporary.iterdir()

    assert np.array_equal(volume.array, VALUES)
    assert volume.source.path == path
    assert [one.path.name for one in volume.source.header.instances] == [one.name for one in series]
    assert all(file.is_file() for file in volume.source.header.files)
    assert unpacked.stat().st_mode & 0o077 == 0
    del volume
    gc.collect()
    assert not list(temporary.iterdir())


@pytest.mark.parametrize("name", ["../../outside", "/outside", "..\\outside", "C:\\outside", "a/../../outside"])
def test_no_member_leaves_the_temporary_folder(tmp_path, series, temporary, name):
    volume = read_volume(zipped(tmp_path / "series.zip", {name: series[0]}))

    assert all(temporary in file.parents for file in volume.source.header.files)
    assert not list(tmp_path.rglob("outside")) or all(temporary in one.parents for one in tmp_path.rglob("outside"))
    assert volume.source.header.files[0].name == "outside"


def test_a_zip_that_unpacks_to_too_much_is_refused_unwritten(tmp_path, temporary, monkeypatch):
    path = zipped(tmp_path / "bomb.zip", {"IM0": bytes(128) + b"DICM" + bytes(2**22)})
    assert path.stat().st_size < 2**14
    monkeypatch.setattr(dicom_files, "LARGEST_UNPACKED_BYTES", 2**20)

    with pytest.raises(FormatError, match=r"^bomb\.zip unpacks to 1 files of 0\.0 GiB; expected at most"):
        read_volume(path)
    gc.collect()
    assert not list(temporary.iterdir())


def test_a_zip_of_too_many_files_is_refused(tmp_path, series, monkeypatch):
    monkeypatch.setattr(dicom_files, "MOST_MEMBERS", 2)

    with pytest.raises(FormatError, match="unpacks to 3 files"):
        read_volume(zipped(tmp_path / "series.zip", {path.name: path for path in series}))


def test_a_member_that_lies_about_its_size_gives_no_more_than_it_says(tmp_path, series):
    path = zipped(tmp_path / "series.zip", {"IM0": series[0]})
    content = bytearray(path.read_bytes())
    true_size = series[0].stat().st_size.to_bytes(4, "little")
    path.write_bytes(bytes(content).replace(true_size, (140).to_bytes(4, "little")))

    with pytest.raises(FormatError, match=r"series\.zip cannot be read"):
        read_volume(path)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"PK\x03\x04 and no more", "is not a zip file"),
        (b"Dear reader", "is not a zip file"),
    ],
)
def test_what_is_no_zip_is_told(tmp_path, content, words):
    (tmp_path / "series.zip").write_bytes(content)

    with pytest.raises(FormatError, match=rf"series\.zip .*{words}"):
        read_volume(tmp_path / "series.zip")


def test_damaged_encrypted_and_empty_zips_are_told(tmp_path, series):
    path = zipped(tmp_path / "series.zip", {"IM0": series[0]})
    content = bytearray(path.read_bytes())
    content[100] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(FormatError, match=r"^series\.zip cannot be read: .*; it may be damaged or incomplete\.$"):
        read_volume(path)

    path = zipped(tmp_path / "secret.zip", {"IM0": series[0]})
    content = bytearray(path.read_bytes())
    content[content.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(content)
    with pytest.raises(FormatError, match=r"secret\.zip is encrypted"):
        read_volume(path)

    with pytest.raises(FormatError, match=r"notes\.zip holds no DICOM file"):
        read_volume(zipped(tmp_path / "notes.zip", {"a.txt": b"Dear reader", "b/": b""}))


def test_a_file_is_taken_as_it_is(tmp_path):
    path = write(picture(VALUES[0]), tmp_path / "picture")

    assert find_files(path).paths == (path,)
