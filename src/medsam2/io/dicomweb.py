"""Series from a PACS and results back to it, over DICOMweb (PS3.18), with dicomweb-client.

A series is found with QIDO-RS, fetched with WADO-RS into a folder of its own, which goes with the volume, and a result
is stored with STOW-RS, one instance in one request: it is stored or it is not. Nothing is tried twice. Passwords come
from the environment, never from a URL or a flag, which others can see; no message tells one, nor anything of the
patient.
"""

from __future__ import annotations

import ipaddress
import logging
import os
import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

import pydicom
import requests
import urllib3
from dicomweb_client.api import DICOMwebClient
from pydicom import Dataset

from medsam2.errors import ConfigurationError, FormatError, InputError
from medsam2.io import dicom
from medsam2.io.dicom_files import DicomFiles
from medsam2.io.dicom_header import HEADER_ERRORS, quiet
from medsam2.io.libraries import format_errors, silenced
from medsam2.spatial import Volume

USER, PASSWORD = "MEDSAM2_DICOMWEB_USER", "MEDSAM2_DICOMWEB_PASSWORD"
TOKEN = "MEDSAM2_DICOMWEB_TOKEN"
CERTIFICATE, KEY = "MEDSAM2_DICOMWEB_CERTIFICATE", "MEDSAM2_DICOMWEB_KEY"
"""Environment variables: basic authentication, a bearer token, or files of a client's certificate and its key."""

TIMEOUT_SECONDS = 60.0
"""How long the PACS may be silent, on connecting and while it sends."""

WHOLE_UID = re.compile(r"(?=.{1,64}$)[0-9]+(\.[0-9]+)+")

ANY_SYNTAX = (("application/dicom", "*"),)
"""Files as they are stored: compressed files stay so on the way."""

WORDS = {
    401: "asks for credentials: set {user} and {password}, or {token}",
    403: "does not allow that to these credentials: check {user} and {password}, or {token}",
    404: "has no DICOMweb service at that URL, or no such study: check --dicomweb, which often ends in /dicom-web",
    413: "refuses a file of this size",
    409: "refuses the instance",
    415: "does not take or give files of this kind",
}
"""What answers of a server mean."""

FAILURES: tuple[tuple[type[requests.RequestException], str], ...] = (
    (
        requests.exceptions.SSLError,
        "has a certificate that is not trusted: name its authority's file in REQUESTS_CA_BUNDLE",
    ),
    (
        requests.exceptions.ProxyError,
        "cannot be reached through the proxy that HTTP_PROXY or HTTPS_PROXY names",
    ),
    (requests.exceptions.ChunkedEncodingError, "broke off"),
    (requests.exceptions.InvalidJSONError, "answers something that is not DICOMweb: check the URL"),
    (requests.exceptions.ContentDecodingError, "answers something that is not DICOMweb: check the URL"),
    (requests.ConnectionError, "cannot be reached: check the URL, the network, and whether it runs"),
)
"""What errors of the connection mean; the special ones first."""

_TALKATIVE = ("dicomweb_client.web", "retrying", "urllib3.connectionpool")
"""Loggers whose records quote UIDs, answers and tracebacks."""


class Pacs:
    """A DICOMweb service.

    Args:
        url: Of the service, e.g. https://pacs.example/dicom-web.
        timeout_seconds: How long it may be silent.
        environment: Where credentials are looked for; None: the process's own.

    Raises:
        ConfigurationError: The URL is none, holds a password, or the credentials contradict each other.

    Attributes:
        notes: What the user should know of the connection, one sentence each.
    """

    def __init__(
        self, url: str, timeout_seconds: float = TIMEOUT_SECONDS, environment: Mapping[str, str] | None = None
    ) -> None:
        parts = _checked_url(url)
        if not timeout_seconds > 0:
            raise ConfigurationError(f"the PACS's timeout is {timeout_seconds:g} s; expected more than 0")
        self._place = f"the PACS at {parts.scheme}://{parts.hostname}{f':{parts.port}' if parts.port else ''}"
        self._timeout = timeout_seconds
        given = os.environ if environment is None else environment
        self._session = session = _session(given)
        self._responses: list[requests.Response] = []
        session.hooks["response"].append(lambda response, *_, **__: self._responses.append(response))
        with quiet():
            self._client = DICOMwebClient(url.rstrip("/"), session=session, timeout=timeout_seconds)
        self._client.set_http_retry_params(retry=False)
        is_secret = session.auth is not None
        is_open = parts.scheme == "http" and not _is_loopback(parts.hostname or "")
        self.notes = (
            ("The credentials and images go to the PACS unencrypted; use https.",) if is_secret and is_open else ()
        )

    def read(self, series: str, study: str | None = None, volume_index: int | None = None) -> Volume:
        """Fetch a series and read it.

        Args:
            series: Its series instance UID.
            study: Its study instance UID, for services that do not search all studies.
            volume_index: Which volume of a series of several, from 0.

        Raises:
            InputError: The UID is none, or the PACS has no such series.
            FormatError: The PACS is down, slow, refuses, or does not send all images; or the series cannot be read.
            GeometryError: The header's directions or spacings are none.
            MissingDependencyError: The package that decompresses the pixels is not installed.
        """
        for name, uid in (("--series", series), ("--study", study)):
            if uid is not None and not WHOLE_UID.fullmatch(uid):
                raise InputError(f"{name} is '{uid}'; expected a whole UID, as the PACS shows it: digits and dots")
        study, count = self._found(series, study)
        folder = Path(tempfile.mkdtemp(prefix="medsam2-dicom-"))
        files = DicomFiles((), folder)
        with ExitStack() as on_failure:
            on_failure.callback(files.remove)
            with self._answers("sending the series"):
                sent = self._client.iter_series(study, series, media_types=ANY_SYNTAX)
                files.paths = tuple(_saved(sent, series, folder))
            if not files.paths or len(files.paths) < count:
                raise FormatError(
                    f"{self._place} sent {len(files.paths)} of {max(count, 1)} images of the series; nothing was "
                    "read. Try again, or check whether it is still receiving the series."
                )
            volume = dicom.read_files(files, folder, volume_index)
            on_failure.pop_all()
        return volume

    def store(self, path: Path) -> None:
        """Store a DICOM file.

        Raises:
            FormatError: The file cannot be read, or the PACS is down, slow or refuses it.
        """
        with quiet():
            dataset = pydicom.dcmread(path)
        # In one piece, with its length: not every service takes chunks.
        self._client.set_chunk_size(path.stat().st_size + 2**20)
        with self._answers(f"storing {path.name}, which is written all the same"):
            answer = self._client.store_instances([dataset])
        stored = {str(item.ReferencedSOPInstanceUID) for item in answer.get("ReferencedSOPSequence") or ()}
        failed = list(answer.get("FailedSOPSequence") or ())
        if failed or str(dataset.SOPInstanceUID) not in stored:
            reason = failed[0].get("FailureReason") if failed else None
            told = f" (failure reason {reason:04X}h)" if isinstance(reason, int) else ""
            raise FormatError(f"{self._place} did not store {path.name}{told}; the file itself is written.")

    def _found(self, series: str, study: str | None) -> tuple[str, int]:
        """Search for a series: the study that it is in, and how many images it has, 0 if that is not said."""
        with self._answers("searching for the series"):
            found = self._client.search_for_series(
                study_instance_uid=study,
                search_filters={"SeriesInstanceUID": series},
                fields=["StudyInstanceUID", "NumberOfSeriesRelatedInstances"],
            )
            # Some services ignore a filter that they do not know.
            items = [item for item in map(Dataset.from_json, found) if item.get("SeriesInstanceUID") == series]
            places = [(str(item.get("StudyInstanceUID") or study or ""), item) for item in items]
            answer = [(uid, int(item.get("NumberOfSeriesRelatedInstances") or 0)) for uid, item in places if uid]
        if not answer:
            raise InputError(
                f"{self._place} has no series of the UID that --series gives"
                f"{' in that study' if study else ''}; check it, or name the study with --study"
            )
        return answer[0]

    @contextmanager
    def _answers(self, action: str) -> Iterator[None]:
        """Turn what goes wrong with the PACS into one line without headers, UIDs or credentials.

        Args:
            action: What it is doing.

        Raises:
            FormatError: Something went wrong.
        """
        try:
            with ExitStack() as stack:
                stack.enter_context(quiet())
                for name in _TALKATIVE:
                    stack.enter_context(silenced(logging.getLogger(name)))
                yield
        except requests.RequestException as error:
            raise FormatError(f"{self._place} {self._problem(error)} ({action}).") from error
        except urllib3.exceptions.HTTPError as error:
            raise FormatError(f"{self._place} broke off ({action}).") from error
        except HEADER_ERRORS as error:
            raise FormatError(
                f"{self._place} answers something that is not DICOMweb ({action}); check the URL, and whether a proxy "
                "or a login page stands before it."
            ) from error
        finally:
            # What was read as a stream and broke off holds a connection that the session no longer knows.
            for response in self._responses:
                response.close()
            self._responses.clear()
            self._session.close()

    def _problem(self, error: requests.RequestException) -> str:
        """Say what an error of a request means."""
        response = error.response
        if response is not None:
            words = WORDS.get(response.status_code, "").format(user=USER, password=PASSWORD, token=TOKEN)
            return words or f"answers {response.status_code} ({_class_of(response.status_code)})"
        if isinstance(error, requests.Timeout) or _holds(error, urllib3.exceptions.ReadTimeoutError):
            return f"did not answer within {self._timeout:g} s"
        if _holds(error, urllib3.exceptions.ProtocolError):
            return "broke off"
        return next((words for kind, words in FAILURES if isinstance(error, kind)), "cannot be spoken to")


class _Bearer(requests.auth.AuthBase):
    """Sends a token; as authentication, so that it is left out where a redirection leads elsewhere."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


def _checked_url(url: str) -> SplitResult:
    problem = ConfigurationError("the URL of --dicomweb is none; expected one like https://pacs.example/dicom-web")
    try:
        parts = urlsplit(url)
        port_is_fine = parts.port is None or parts.port > 0
    except ValueError as error:
        raise problem from error
    if parts.username is not None or parts.password is not None:
        raise ConfigurationError(
            f"the URL of --dicomweb holds a user or a password, which others can see; set {USER} and {PASSWORD} instead"
        )
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment or not port_is_fine:
        raise problem
    return parts


def _session(environment: Mapping[str, str]) -> requests.Session:
    user, password, token = (environment.get(name, "") for name in (USER, PASSWORD, TOKEN))
    if token and (user or password):
        raise ConfigurationError(f"both {TOKEN} and {USER} or {PASSWORD} are set; expected one way to authenticate")
    if password and not user:
        raise ConfigurationError(f"{PASSWORD} is set, but {USER} is not; expected both")
    if not token.isprintable() or not token.isascii():
        raise ConfigurationError(f"{TOKEN} holds signs that no token has; expected letters, digits and -._~+/=")
    session = requests.Session()
    if token:
        session.auth = _Bearer(token.strip())
    elif user:
        session.auth = requests.auth.HTTPBasicAuth(user.encode(), password.encode())
    files = [environment[name] for name in (CERTIFICATE, KEY) if environment.get(name)]
    for file in files:
        if not Path(file).is_file():
            raise ConfigurationError(f"{file}, which {CERTIFICATE} or {KEY} names, is no file; expected a PEM file")
    session.cert = (files[0], files[1]) if len(files) == 2 else files[0] if files else None
    return session


def _saved(sent: Iterable[Any], series: str, folder: Path) -> Iterator[Path]:
    """Write datasets as they come, one file each.

    Raises:
        ValueError: One is of another series.
    """
    for number, dataset in enumerate(sent, start=1):
        if dataset.SeriesInstanceUID != series:
            raise ValueError("another series")
        path = folder / f"{number:06d}.dcm"
        with format_errors(Path("The temporary folder"), "written"):
            dataset.save_as(path)
        yield path


def _holds(error: BaseException, kind: type[BaseException]) -> bool:
    """Tell whether an error of a kind is among what another one was made of."""
    inner = [one for one in (*error.args, error.__cause__, error.__context__) if isinstance(one, BaseException)]
    reason = getattr(error, "reason", None)
    inner += [reason] if isinstance(reason, BaseException) else []
    return isinstance(error, kind) or any(_holds(one, kind) for one in inner if one is not error)


def _class_of(status: int) -> str:
    return "an error of the server" if status >= 500 else "it refuses the request"


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
