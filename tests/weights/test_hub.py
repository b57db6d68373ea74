"""Files come from the hub at one commit; every trouble is one line that says what to do."""

import subprocess
import sys
from http.server import BaseHTTPRequestHandler
from types import SimpleNamespace

import huggingface_hub
import pytest
from huggingface_hub import errors as hub_errors
from huggingface_hub.utils import are_progress_bars_disabled

from medsam2.errors import CheckpointError
from medsam2.weights.hub import fetch_file, find_revision

OLD, NEW = "a" * 40, "b" * 40


def test_weights_that_are_here_need_no_hub():
    check = "import sys; sys.modules['huggingface_hub'] = None; import medsam2.weights as w; w.fetch('starter')"
    subprocess.run([sys.executable, "-c", check], check=True, timeout=60)


def test_a_file_is_fetched_at_its_commit(hub, entries, tmp_path):
    hub.files = {
        ("someone/weights", OLD, "known.pt"): b"old",
        ("someone/weights", NEW, "known.pt"): b"new",
    }
    assert fetch_file(entries["known"], OLD, tmp_path / "there", progress=False).read_bytes() == b"old"
    assert all(f"/resolve/{OLD}/" in path for path in hub.asked)


def test_the_newest_commit_is_found(hub, entries):
    hub.files = {("someone/weights", OLD, "unknown.pt"): b"old", ("someone/weights", NEW, "unknown.pt"): b"new"}
    assert find_revision(entries["unknown"], None) == NEW
    assert find_revision(entries["unknown"], OLD) == OLD


def test_a_missing_file_is_named(hub, entries, tmp_path):
    for ask in (
        lambda: find_revision(entries["known"], OLD),
        lambda: fetch_file(entries["known"], OLD, tmp_path, False),
    ):
        with pytest.raises(CheckpointError, match=r"'known' \(someone/weights, known\.pt\).*has no such file any more"):
            ask()


def test_a_hub_out_of_reach_is_told_at_once(entries, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")  # the port of a service that nobody runs any more
    with pytest.raises(CheckpointError, match=r"http://127\.0\.0\.1:9 cannot be reached"):
        find_revision(entries["known"], OLD)


@pytest.mark.parametrize(
    "error",
    [
        hub_errors.LocalEntryNotFoundError("no\nnetwork"),
        hub_errors.OfflineModeIsEnabled("offline"),
        ConnectionResetError("reset"),
        TimeoutError("slow"),
    ],
)
def test_without_network_one_line_names_the_import_command(error, entries, tmp_path, monkeypatch):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", fail)
    with pytest.raises(CheckpointError) as raised:
        fetch_file(entries["known"], OLD, tmp_path, progress=False)
    message = str(raised.value)
    assert "cannot be reached" in message
    assert message.endswith("run: medsam2 weights import FILE --name known")
    assert "\n" not in message


def test_a_download_that_breaks_off_is_told(hub, entries, tmp_path, monkeypatch):
    hub.files = {("someone/weights", OLD, "known.pt"): b"all of it"}

    def cut(handler, name, value):
        send(handler, name, "1000" if name == "Content-Length" else value)

    send = BaseHTTPRequestHandler.send_header
    monkeypatch.setattr(BaseHTTPRequestHandler, "send_header", cut)
    monkeypatch.setattr("time.sleep", lambda _: None)  # between the client's attempts
    with pytest.raises(CheckpointError, match=rf"cannot be downloaded: {hub.url} cannot be reached"):
        fetch_file(entries["known"], OLD, tmp_path, progress=False)


def test_what_the_hub_answers_is_passed_on(entries, tmp_path, monkeypatch):
    def fail(*_, **__):
        response = SimpleNamespace(headers={}, request=None)
        raise hub_errors.HfHubHTTPError("503 Server Error\nmore", response=response)

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", fail)
    with pytest.raises(CheckpointError, match=r"answered: 503 Server Error\. Download that file elsewhere"):
        fetch_file(entries["known"], OLD, tmp_path, progress=False)


def test_a_server_that_is_not_the_hub_is_refused(hub, entries):
    hub.files = {("someone/weights", "", "unknown.pt"): b"no commit"}
    with pytest.raises(CheckpointError, match=rf"names no commit; is {hub.url} the hub\?"):
        find_revision(entries["unknown"], None)


def test_weights_of_the_package_are_not_on_the_hub(entries, tmp_path):
    with pytest.raises(CheckpointError, match="'starter' come with medsam2 and are not on the hub"):
        fetch_file(entries["starter"], OLD, tmp_path, progress=False)


@pytest.mark.parametrize("shown", [True, False])
def test_progress_bars_are_as_asked_and_then_as_before(shown, entries, tmp_path, monkeypatch):
    seen = []

    def download(*_, **__):
        seen.append(not are_progress_bars_disabled())
        return str(tmp_path)

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    fetch_file(entries["known"], OLD, tmp_path, progress=shown)
    assert seen == [shown]
    assert not are_progress_bars_disabled()
