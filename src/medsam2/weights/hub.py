"""The Hugging Face hub, as far as it is needed: one file at one commit."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import huggingface_hub
from huggingface_hub import errors as hub_errors
from huggingface_hub.utils.tqdm import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars

from medsam2.errors import CheckpointError
from medsam2.weights.registry import WeightsEntry

# The base of the errors of the HTTP library behind the hub's client, another one in each of its major versions.
_TRANSPORT_ERROR: type[Exception] = vars(hub_errors)["HTTPError"]


def find_revision(entry: WeightsEntry, wanted: str | None) -> str:
    """The commit that the file of `entry` is to be downloaded at.

    Asking first also tells at once that the hub is out of reach; a download would try again and again.

    Args:
        entry: what is to be downloaded.
        wanted: the commit to hold to; None takes the newest.

    Raises:
        CheckpointError: the hub cannot be reached, or has no such file.
    """
    with _hub_errors(entry):
        url = huggingface_hub.hf_hub_url(_repository(entry), entry.file, revision=wanted, endpoint=_endpoint())
        found = huggingface_hub.get_hf_file_metadata(url).commit_hash
    revision = wanted or found
    if revision is None:
        raise CheckpointError(f"the server that answered for '{entry.name}' names no commit; is {_host()} the hub?")
    return revision


def fetch_file(entry: WeightsEntry, revision: str, folder: Path, progress: bool) -> Path:
    """Download the file of `entry` at a commit into `folder`; an interrupted download goes on where it ended.

    Raises:
        CheckpointError: the hub cannot be reached, or has no such file at that commit.
    """
    with _hub_errors(entry), _progress_bars(progress):
        path = huggingface_hub.hf_hub_download(
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
    return _endpoint() or huggingface_hub.constants.ENDPOINT


@contextmanager
def _progress_bars(shown: bool) -> Iterator[None]:
    """Switch the client's progress bars, which are a global setting."""
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
    except (_TRANSPORT_ERROR, ConnectionError, TimeoutError) as error:
        raise _unavailable(entry, f"{_host()} cannot be reached") from error


def _unavailable(entry: WeightsEntry, reason: str) -> CheckpointError:
    return CheckpointError(
        f"the weights '{entry.name}' ({entry.repository}, {entry.file}) cannot be downloaded: {reason}. Download that "
        f"file elsewhere and run: medsam2 weights import FILE --name {entry.name}"
    )
