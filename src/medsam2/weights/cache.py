"""Where published weights lie on this machine: downloads, checks, and files brought by hand.

    <cache>/weights/<name>/<file>       the weights
    <cache>/weights/<name>/lock.json    which commit they are of, and their SHA-256 sum
    <cache>/weights/<name>/download/    a download under way; an interrupted one is resumed
    <cache>/weights/<name>.lock         empty; held by the process that brings the weights, while others wait

A file without its `lock.json` is not used: that is written last, once everything is checked. It stays when the file is
deleted, so that the next download is held to the same commit and sum.
"""

import json
import logging
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib import resources
from pathlib import Path

from filelock import FileLock, Timeout

from medsam2.errors import CheckpointError
from medsam2.weights.checkpoint_files import read_checkpoint, reason, sha256_of, written_whole
from medsam2.weights.hub import fetch_file, find_revision
from medsam2.weights.keys import rename
from medsam2.weights.registry import WeightsEntry, find_entry

CACHE_VARIABLE = "MEDSAM2_CACHE"
"""Environment variable that moves the cache."""

LOCK_FILE = "lock.json"

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class WeightsLock:
    """What is known of the file in the cache.

    Attributes:
        file: its name.
        sha256: its sum.
        revision: the commit it was downloaded at; None for a file brought by hand.
    """

    file: str
    sha256: str
    revision: str | None = None


def cache_directory() -> Path:
    """The folder for everything that medsam2 keeps between runs: `MEDSAM2_CACHE`, or the platform's place for it."""
    chosen = os.environ.get(CACHE_VARIABLE)
    if chosen:
        return Path(chosen).expanduser()
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "medsam2"
    variable, usual = ("LOCALAPPDATA", "AppData/Local") if sys.platform == "win32" else ("XDG_CACHE_HOME", ".cache")
    return Path(os.environ.get(variable) or Path.home() / usual) / "medsam2"


def find_file(entry: WeightsEntry) -> Path | None:
    """Where the weights of `entry` lie on this machine; None if they are not there yet."""
    if entry.repository is None:
        bundled = Path(str(resources.files("medsam2.weights") / "bundled" / entry.file))
        return bundled if bundled.is_file() else None
    lock = read_lock(entry)
    path = _folder(entry) / entry.file
    return path if lock is not None and path.is_file() else None


def read_lock(entry: WeightsEntry) -> WeightsLock | None:
    """What the cache knows of `entry`, if anything.

    Raises:
        CheckpointError: the record is damaged.
    """
    path = _folder(entry) / LOCK_FILE
    if not path.is_file():
        return None
    try:
        return WeightsLock(**json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise CheckpointError(
            f"{path}, the record of the weights '{entry.name}', is damaged; delete {path.parent} and get them again"
        ) from error


def trusted_sha256(entry: WeightsEntry) -> str | None:
    """The sum that the weights of `entry` must have: the registry's, else the one seen first on this machine."""
    if entry.sha256 is not None:
        return entry.sha256
    lock = read_lock(entry)
    return None if lock is None else lock.sha256


def fetch(name: str, progress: bool = False) -> Path:
    """The weights called `name`, downloaded if they are not on this machine yet.

    Args:
        name: a name of the registry.
        progress: show a progress bar.

    Raises:
        CheckpointError: the name is unknown, the weights cannot be downloaded, or are not the expected ones.
    """
    entry = find_entry(name)
    found = find_file(entry)
    if found is not None:
        return found
    if entry.repository is None:
        raise CheckpointError(
            f"the weights '{entry.name}' should come with medsam2 and are not in this installation; install medsam2 "
            "from a release, or name a weights file"
        )
    return _download(entry, progress)


def _download(entry: WeightsEntry, progress: bool) -> Path:
    """Download into a folder of its own, check, and only then move into place."""
    with _one_at_a_time(entry):
        found = find_file(entry)
        if found is not None:
            return found  # another process has brought it while this one waited
        lock = read_lock(entry)
        revision = find_revision(entry, entry.revision or (lock.revision if lock else None))
        logger.info("downloading the weights '%s' to %s", entry.name, _folder(entry))
        with _file_errors(entry):
            staged = fetch_file(entry, revision, _folder(entry) / "download", progress)
            return _accept(entry, staged, sha256_of(staged), revision)


def import_file(path: Path, name: str) -> Path:
    """Bring a file that was downloaded elsewhere into the cache, under a name of the registry.

    The file must be whole and hold the weights of the right network, and have the right SHA-256 sum where one is
    known.

    Raises:
        CheckpointError: it is not that file; or `name` is unknown or comes with the package.
    """
    entry = find_entry(name)
    if entry.repository is None:
        raise CheckpointError(f"the weights '{name}' come with medsam2; there is nothing to import")
    sha256 = check_file(path, entry)
    _check_fits(path, entry)
    with _one_at_a_time(entry), _file_errors(entry):
        staging = _folder(entry) / "import"
        staging.mkdir(parents=True, exist_ok=True)
        staged = staging / entry.file
        shutil.copyfile(path, staged)
        return _accept(entry, staged, sha256, None)


def _check_fits(path: Path, entry: WeightsEntry) -> None:
    state = read_checkpoint(path).state
    try:
        rename(state, entry.config)
    except CheckpointError as error:
        raise CheckpointError(f"{path} is not '{entry.name}': {error}") from error


def check_file(path: Path, entry: WeightsEntry) -> str:
    """The SHA-256 sum of a file, which must be the one that `entry` is known by.

    Raises:
        CheckpointError: there is no such file, or its sum is another.
    """
    if not path.is_file():
        raise CheckpointError(f"{path} does not exist; expected the file '{entry.file}' of the weights '{entry.name}'")
    sha256 = sha256_of(path)
    _compare(entry, path, sha256)
    return sha256


def _accept(entry: WeightsEntry, staged: Path, sha256: str, revision: str | None) -> Path:
    """Move a staged file into place and write its lock, if its sum is the expected one; remove it otherwise."""
    folder = _folder(entry)
    try:
        _compare(entry, staged, sha256)
        staged.replace(folder / entry.file)
    finally:
        shutil.rmtree(staged.parent, ignore_errors=True)
    lock = read_lock(entry)
    kept = revision or (lock.revision if lock else None)
    with written_whole(folder / LOCK_FILE) as draft:
        draft.write_text(json.dumps(asdict(WeightsLock(entry.file, sha256, kept)), indent=2), encoding="utf-8")
    return folder / entry.file


def _compare(entry: WeightsEntry, path: Path, sha256: str) -> None:
    expected = trusted_sha256(entry)
    if expected is None or sha256 == expected:
        return
    if entry.sha256 is not None:
        way_out = "it is damaged or another version: get it again"
    else:
        way_out = f"the file has changed since; if that is meant, delete {_folder(entry) / LOCK_FILE} and get it again"
    raise CheckpointError(
        f"{path} is not the file known as '{entry.name}': its SHA-256 is {sha256}, expected {expected}; {way_out}"
    )


def _folder(entry: WeightsEntry) -> Path:
    return cache_directory() / "weights" / entry.name


@contextmanager
def _one_at_a_time(entry: WeightsEntry) -> Iterator[None]:
    """Wait until no other process or thread brings these weights: all do it in the same folders, and remove them."""
    folder = _folder(entry)
    lock = FileLock(folder.with_name(f"{entry.name}.lock"))
    with _file_errors(entry):
        folder.parent.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire(blocking=False)
        except Timeout:
            logger.info("waiting for another process that brings the weights '%s'", entry.name)
            lock.acquire()
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _file_errors(entry: WeightsEntry) -> Iterator[None]:
    """Tell the user what to do when the cache cannot be written."""
    try:
        yield
    except OSError as error:
        raise CheckpointError(
            f"the weights '{entry.name}' cannot be written to {_folder(entry)} ({reason(error)}); make room, "
            f"or move the cache with the environment variable {CACHE_VARIABLE}"
        ) from error
