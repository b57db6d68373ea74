"""Weights are downloaded once, checked, and kept; files brought by hand are checked alike."""

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path
from threading import Barrier, Event

import pytest
import torch
from filelock import FileLock

from medsam2.errors import CheckpointError
from medsam2.weights.cache import (
    LOCK_FILE,
    WeightsLock,
    cache_directory,
    check_file,
    fetch,
    find_file,
    import_file,
    read_lock,
    trusted_sha256,
)
from medsam2.weights.checkpoint_files import sha256_of
from medsam2.weights.registry import find_entry

NEWER = "c" * 40


@pytest.fixture
def served(hub, cache, entries, checkpoint):
    """The hub has both files."""
    hub.files = {
        ("someone/weights", "a" * 40, "known.pt"): checkpoint.read_bytes(),
        ("someone/weights", "b" * 40, "unknown.pt"): checkpoint.read_bytes(),
    }
    return hub


def test_the_cache_can_be_moved(monkeypatch, tmp_path):
    monkeypatch.setenv("MEDSAM2_CACHE", str(tmp_path))
    assert cache_directory() == tmp_path


@pytest.mark.parametrize(
    ("platform", "variable", "place"),
    [("linux", "XDG_CACHE_HOME", "medsam2"), ("win32", "LOCALAPPDATA", "medsam2")],
)
def test_the_cache_is_where_the_platform_keeps_caches(platform, variable, place, monkeypatch, tmp_path):
    monkeypatch.delenv("MEDSAM2_CACHE", raising=False)
    monkeypatch.setattr("sys.platform", platform)
    monkeypatch.setenv(variable, str(tmp_path))
    assert cache_directory() == tmp_path / place


@pytest.mark.parametrize(
    ("platform", "place"),
    [
        ("linux", ".cache/medsam2"),
        ("win32", "AppData/Local/medsam2"),
        ("darwin", "Library/Caches/medsam2"),
    ],
)
def test_the_cache_has_a_place_without_variables(platform, place, monkeypatch, tmp_path):
    for variable in ("MEDSAM2_CACHE", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr("sys.platform", platform)
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    assert cache_directory() == tmp_path / place


def test_a_download_is_kept_and_not_repeated(served, cache, entries, checkpoint):
    assert find_file(entries["known"]) is None
    path = fetch("known")
    assert path == cache / "weights" / "known" / "known.pt"
    assert path.read_bytes() == checkpoint.read_bytes()
    assert {file.name for file in path.parent.iterdir()} == {"known.pt", LOCK_FILE}
    served.asked.clear()
    assert fetch("known") == path
    assert served.asked == []


def at_once(many, work, monkeypatch):
    """Do some work in several threads that begin together; what each returned."""
    together = Barrier(many, timeout=30)

    def meet(name):
        together.wait()
        return find_entry(name)

    monkeypatch.setattr("medsam2.weights.cache.find_entry", meet)
    with ThreadPoolExecutor(many) as pool:
        return [future.result(timeout=30) for future in [pool.submit(work) for _ in range(many)]]


def test_several_that_want_the_same_weights_download_them_once(served, cache, checkpoint, monkeypatch):
    path = cache / "weights" / "known" / "known.pt"
    assert at_once(4, lambda: fetch("known"), monkeypatch) == [path] * 4
    assert path.read_bytes() == checkpoint.read_bytes()
    asked = list(served.asked)
    shutil.rmtree(cache)
    served.asked.clear()
    at_once(1, lambda: fetch("known"), monkeypatch)
    assert asked == served.asked


def test_who_waits_for_another_process_takes_what_it_has_brought(served, cache, checkpoint, monkeypatch):
    waits = Event()
    monkeypatch.setattr("medsam2.weights.cache.logger.info", lambda *_: waits.set())
    path = cache / "weights" / "known" / "known.pt"
    path.parent.mkdir(parents=True)
    with ThreadPoolExecutor(1) as pool:
        with FileLock(cache / "weights" / "known.lock"):
            fetched = pool.submit(fetch, "known")
            assert waits.wait(timeout=30)
            assert not fetched.done()
            shutil.copyfile(checkpoint, path)
            (path.parent / LOCK_FILE).write_text(json.dumps(asdict(WeightsLock("known.pt", sha256_of(checkpoint)))))
        assert fetched.result(timeout=30) == path
    assert served.asked == []


def test_several_can_import_the_same_file(cache, entries, checkpoint, monkeypatch):
    path = cache / "weights" / "known" / "known.pt"
    assert at_once(4, lambda: import_file(checkpoint, "known"), monkeypatch) == [path] * 4
    assert path.read_bytes() == checkpoint.read_bytes()


def test_a_wrong_sum_is_refused_and_leaves_nothing(served, cache, entries):
    served.files["someone/weights", "a" * 40, "known.pt"] = b"something else"
    with pytest.raises(CheckpointError, match=r"is not the file known as 'known': its SHA-256 is .* get it again"):
        fetch("known")
    assert find_file(entries["known"]) is None
    assert list((cache / "weights" / "known").iterdir()) == []


def test_the_first_download_is_recorded_and_held_to(served, entries, checkpoint):
    path = fetch("unknown")
    assert read_lock(entries["unknown"]) == WeightsLock("unknown.pt", sha256_of(checkpoint), "b" * 40)
    assert trusted_sha256(entries["unknown"]) == sha256_of(checkpoint)
    path.unlink()
    served.files["someone/weights", NEWER, "unknown.pt"] = b"a newer version"
    assert fetch("unknown").read_bytes() == checkpoint.read_bytes()


def test_a_changed_file_at_the_recorded_commit_is_refused(served, entries):
    fetch("unknown").unlink()
    served.files["someone/weights", "b" * 40, "unknown.pt"] = b"replaced by somebody"
    with pytest.raises(CheckpointError, match=r"the file has changed since; if that is meant, delete .*lock\.json"):
        fetch("unknown")


def test_a_file_without_its_lock_is_not_used(served, cache, entries, checkpoint):
    folder = cache / "weights" / "known"
    folder.mkdir(parents=True)
    (folder / "known.pt").write_bytes(b"half a file")
    assert find_file(entries["known"]) is None
    assert fetch("known").read_bytes() == checkpoint.read_bytes()


def test_a_damaged_lock_says_what_to_delete(served, cache, entries):
    (fetch("known").parent / LOCK_FILE).write_text("{", encoding="utf-8")
    with pytest.raises(CheckpointError, match=r"lock\.json, the record of the weights 'known', is damaged; delete"):
        find_file(entries["known"])


def test_unknown_names_are_answered_with_near_ones(entries):
    with pytest.raises(CheckpointError, match=r"no weights are called 'knwon' .* Did you mean 'known'"):
        fetch("knwon")


def test_the_starter_may_be_missing_from_an_installation(entries, monkeypatch, tmp_path):
    monkeypatch.setattr("importlib.resources.files", lambda _: tmp_path)
    with pytest.raises(CheckpointError, match=r"'starter' should come with medsam2 and are not in this installation"):
        fetch("starter")


def test_the_starter_lies_in_the_package(entries, monkeypatch, tmp_path):
    monkeypatch.setattr("importlib.resources.files", lambda _: tmp_path)
    (tmp_path / "bundled").mkdir()
    (tmp_path / "bundled" / "starter.safetensors").write_bytes(b"")
    assert fetch("starter") == tmp_path / "bundled" / "starter.safetensors"


def test_a_cache_that_cannot_be_written_is_named(served, cache):
    cache.mkdir()
    (cache / "weights").write_text("in the way", encoding="utf-8")
    with pytest.raises(CheckpointError, match=r"'known' cannot be written to .*MEDSAM2_CACHE"):
        fetch("known")


def test_an_imported_file_is_used_without_network(cache, entries, checkpoint):
    path = import_file(checkpoint, "known")
    assert path.read_bytes() == checkpoint.read_bytes()
    assert fetch("known") == path
    assert read_lock(entries["known"]) == WeightsLock("known.pt", sha256_of(checkpoint))
    assert checkpoint.exists()


def test_an_import_is_recorded_where_no_sum_is_known(cache, entries, checkpoint):
    import_file(checkpoint, "unknown")
    assert json.loads((cache / "weights" / "unknown" / LOCK_FILE).read_text()) == {
        "file": "unknown.pt",
        "sha256": sha256_of(checkpoint),
        "revision": None,
    }


def test_an_import_keeps_the_commit_that_is_known_already(served, entries, checkpoint):
    fetch("unknown")
    import_file(checkpoint, "unknown")
    assert read_lock(entries["unknown"]).revision == "b" * 40


def test_an_import_of_another_file_is_refused(cache, entries, tmp_path):
    other = tmp_path / "other.pt"
    torch.save({"model": {}}, other)
    with pytest.raises(CheckpointError, match=r"other\.pt is not the file known as 'known'"):
        import_file(other, "known")
    assert find_file(entries["known"]) is None


def test_an_import_of_another_network_is_refused(cache, entries, checkpoint, random_meta_state, tiny_network):
    state = random_meta_state(replace(tiny_network.config, feedforward=48))
    torch.save({"model": state}, checkpoint)
    with pytest.raises(CheckpointError, match=r"published\.pt is not 'unknown': the weights do not fit"):
        import_file(checkpoint, "unknown")
    assert find_file(entries["unknown"]) is None


def test_an_import_needs_a_file(entries, tmp_path):
    with pytest.raises(CheckpointError, match=r"does not exist; expected the file 'known\.pt' of the weights 'known'"):
        import_file(tmp_path / "nothing.pt", "known")


def test_the_starter_is_not_imported(entries, checkpoint):
    with pytest.raises(CheckpointError, match=r"'starter' come with medsam2; there is nothing to import"):
        import_file(checkpoint, "starter")


def test_a_file_in_the_cache_can_be_imported_in_place(cache, entries, checkpoint):
    there = cache / "weights" / "known" / "known.pt"
    there.parent.mkdir(parents=True)
    shutil.copyfile(checkpoint, there)
    assert import_file(there, "known") == there
    assert find_file(entries["known"]) == there


def test_a_checked_file_tells_its_sum(entries, checkpoint):
    assert check_file(checkpoint, entries["known"]) == entries["known"].sha256
