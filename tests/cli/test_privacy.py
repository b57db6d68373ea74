"""Nothing of the patient leaves the files: a patient is planted, and everything that is written is searched."""

import gzip
import json
import re

import numpy as np
import pydicom
import pytest
from PIL import Image

from medsam2.cli.app import run
from medsam2.io import read_volume, write_segmentation, write_volume
from medsam2.io.dicomweb import TOKEN
from medsam2.spatial import Segmentation
from medsam2.weights import WeightsCard, save_network
from reference import orthanc
from reference.dicom_writing import uid, write_series

PLANTED = {
    "PatientName": "QUICKSILVER^JOHANNA",
    "PatientID": "MRN-0815-4711",
    "OtherPatientIDs": "OTHER-0815",
    "PatientBirthDate": "19230405",
    "PatientAddress": "Wandelweg 77",
    "AccessionNumber": "ACC-998877",
    "StudyID": "STUDY-5544",
    "StudyDate": "20230607",
    "StudyDescription": "Follow-up of Mrs Quicksilver",
    "SeriesDescription": "for Dr Doolittle",
    "ReferringPhysicianName": "DOOLITTLE^JOHN",
    "OperatorsName": "OPERATOR^OTTO",
    "InstitutionName": "St Elsewhere",
    "ImageComments": "Quicksilver again",
}
WORDS = (
    *("quicksilver", "johanna", "0815-4711", "other-0815", "19230405", "wandelweg", "acc-998877", "study-5544"),
    *("20230607", "doolittle", "operator^otto", "elsewhere"),
)
UIDS = (uid(1), uid(2), uid(3), uid(9))
"""Of study, series, frame of reference and images: each begins so."""

PIXELS = re.compile(r"base64,[A-Za-z0-9+/=]+")

VALUES = np.random.default_rng(0).normal(100, 20, (5, 12, 10)).astype(np.int16)


@pytest.fixture
def weights(tiny_network, tmp_path):
    path = tmp_path / "tiny.safetensors"
    save_network(tiny_network, path, WeightsCard("tiny", tiny_network.config))
    return path


@pytest.fixture
def folder(tmp_path):
    """A study, its folders and files named after the patient, with a localiser and a slice that is there twice."""
    place = tmp_path / "in" / "QUICKSILVER^JOHANNA" / "MRN-0815-4711"
    paths = write_series(place / "a", VALUES, series=2, **PLANTED)
    for number, path in enumerate(paths):
        path.rename(path.parent / f"Quicksilver_{number}.dcm")
    write_series(place / "again", VALUES[:1], series=2, **PLANTED)
    write_series(place / "b", VALUES[:1], series=3, ImageType="ORIGINAL\\PRIMARY\\LOCALIZER", **PLANTED)
    return place.parent


def run_segment(tmp_path, weights, monkeypatch, capfd, *flags, name="out.nii.gz"):
    """Segment into an empty folder; what was said, and the files written, among them what was left in caches."""
    out = tmp_path / "out"
    for place in ("out", "temporary", "home"):
        (tmp_path / place).mkdir(exist_ok=True)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home" / "cache"))
    monkeypatch.setenv("MEDSAM2_CACHE", str(tmp_path / "home" / "medsam2"))
    reports = ["--report", out / "r.json", "--html", out / "r.html", "--preview", out / "p.png", "--statistics", "-v"]
    given = ["-o", out / name, "--model", weights, "-d", "cpu", *reports, *flags]
    code = run(["segment", *(str(one) for one in given)])
    said = capfd.readouterr()
    assert list((tmp_path / "temporary").glob("medsam2-*")) == []
    return code, said.out + said.err, [one for place in ("out", "home") for one in (tmp_path / place).rglob("*")]


def check_nothing_told(said, files, uids=UIDS):
    """Search what was said, the names of files and their content; of pictures, what stands beside the pixels."""
    texts = {"said": said}
    for file in files:
        texts[f"name of {file.name}"] = file.name
        if file.suffix == ".png":
            with Image.open(file) as image:
                texts[file.name] = str(image.info) + str(dict(image.getexif()))
        elif file.suffix == ".gz":
            texts[file.name] = gzip.decompress(file.read_bytes()).decode("latin-1")
        elif file.is_file() and file.suffix != ".dcm":
            texts[file.name] = PIXELS.sub("", file.read_bytes().decode("latin-1"))
    for where, text in texts.items():
        for word in (*WORDS, *uids):
            assert word not in text.lower(), f"{word} in {where}"


def test_a_series_named_after_the_patient(tmp_path, weights, folder, monkeypatch, capfd):
    flags = ("-i", folder, "--box", "2,3,2,7,9,2")
    code, said, files = run_segment(tmp_path, weights, monkeypatch, capfd, *flags)
    assert code == 0, said
    assert "Left out: series 3" in said
    assert "there twice" in said
    assert {one.name for one in files} >= {"out.nii.gz", "r.json", "r.html", "p.png"}
    check_nothing_told(said, files)


def test_a_template_named_after_the_patient(tmp_path, weights, folder, monkeypatch, capfd):
    scan = tmp_path / "scan.nii.gz"
    write_volume(read_volume(folder), scan)
    flags = ("-i", scan, "--template", folder, "--box", "2,3,2,7,9,2")
    code, said, files = run_segment(tmp_path, weights, monkeypatch, capfd, *flags)
    assert code == 0, said
    assert "there twice" in said
    assert json.loads((tmp_path / "out" / "r.json").read_text())["input"]["other_files"] == {"template": "DICOM series"}
    check_nothing_told(said, files)


def test_a_mask_named_after_the_patient(tmp_path, weights, folder, monkeypatch, capfd):
    drawn = tmp_path / "drawn" / "QUICKSILVER^JOHANNA"
    labels = np.zeros_like(VALUES)
    labels[2, 3:9, 2:7] = 1
    write_series(drawn, labels, series=4, **PLANTED)
    code, said, files = run_segment(tmp_path, weights, monkeypatch, capfd, "-i", folder, "--mask", drawn)
    assert code == 0, said
    report = json.loads((tmp_path / "out" / "r.json").read_text())
    assert report["input"]["other_files"] == {"mask 1": "DICOM series"}
    check_nothing_told(said, files)


@pytest.mark.parametrize("prompts", ["QUICKSILVER_JOHANNA.dcm", "QUICKSILVER_JOHANNA.rtstruct.dcm"])
def test_annotations_named_after_the_patient(tmp_path, weights, folder, monkeypatch, capfd, prompts):
    volume = read_volume(folder)
    labels = np.zeros(volume.geometry.shape, np.uint8)
    labels[2, 3:9, 2:7] = 1
    write_segmentation(Segmentation(labels, volume.geometry, {1: "liver"}, volume.source), tmp_path / prompts)
    for name in ("out.dcm", "out.rtstruct.dcm", "out.seg.nrrd"):
        flags = ("-i", folder, "--prompts", tmp_path / prompts)
        code, said, files = run_segment(tmp_path, weights, monkeypatch, capfd, *flags, name=name)
        assert code == 0, said
        check_nothing_told(said, files)
    report = json.loads((tmp_path / "out" / "r.json").read_text())
    assert report["input"]["other_files"] == {"prompts": "DICOM annotations"}
    assert report["objects"][0]["name"] == "liver"


def test_uids_are_told_if_asked_for_and_nothing_else_is(tmp_path, weights, folder, monkeypatch, capfd):
    flags = ("-i", folder, "--box", "2,3,2,7,9,2", "--identify")
    code, said, files = run_segment(tmp_path, weights, monkeypatch, capfd, *flags)
    assert code == 0, said
    identity = json.loads((tmp_path / "out" / "r.json").read_text())["input"]["identity"]
    assert identity == {"study_uid": uid(1), "series_uid": uid(2, 2), "frame_of_reference_uid": uid(3)}
    page = (tmp_path / "out" / "r.html").read_text()
    assert uid(2, 2) in page
    check_nothing_told(said, files, uids=())
    check_nothing_told(said, [one for one in files if one.name not in ("r.json", "r.html")])


def test_a_pacs_is_as_silent(tmp_path, weights, folder, monkeypatch, capfd, caplog):
    monkeypatch.setenv(TOKEN, "s3cret-t0ken")
    url = f"http://127.0.0.1:{orthanc.free_port()}/dicom-web"
    flags = ("--dicomweb", url, "--series", uid(2, 2), "--box", "2,3,2,7,9,2")
    code, said, files = run_segment(tmp_path, weights, monkeypatch, capfd, *flags)
    assert code == 3
    check_nothing_told(said + caplog.text, files)
    assert "s3cret" not in said + caplog.text
    assert [one.name for one in files if one.is_file()] == []


def test_errors_are_as_silent(tmp_path, weights, folder, monkeypatch, capfd):
    first = sorted(folder.rglob("Quicksilver_*"))[0]
    for damage in ("position", "orientation", "spacing"):
        dataset = pydicom.dcmread(first)
        if damage == "position":
            dataset.ImagePositionPatient = [0, 0, 900]
        elif damage == "orientation":
            dataset.ImageOrientationPatient = [1, 0, 0, 1, 0, 0]
        else:
            dataset.Rows = 7
        target = tmp_path / damage / "IM1"
        target.parent.mkdir()
        write_series(target.parent, VALUES, series=2, **PLANTED)
        dataset.save_as(target)
        code, said, files = run_segment(
            tmp_path, weights, monkeypatch, capfd, "-i", target.parent, "--box", "2,3,2,7,9,2"
        )
        assert code in (2, 3), said
        check_nothing_told(said, files)
