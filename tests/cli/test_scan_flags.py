"""Scans in a PACS and results for it, through `medsam2 segment` and a real Orthanc."""

import signal
from pathlib import Path

import numpy as np
import pydicom
import pytest

from medsam2.cli.app import run
from medsam2.cli.scan_flags import ScanFlags, end_cleanly
from medsam2.errors import ConfigurationError
from medsam2.io.dicomweb import PASSWORD, USER
from medsam2.weights import WeightsCard, save_network
from reference import orthanc
from reference.dicom_writing import OBLIQUE, uid, write_series

VALUES = np.random.default_rng(0).normal(100, 20, (5, 12, 10)).astype(np.int16)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with orthanc.running_orthanc(tmp_path_factory.mktemp("orthanc")) as running:
        yield running


@pytest.fixture
def call(tiny_network, tmp_path, capfd, monkeypatch):
    """Run the command on a PACS: its exit code, what it said, and its output."""
    weights = tmp_path / "tiny.safetensors"
    save_network(tiny_network, weights, WeightsCard("tiny", tiny_network.config))
    monkeypatch.setenv(USER, orthanc.USER)
    monkeypatch.setenv(PASSWORD, orthanc.PASSWORD)
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))

    def segment(*flags, output="result.dcm"):
        out = tmp_path / output
        given = ["-o", out, "--box", "2,3,2,7,9,2", "--name", "liver", "--model", weights, "-d", "cpu", *flags]
        code = run(["segment", *(str(one) for one in given)])
        said = capfd.readouterr()
        assert list((tmp_path / "temporary").glob("medsam2-*")) == []
        return code, said.out + said.err, out

    return segment


def test_a_series_is_fetched_segmented_and_its_result_stored(call, server, tmp_path):
    server.clear()
    server.upload(write_series(tmp_path / "scan", VALUES, OBLIQUE, series=2))
    code, said, out = call("--dicomweb", server.url, "--series", uid(2, 2), "--store")
    assert code == 0, said
    assert "stored in the PACS" in said
    written = pydicom.dcmread(out)
    (stored,) = [one for one in server.instances() if one.Modality == "SEG"]
    assert stored.SOPInstanceUID == written.SOPInstanceUID
    assert stored.PixelData == written.PixelData
    assert [one.SegmentLabel for one in stored.SegmentSequence] == ["liver"]
    assert stored.ReferencedSeriesSequence[0].SeriesInstanceUID == uid(2, 2)

    # Without --store nothing is stored.
    code, said, _ = call("--dicomweb", server.url, "--series", uid(2, 2), "--study", uid(1), output="out.nii.gz")
    assert code == 0, said
    assert len(server.instances()) == 6


def test_a_folder_is_segmented_and_its_result_stored(call, server, tmp_path):
    server.clear()
    write_series(tmp_path / "scan", VALUES, OBLIQUE, series=2)
    flags = ("-i", tmp_path / "scan", "--dicomweb", server.url, "--store")
    code, said, _ = call(*flags, output="result.rtstruct.dcm")
    assert code == 0, said
    assert [one.Modality for one in server.instances()] == ["RTSTRUCT"]


def test_a_pacs_that_is_down_leaves_nothing(call):
    url = f"http://127.0.0.1:{orthanc.free_port()}/dicom-web"
    code, said, out = call("--dicomweb", url, "--series", uid(2, 2), "--store")
    assert (code, out.exists()) == (3, False)
    assert "cannot be reached: check the URL, the network, and whether it runs" in said
    assert len(said.strip().splitlines()) == 1


def test_a_result_that_cannot_be_stored_is_kept_and_told(call, tmp_path):
    write_series(tmp_path / "scan", VALUES, series=2)
    url = f"http://127.0.0.1:{orthanc.free_port()}/dicom-web"
    code, said, out = call("-i", tmp_path / "scan", "--dicomweb", url, "--store")
    assert (code, out.exists()) == (3, True)
    assert "cannot be reached" in said
    assert "stored in the PACS" not in said


def flags(**given):
    default = dict.fromkeys(("input", "as_format", "volume_index", "series", "dicomweb", "study"))
    return ScanFlags(**{**default, "output": Path("out.nii.gz"), "store": False, "timeout": 60.0, **given})


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, "no scan was given; name a file with --input, or a PACS with --dicomweb"),
        ({"input": Path("a"), "dicomweb": "http://p"}, "both name a scan"),
        ({"input": Path("a"), "store": True}, "--store needs the PACS's URL"),
        ({"input": Path("a"), "study": "1.2"}, "--study needs the PACS's URL"),
        ({"dicomweb": "http://p"}, "--dicomweb needs --series"),
        ({"dicomweb": "http://p", "series": "1.2", "store": True}, "out.nii.gz is no DICOM, and --store takes"),
    ],
)
def test_flags_that_contradict_each_other(given, words):
    with pytest.raises(ConfigurationError, match=words):
        flags(**given)


def test_a_process_that_is_told_to_end_cleans_up():
    before = signal.getsignal(signal.SIGTERM)
    try:
        end_cleanly()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, before)


def test_a_password_in_the_url_is_refused_and_not_repeated(call):
    code, said, _ = call("--dicomweb", "https://me:s3cret@pacs/x", "--series", uid(2, 2))
    assert code == 2
    assert "s3cret" not in said
