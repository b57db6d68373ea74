"""The Hugging Face hub, as far as it is needed: one file at one commit.

Its client is imported when something is to be downloaded: no weights that are here need it.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from medsam2.errors import CheckpointError
from medsam2.weights.registry import WeightsEntry


def find_revision(entry: WeightsEntry, wanted: str | None) -> str:
    """The commit that the file of `entry` is to be downloaded at.

    Asking first also tells at once that the hub is out of reach; a download would try again and again.

    Args:
        entry: what is to be downloaded.
        wanted: the commit to hold to; None takes the newest.

    Raises:
        CheckpointError: the hub cannot be reached, or has no such file.
    """
    from huggingface_hub import get_hf_file_metadata, hf_hub_url

    with _hub_errors(entry):
        url = hf_hub_url(_repository(entry), entry.file, revision=wanted, endpoint=_endpoint())
        found = get_hf_file_metadata(url).commit_hash
    revision = wanted or found
    if revision is None:
        raise CheckpointError(f"the server that answered for '{entry.name}' names no commit; is {_host()} the hub?")
    return revision


def fetch_file(entry: WeightsEntry, revision: str, folder: Path, progress: bool) -> Path:
    """Download the file of `entry` at a commit into `folder`; an interrupted download goes on where it ended.

    Raises:
        CheckpointError: the hub cannot be reached, or has no such file at that commit.
    """
    from huggingface_hub import hf_hub_download

    with _hub_errors(entry), _progress_bars(progress):
        path = hf_hub_download(
            _repository(entry), entry.file, revision=revision, local_dir=folder, endpoint=_endpoint()
        )
    return Path(path)


def _repository(entry: WeightsEntry) -> str:
    if entry.repository is None:
        raise CheckpointError(f"the weights '{entry.name}' come with medsam2 and are not on the hub")
    return entry.repository


def _endpoint() -> str | None:
    """A mirror of the hub, if the user has named one after the hub's client was imported."""
    return os.environ.get("HF_ENDPOINT") or None


def _host() -> str:
    from huggingface_hub import constants

    return _endpoint() or constants.ENDPOINT


@contextmanager
def _progress_bars(shown: bool) -> Iterator[None]:
    """Switch the client's progress bars, which are a global setting."""
    from huggingface_hub.utils import (  # type: ignore[attr-defined]  # documented there, but not typed
        are_progress_bars_disabled,
        disable_progress_bars,
        enable_progress_bars,
    )

    if shown or are_progress_bars_disabled():
        yield
        return
    disable_progress_bars()
    try:
        yield
    finally:
        enable_progress_bars()


@contextmanager
def _hub_errors(entry: WeightsEntry) -> Iterator[None]:
    """Say in one line what went wrong and how to do without a network."""
    from huggingface_hub import errors as hub_errors

    transport_errors = _transport_errors(hub_errors.HfHubHTTPError)
    try:
        yield
    except (hub_errors.LocalEntryNotFoundError, hub_errors.OfflineModeIsEnabled) as error:
        raise _unavailable(entry, f"{_host()} cannot be reached") from error
    except (
        hub_errors.RepositoryNotFoundError,
        hub_errors.RevisionNotFoundError,
        hub_errors.EntryNotFoundError,
    ) as error:
        raise _unavailable(entry, f"{_host()} has no such file any more") from error
    except hub_errors.HfHubHTTPError as error:
        raise _unavailable(entry, f"{_host()} answered: {str(error).splitlines()[0]}") from error
    except transport_errors as error:
        raise _unavailable(entry, f"{_host()} cannot be reached") from error


def _transport_errors(hub_error: type[Exception]) -> tuple[type[Exception], ...]:
    """The system's, and those of the HTTP library behind the hub's client: the hub's own error is one of them.

    It is another library in each major version of the client, which has no public name for its errors.
    """
    known = ("builtins", hub_error.__module__)
    foreign = [base for base in hub_error.__mro__ if issubclass(base, Exception) and base.__module__ not in known]
    return ConnectionError, TimeoutError, *foreign


def _unavailable(entry: WeightsEntry, reason: str) -> CheckpointError:
    return CheckpointError(
        f"the weights '{entry.name}' ({entry.repository}, {entry.file}) cannot be downloaded: {reason}. Download that "
        f"file elsewhere and run: medsam2 weights import FILE --name {entry.name}"
    )
