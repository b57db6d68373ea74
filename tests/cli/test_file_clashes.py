"""Files that are read and written under several names."""

from pathlib import Path

import pytest

from medsam2.cli.file_clashes import refuse_clashes
from medsam2.errors import ConfigurationError


def test_a_file_may_be_read_twice_and_older_results_be_written_over(tmp_path):
    (tmp_path / "scan").touch()
    (tmp_path / "old").touch()
    read = [("input", tmp_path / "scan"), ("template", tmp_path / "scan"), ("model", Path("starter"))]
    refuse_clashes(read, [("output", tmp_path / "old"), ("report", tmp_path / "new")])


@pytest.mark.parametrize("name", ["scan", "folder/../scan", "symbolic", "hard"])
def test_a_file_is_known_by_each_of_its_names(tmp_path, name):
    scan = tmp_path / "scan"
    scan.touch()
    (tmp_path / "folder").mkdir()
    (tmp_path / "symbolic").symlink_to(scan)
    (tmp_path / "hard").hardlink_to(scan)
    with pytest.raises(ConfigurationError, match="is given twice, as input and as output, and one would be lost"):
        refuse_clashes([("input", scan)], [("output", tmp_path / name)])


def test_two_outputs_that_are_not_there_yet_are_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigurationError, match="new is given twice, as output and as preview"):
        refuse_clashes([], [("output", tmp_path / "a" / ".." / "new"), ("preview", Path("new"))])
