"""A real PACS for tests: Orthanc on a free port of this machine, with a password, in a folder of the test."""

import json
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import pydicom
import pytest
import requests

PLUGIN = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")
USER, PASSWORD = "radiology", "s3cret-Päss"
PATIENCE_SECONDS = 60


class Orthanc:
    """The running server: its address and what it holds."""

    def __init__(self, port):
        self.root = f"http://127.0.0.1:{port}"
        self.url = f"{self.root}/dicom-web"

    def upload(self, paths):
        for path in paths:
            self._ask("post", "/instances", data=Path(path).read_bytes())

    def instances(self):
        """The datasets of all that is stored."""
        ids = self._ask("get", "/instances").json()
        return [_dataset(self._ask("get", f"/instances/{one}/file").content) for one in ids]

    def clear(self):
        for one in self._ask("get", "/patients").json():
            self._ask("delete", f"/patients/{one}")

    def _ask(self, verb, path, **given):
        answer = requests.request(verb, self.root + path, auth=(USER, PASSWORD.encode()), timeout=30, **given)
        answer.raise_for_status()
        return answer


@contextmanager
def running_orthanc(folder):
    """Start Orthanc, or skip with a reason."""
    program = shutil.which("Orthanc") or shutil.which("Orthanc", path="/usr/sbin:/usr/local/sbin")
    if program is None or not PLUGIN.exists():
        pytest.skip("Orthanc (Debian packages orthanc and orthanc-dicomweb) is not installed")
    port = free_port()
    settings = {
        "Name": "medsam2",
        "StorageDirectory": str(folder / "store"),
        "IndexDirectory": str(folder / "store"),
        "HttpPort": port,
        "DicomServerEnabled": False,
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": True,
        "RegisteredUsers": {USER: PASSWORD},
        "Plugins": [str(PLUGIN)],
        "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
    }
    (folder / "orthanc.json").write_text(json.dumps(settings), encoding="utf-8")
    with (folder / "log").open("w") as log:
        process = subprocess.Popen([program, folder / "orthanc.json"], stdout=log, stderr=subprocess.STDOUT)
    try:
        _wait_for(port, process)
        yield Orthanc(port)
    finally:
        process.terminate()
        process.wait(PATIENCE_SECONDS)


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def _wait_for(port, process):
    until = time.monotonic() + PATIENCE_SECONDS
    while process.poll() is None and time.monotonic() < until:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/system", timeout=5)
        except urllib.error.HTTPError as error:
            error.close()
            if error.code == 401:  # it asks for the password, so it is there
                return
        except OSError:
            time.sleep(0.1)
    pytest.fail("Orthanc did not start")


def _dataset(content):
    return pydicom.dcmread(pydicom.filebase.DicomBytesIO(content))
