"""A run's folder is checked before anything is learnt."""

import json
import os
import subprocess
import sys
from collections import namedtuple

import pytest

from medsam2.errors import FormatError
from medsam2.training import run_folder as module
from medsam2.training.recipe_files import read_recipe
from medsam2.training.run_folder import RunFolder
from training.tiny_runs import recipe_of


def test_a_folder_is_made_and_left_empty(tmp_path):
    folder = RunFolder(tmp_path / "deep" / "run")
    folder.check(1000)
    assert list(folder.path.iterdir()) == []


def test_a_file_in_the_way_is_named(tmp_path):
    (tmp_path / "run").write_text("a file")
    with pytest.raises(FormatError, match=r"run: cannot be written to \(.+\); choose another folder"):
        RunFolder(tmp_path / "run").check(1000)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_may_not_be_written_to_is_named(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(FormatError, match="cannot be written to"):
        RunFolder(tmp_path).check(1000)


OWNER = """
import sys, time
from pathlib import Path
from medsam2.training.run_folder import RunFolder
with RunFolder(Path(sys.argv[1])).owned():
    print("mine", flush=True)
    time.sleep(60)
"""


def test_one_process_owns_a_folder_until_it_ends_or_is_killed(tmp_path):
    folder = RunFolder(tmp_path / "run")
    command = [sys.executable, "-c", OWNER, str(folder.path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "mine\n"
        with (
            pytest.raises(FormatError, match=r"run: another process is training in this folder; .* with -o"),
            folder.owned(),
        ):
            pass
        other.kill()
        other.wait()
        with folder.owned():
            pass


def test_a_folder_that_was_made_for_nothing_goes_again(tmp_path):
    folder = RunFolder(tmp_path / "deep" / "run")
    with pytest.raises(KeyError), folder.owned():
        raise KeyError
    assert list(tmp_path.iterdir()) == []
    with folder.owned():
        folder.write_splits({})
    with pytest.raises(KeyError), folder.owned():
        raise KeyError
    assert folder.splits.exists()
    (tmp_path / "mine").mkdir()
    with RunFolder(tmp_path / "mine").owned():
        pass
    assert (tmp_path / "mine").is_dir()


def test_a_file_in_the_way_of_an_owner_is_named(tmp_path):
    (tmp_path / "run").write_text("a file")
    with pytest.raises(FormatError, match=r"run: cannot be written to"), RunFolder(tmp_path / "run").owned():
        pass


def test_a_full_disk_is_found_before_the_run(tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(module.shutil, "disk_usage", lambda _: usage(1e9, 9e8, 1e8))
    RunFolder(tmp_path).check(10**7)
    with pytest.raises(FormatError, match="the disk has 100 MB left, the run needs 110 MB; make room"):
        RunFolder(tmp_path).check(11 * 10**6)


def test_the_recipe_beside_the_result_is_a_recipe(tmp_path):
    folder = RunFolder(tmp_path)
    folder.write_recipe(recipe_of())
    assert read_recipe(str(folder.recipe)) == recipe_of()


def test_splits_are_written(tmp_path):
    RunFolder(tmp_path).write_splits({"training": ["a"], "validation": ["b"]})
    assert json.loads((tmp_path / "splits.json").read_text()) == {"training": ["a"], "validation": ["b"]}


def test_a_disk_that_fills_up_is_named(tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module.Path, "write_text", full)
    with pytest.raises(FormatError, match=r"splits\.json: cannot be written \(No space left on device\)"):
        RunFolder(tmp_path).write_splits({})
    assert list(tmp_path.iterdir()) == []
