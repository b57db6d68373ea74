"""Files are written whole or not at all."""

import pytest

from medsam2.files import written_whole


def test_the_file_appears_when_it_is_complete(tmp_path):
    path = tmp_path / "new" / "report.json"
    with written_whole(path) as draft:
        draft.write_text("half")
        assert not path.exists()
    assert path.read_text() == "half"
    assert list(path.parent.iterdir()) == [path]


def fail_half_way(path):
    with written_whole(path) as draft:
        draft.write_text("new")
        raise RuntimeError("disk on fire")


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "report.json"
    path.write_text("old")
    with pytest.raises(RuntimeError, match="disk on fire"):
        fail_half_way(path)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_refers_to_another_is_moved_last(tmp_path):
    path = tmp_path / "volume.mhd"
    with written_whole(path) as draft:
        draft.write_text("ElementDataFile = volume.raw")
        (draft.parent / "volume.raw").write_bytes(b"voxels")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["volume.mhd", "volume.raw"]
