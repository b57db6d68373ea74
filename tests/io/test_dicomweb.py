"""Reading from and storing in a real Orthanc, and what other servers may do."""

import base64
import json
import logging
import socket
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pydicom
import pytest

from medsam2.errors import ConfigurationError, FormatError, InputError
from medsam2.io import read_volume, write_segmentation
from medsam2.io.dicomweb import CERTIFICATE, KEY, PASSWORD, TOKEN, USER, Pacs
from medsam2.spatial import Segmentation
from reference import orthanc
from reference.dicom_writing import OBLIQUE, uid, write_series

VALUES = np.random.default_rng(0).normal(100, 20, (5, 12, 10)).astype(np.int16)
ACCESS = {USER: orthanc.USER, PASSWORD: orthanc.PASSWORD}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with orthanc.running_orthanc(tmp_path_factory.mktemp("orthanc")) as running:
        yield running


@pytest.fixture
def stored(server, tmp_path):
    """A server that holds series 2 and 3 of one study, and the files of series 2."""
    server.clear()
    paths = write_series(tmp_path / "scan", VALUES, OBLIQUE, series=2)
    server.upload(paths + write_series(tmp_path / "other", VALUES[:2], series=3))
    return server, paths


def pacs(server, **environment):
    return Pacs(server.url, 30, environment or ACCESS)


def test_a_series_is_the_same_as_from_its_folder_and_leaves_nothing_behind(stored, tmp_path, monkeypatch):
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    expected = read_volume(tmp_path / "scan")
    for study in (None, uid(1)):
        volume = pacs(stored[0]).read(uid(2, 2), study)
        assert np.array_equal(volume.array, expected.array)
        assert np.array_equal(volume.geometry.affine, expected.geometry.affine)
        assert volume.source.header.series_uid == uid(2, 2)
        assert volume.source.name == "DICOM series"
    del volume
    assert list((tmp_path / "temporary").iterdir()) == []


def test_a_result_is_stored_and_comes_back(stored, tmp_path):
    server, _ = stored
    volume = pacs(server).read(uid(2, 2))
    labels = (volume.array > 110).astype(np.uint8)
    for name in ("result.dcm", "result.rtstruct.dcm"):
        path = tmp_path / name
        write_segmentation(Segmentation(labels, volume.geometry, {1: "liver"}, volume.source), path)
        pacs(server).store(path)
        written = pydicom.dcmread(path)
        (found,) = [one for one in server.instances() if one.SOPInstanceUID == written.SOPInstanceUID]
        assert found.StudyInstanceUID == uid(1)
        if name == "result.dcm":
            assert found.PixelData == written.PixelData


def test_a_large_result_is_sent_in_one_piece(stored, tmp_path):
    dataset = pydicom.dcmread(stored[1][0])
    dataset.Rows = dataset.Columns = 1024
    dataset.PixelData = bytes(2 * 1024 * 1024)
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = uid(9, 77)
    dataset.save_as(tmp_path / "large.dcm")
    pacs(stored[0]).store(tmp_path / "large.dcm")
    assert uid(9, 77) in {one.SOPInstanceUID for one in stored[0].instances()}


def test_a_store_that_is_killed_stores_nothing(stored, tmp_path):
    server, paths = stored
    dataset = pydicom.dcmread(paths[0])
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = uid(9, 88)
    dataset.save_as(tmp_path / "new.dcm")
    body = multipart([tmp_path / "new.dcm"])
    access = base64.b64encode(f"{orthanc.USER}:{orthanc.PASSWORD}".encode()).decode()
    head = (
        "POST /dicom-web/studies HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: application/dicom+json\r\n"
        f"Authorization: Basic {access}\r\nContent-Length: {len(body)}\r\nContent-Type: {MULTIPART}\r\n\r\n"
    )
    for sent in (len(body) - 30, 400):
        with socket.create_connection(("127.0.0.1", int(server.root.rpartition(":")[2]))) as connection:
            connection.sendall(head.encode() + body[:sent])
        assert uid(9, 88) not in {one.SOPInstanceUID for one in server.instances()}
    pacs(server).store(tmp_path / "new.dcm")
    assert uid(9, 88) in {one.SOPInstanceUID for one in server.instances()}


def test_a_series_or_study_that_is_not_there(stored):
    with pytest.raises(InputError, match="has no series of the UID that --series gives; check it"):
        pacs(stored[0]).read(uid(2, 9))
    with pytest.raises(InputError, match="has no series of the UID that --series gives"):
        pacs(stored[0]).read(uid(2, 2), uid(7))
    with pytest.raises(InputError, match="--series is '4'; expected a whole UID"):
        pacs(stored[0]).read("4")  # a beginning would be a UID of its own
    with pytest.raises(InputError, match="--study is 'x'"):
        pacs(stored[0]).read(uid(2, 2), "x")


@pytest.mark.parametrize("environment", [{USER: "radiology", PASSWORD: "guess"}, {TOKEN: "guess"}, {"HOME": "/"}])
def test_without_the_right_credentials_nothing_is_told(stored, environment):
    with pytest.raises(FormatError, match="asks for credentials: set MEDSAM2_DICOMWEB_USER and") as caught:
        pacs(stored[0], **environment).read(uid(2, 2))
    assert "guess" not in str(caught.value)


def test_another_place_on_the_server(stored):
    with pytest.raises(FormatError, match="no DICOMweb service at that URL"):
        Pacs(f"{stored[0].root}/dicomweb", 30, ACCESS).read(uid(2, 2))


class Script:
    """A server that does as it is told, request by request: a status, a type of content, a body, or what to do."""

    def __init__(self, *answers):
        self.answers, self.seen = list(answers), []
        script = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self):
                length = int(self.headers.get("Content-Length") or 0)
                script.seen.append((self.command, self.path, dict(self.headers), self.rfile.read(length)))
                given = script.answers.pop(0)
                if callable(given):
                    given(self)
                    self.close_connection = True
                    return
                status, kind, body = given
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST = answer  # noqa: N815

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.released = threading.Event()
        self.url = f"http://127.0.0.1:{self.server.server_port}/dicom-web"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.released.set()
        self.server.shutdown()
        self.server.server_close()


FOUND = (
    200,
    "application/dicom+json",
    (
        f'[{{"0020000D": {{"vr": "UI", "Value": ["{uid(1)}"]}}, "0020000E": {{"vr": "UI", "Value": ["{uid(2, 2)}"]}},'
        '"00201209": {"vr": "IS", "Value": [5]}, "00100010": {"vr": "PN", "Value": [{"Alphabetic": "SECRET^NAME"}]}}]'
    ).encode(),
)


def multipart(paths, end=True):
    parts = [b"\r\n--X\r\nContent-Type: application/dicom\r\n\r\n" + Path(path).read_bytes() for path in paths]
    return b"".join(parts) + (b"\r\n--X--" if end else b"")


def breaks_off(paths):
    def act(handler):
        body = multipart(paths)
        handler.send_response(200)
        handler.send_header("Content-Type", "multipart/related; type=application/dicom; boundary=X")
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body[: len(body) // 2])

    return act


def sleeps(handler):
    handler.server.released.wait(60)


def patience(answers):
    """Seconds; short only where nothing comes: this machine may be slow itself."""
    return 2 if sleeps in answers else 60


def hangs_up(handler):
    handler.connection.close()


MULTIPART = "multipart/related; type=application/dicom; boundary=X"


def test_what_a_server_can_do_is_one_line_and_nothing_is_left_behind(tmp_path, monkeypatch, capfd, caplog):
    caplog.set_level(logging.DEBUG)
    paths = write_series(tmp_path / "scan", VALUES, series=2)
    foreign = write_series(tmp_path / "foreign", VALUES, series=3)
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    cases = [
        ([(500, "text/html", b"SECRET^NAME")], r"answers 500 \(an error of the server\) \(searching for the series\)"),
        ([(503, "text/html", b"")], r"answers 503"),
        ([(400, "text/html", b"")], r"answers 400 \(it refuses the request\)"),
        ([(403, "text/html", b"")], "does not allow that to these credentials"),
        ([(200, "text/html", b"<h1>log in</h1>")], "answers something that is not DICOMweb"),
        ([(200, "application/dicom+json", b"{")], "answers something that is not DICOMweb"),
        ([(200, "application/dicom+json", b'{"error": "SECRET^NAME"}')], "answers something that is not DICOMweb"),
        ([sleeps], r"did not answer within 2 s \(searching for the series\)"),
        ([hangs_up], r"broke off \(searching for the series\)"),
        ([FOUND, (500, "text/html", b"")], r"answers 500 \(an error of the server\) \(sending the series\)"),
        ([FOUND, sleeps], r"did not answer within 2 s \(sending the series\)"),
        ([FOUND, breaks_off(paths)], r"broke off \(sending the series\)"),
        ([FOUND, (200, MULTIPART, multipart(paths[:3]))], "sent 3 of 5 images of the series; nothing was read"),
        ([FOUND, (200, MULTIPART, multipart([]))], "sent 0 of 5 images"),
        ([FOUND, (200, MULTIPART, multipart(foreign))], "answers something that is not DICOMweb"),
        ([FOUND, (200, MULTIPART, b"\r\n--X\r\nA: b\r\n\r\nSECRET^NAME\r\n--X--")], "something that is not DICOMweb"),
        ([FOUND, (200, "text/html", b"<h1>log in</h1>")], "answers something that is not DICOMweb"),
    ]
    for answers, words in cases:
        with Script(*answers) as script:
            with pytest.raises(FormatError, match=words) as caught:
                Pacs(script.url, patience(answers), {TOKEN: "s3cret"}).read(uid(2, 2))
            assert len(script.seen) == len(answers)
        for told in (str(caught.value), *capfd.readouterr()):
            assert "\n" not in told
            assert not any(secret in told for secret in ("s3cret", "SECRET", uid(2, 2), uid(1)))
        assert list((tmp_path / "temporary").iterdir()) == []
    assert [record.getMessage() for record in caplog.records if record.name != "asyncio"] == []


def test_a_server_that_is_down(tmp_path):
    with pytest.raises(FormatError, match="cannot be reached: check the URL, the network, and whether it runs"):
        Pacs(f"http://127.0.0.1:{orthanc.free_port()}/dicom-web", 5, {}).read(uid(2, 2))


def test_all_images_are_asked_for_as_they_are_and_with_the_token(tmp_path):
    paths = write_series(tmp_path / "scan", VALUES, series=2)
    with Script(FOUND, (200, MULTIPART, multipart(paths))) as script:
        volume = Pacs(script.url, 5, {TOKEN: "t0ken"}).read(uid(2, 2))
    assert np.array_equal(volume.array, VALUES)
    assert [headers["Authorization"] for _, _, headers, _ in script.seen] == ["Bearer t0ken"] * 2
    assert "transfer-syntax=*" in script.seen[1][2]["Accept"].replace('"', "")


def failed(reason):
    item = {"00081197": {"vr": "US", "Value": [reason]}}
    return 202, "application/dicom+json", json.dumps({"00081198": {"vr": "SQ", "Value": [item]}}).encode()


def test_what_is_not_stored_is_said_and_sent_once(tmp_path):
    (path, *_) = write_series(tmp_path / "scan", VALUES[:1], series=2)
    cases = [
        (
            [(500, "text/html", b"SECRET^NAME")],
            r"answers 500 \(an error of the server\) \(storing IM000, which is writ",
        ),
        ([(409, "text/html", b"")], "refuses the instance"),
        ([(413, "text/html", b"")], "refuses a file of this size"),
        ([sleeps], r"did not answer within 2 s \(storing IM000, which is written all the same\)"),
        ([hangs_up], "broke off"),
        ([failed(0xA700)], r"did not store IM000 \(failure reason A700h\); the file itself is written"),
        ([(200, "application/dicom+json", b"{}")], "did not store IM000; the file itself is written"),
        ([(200, "text/html", b"<h1>log in</h1>")], "did not store IM000|not DICOMweb"),
    ]
    before = path.read_bytes()
    for answers, words in cases:
        with Script(*answers) as script:
            with pytest.raises(FormatError, match=words):
                Pacs(script.url, patience(answers), {}).store(path)
            assert [verb for verb, *_ in script.seen] == ["POST"]
        assert path.read_bytes() == before


@pytest.mark.parametrize(
    "url", ["", "pacs", "pacs:8042", "ftp://pacs/x", "http://", "http://pacs:99999/x", "http://p/x?key=1", "http://[x"]
)
def test_a_url_that_is_none(url):
    with pytest.raises(ConfigurationError, match="the URL of --dicomweb is none"):
        Pacs(url, environment={})


def test_credentials_that_cannot_be_meant():
    url = "https://pacs.example/dicom-web"
    for environment, words in (
        ({TOKEN: "a", USER: "b", PASSWORD: "c"}, "one way to authenticate"),
        ({PASSWORD: "c"}, f"{PASSWORD} is set, but {USER} is not"),
        ({TOKEN: "a\nb"}, f"{TOKEN} holds signs that no token has"),
        ({CERTIFICATE: "/nowhere.pem"}, "/nowhere.pem, which"),
    ):
        with pytest.raises(ConfigurationError, match=words):
            Pacs(url, environment=environment)
    for wrong in ("https://me:s3cret@pacs.example/x", "https://me@pacs.example/x"):
        with pytest.raises(ConfigurationError, match="which others can see") as caught:
            Pacs(wrong, environment={})
        assert "s3cret" not in str(caught.value)
    with pytest.raises(ConfigurationError, match="expected more than 0"):
        Pacs(url, 0, {})


def test_open_connections_are_told():
    assert "unencrypted" in Pacs("http://pacs.example/x", environment={TOKEN: "a"}).notes[0]
    assert Pacs("http://pacs.example/x", environment={}).notes == ()
    assert Pacs("https://pacs.example/x", environment={TOKEN: "a"}).notes == ()
    assert Pacs("http://127.0.0.1:8042/x", environment={TOKEN: "a"}).notes == ()


def test_a_certificate_of_ones_own_is_given(tmp_path):
    for name in ("certificate.pem", "key.pem"):
        (tmp_path / name).write_text("PEM")
    environment = {CERTIFICATE: str(tmp_path / "certificate.pem"), KEY: str(tmp_path / "key.pem")}
    with pytest.raises((FormatError, ssl.SSLError)):
        Pacs(f"https://127.0.0.1:{orthanc.free_port()}/x", 5, environment).read(uid(2, 2))
