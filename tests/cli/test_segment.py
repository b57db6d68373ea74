"""`medsam2 segment` as users call it: files in, files out, and what it says when something is wrong."""

import json
import os
import sys
from io import BytesIO, TextIOWrapper

import nibabel
import numpy as np
import pydicom
import pytest
from PIL import Image

from medsam2.cli.app import main, run
from medsam2.io import LabelFormat, read_label_map, write_segmentation
from medsam2.spatial import Segmentation
from medsam2.weights import WeightsCard, save_network
from reference.dicom_writing import write_series
from reference.scanned_series import OBLIQUE
from reference.scanned_series import scan as dicom_scan

SHAPE = (12, 10, 8)  # i, j, k


@pytest.fixture
def weights(tiny_network, tmp_path):
    path = tmp_path / "tiny.safetensors"
    save_network(tiny_network, path, WeightsCard("tiny", tiny_network.config))
    return path


@pytest.fixture
def scan(tmp_path):
    """A scan in LPS order with thick slices and both forms set."""
    values = np.random.default_rng(0).normal(100, 20, SHAPE).astype(np.int16)
    affine = np.array([[-1.5, 0, 0, 10], [0, -1.5, 0, 20], [0, 0, 4, -30], [0, 0, 0, 1]])
    image = nibabel.Nifti1Image(values, affine)
    image.set_sform(affine, 1)
    image.set_qform(affine, 2)
    path = tmp_path / "scan.nii.gz"
    nibabel.save(image, path)
    return path


@pytest.fixture
def drawn(scan, tmp_path):
    """One slice drawn for two objects."""
    image = nibabel.load(scan)
    labels = np.zeros(SHAPE, np.uint8)
    labels[2:5, 2:6, 3] = 1
    labels[7:10, 3:8, 3] = 4
    path = tmp_path / "drawn.nii.gz"
    nibabel.save(nibabel.Nifti1Image(labels, image.affine, image.header), path)
    return path


@pytest.fixture
def call(weights, scan, tmp_path, capsys):
    """Run the command on the scan: its exit code, what it said, and its output file."""

    def segment(*flags, output="out.nii.gz", source=scan):
        out = tmp_path / output
        given = ["-i", source, "-o", out, "--model", weights, "-d", "cpu", *flags]
        code = run(["segment", *(str(one) for one in given)])
        said = capsys.readouterr()
        return code, said.out + said.err, out

    return segment


def test_a_mask_prompt_comes_back_to_the_voxel_in_the_same_geometry(call, scan, drawn):
    code, _, out = call("--mask", drawn)
    assert code == 0
    before, after = nibabel.load(scan), nibabel.load(out)
    assert np.array_equal(before.affine, after.affine)
    for field in ("sform_code", "qform_code", "srow_x", "quatern_b", "pixdim", "xyzt_units"):
        assert np.array_equal(before.header[field], after.header[field])
    labels = np.asarray(after.dataobj)
    assert labels.dtype == np.uint8
    assert np.array_equal(labels[:, :, 3], np.asarray(nibabel.load(drawn).dataobj)[:, :, 3])


def test_boxes_clicks_and_world_coordinates_say_the_same(call, tmp_path):
    results = []
    affine = np.array([[-1.5, 0, 0, 10], [0, -1.5, 0, 20], [0, 0, 4, -30], [0, 0, 0, 1]])
    corners = [affine @ [*ijk, 1] for ijk in ((2, 2, 3), (6, 7, 3))]
    ras = ",".join(f"{value:g}" for corner in corners for value in corner[:3])
    lps = ",".join(f"{value * sign:g}" for c in corners for value, sign in zip(c, (-1, -1, 1), strict=False))
    for place, space in (("2,2,3,6,7,3", "voxel"), (ras, "ras"), (lps, "lps")):
        code, said, out = call(f"--box={place}", "--space", space)
        assert code == 0, said
        results.append(np.asarray(nibabel.load(out).dataobj))
    assert np.array_equal(results[0], results[1])
    assert np.array_equal(results[0], results[2])


def test_report_and_preview_are_written_in_the_words_of_the_flags(call, drawn, tmp_path):
    report, picture = tmp_path / "report.json", tmp_path / "preview.png"
    flags = ["--mask", drawn, "--report", report, "--preview", picture, "--statistics", "--memory", "self-sorting"]
    code, said, _ = call(*flags, "--window", "400,40", "--patience", "2")
    assert code == 0, said
    told = json.loads(report.read_text())
    assert told["settings"]["memory"] == "self-sorting"
    assert told["settings"]["patience"] == 2
    assert [one["label"] for one in told["objects"]] == [1, 4]
    assert told["input"]["file"] == "scan.nii.gz"
    assert told["input"]["other_files"] == {"mask 1": "drawn.nii.gz"}
    assert told["prompts"]["objects"][0]["masks"] == ["drawn.nii.gz"]
    assert str(tmp_path) not in json.dumps(told)
    with Image.open(picture) as image:
        assert image.size[0] > 200


def test_the_precision_of_the_starter_is_float32_unless_another_is_asked_for(call, drawn, tmp_path):
    report = tmp_path / "report.json"
    for flags, precision in (((), "float32"), (("--precision", "bfloat16"), "bfloat16")):
        code, said, _ = call("--mask", drawn, "--report", report, *flags)
        assert code == 0, said
        assert json.loads(report.read_text())["model"]["precision"] == precision
    code, said, _ = call("--mask", drawn, "--precision", "float16")
    assert code == 2
    assert "'float16' is not one of 'auto', 'float32', 'bfloat16'" in " ".join(said.split())


def test_planes_memory_options_and_their_mistakes(call, drawn, tmp_path):
    report = tmp_path / "report.json"
    flags = ["--memory", "self-sorting", "--memory-option", "capacity=4", "--memory-seed", "3", "--report", report]
    code, said, _ = call("--mask", drawn, *flags, "--orientations", "coronal,sagittal", "--fusion", "vote")
    assert code == 0, said
    settings = json.loads(report.read_text())["settings"]
    assert (settings["memory_options"], settings["memory_seed"]) == ({"capacity": 4}, 3)
    assert (settings["orientations"], settings["fusion"]) == (["coronal", "sagittal"], "vote")
    for wrong, message in (
        (["--orientations", "axial,oblique"], "there is no plane 'oblique' in --orientations"),
        (["--fusion", "mean"], "mean"),
        (["--memory-option", "capacity"], "'' is no value of capacity"),
        (["--memory-option", "capacity=4"], "'fifo' has no use for capacity=4"),
    ):
        code, said, _ = call("--mask", drawn, *wrong)
        assert code == 2
        assert message in said


def test_what_is_prompted_on_a_template_is_looked_for_in_the_scan(call, scan, drawn, tmp_path):
    other = tmp_path / "other.nii.gz"
    values = np.random.default_rng(1).normal(100, 20, (14, 9, 7)).astype(np.int16)
    nibabel.save(nibabel.Nifti1Image(values, np.diag([1.0, 1.2, 3.0, 1.0])), other)
    report, picture = tmp_path / "report.json", tmp_path / "preview.png"
    flags = ["--template", scan, "--mask", drawn, "--report", report, "--preview", picture]
    code, said, out = call(*flags, source=other)
    assert code == 0, said
    assert nibabel.load(out).shape == (14, 9, 7)
    told = json.loads(report.read_text())
    assert told["input"]["other_files"] == {"mask 1": "drawn.nii.gz", "template": "scan.nii.gz"}
    assert picture.exists()
    code, said, _ = call("--template", other, "--mask", drawn)
    assert code == 2
    assert "the mask lies on" in said


def test_prompts_from_json_find_their_masks_beside_the_file(call, drawn, tmp_path):
    prompts = tmp_path / "prompts.json"
    content = {"objects": [{"name": "liver", "label": 7, "masks": ["drawn.nii.gz"]}, {"boxes": [[1, 1, 5, 4, 4, 5]]}]}
    prompts.write_text(json.dumps(content))
    code, said, out = call("--prompts", prompts, "--report", tmp_path / "report.json")
    assert code == 0, said
    assert "liver" in said
    labels = np.asarray(nibabel.load(out).dataobj)
    assert (labels[2:5, 2:6, 3] == 7).all()
    told = json.loads((tmp_path / "report.json").read_text())
    assert told["prompts"]["objects"][0]["masks"] == ["drawn.nii.gz"]
    assert told["input"]["other_files"] == {"mask 1": "drawn.nii.gz", "prompts": "prompts.json"}


def test_quiet_says_nothing(call, drawn):
    code, said, out = call("--mask", drawn, "-q")
    assert (code, out.exists()) == (0, True)
    assert all("warning" in line for line in said.splitlines())


@pytest.mark.parametrize("name", [b"M\xfcller.nii.gz", b"M\xfcller.nrrd"])
def test_a_name_that_is_no_utf8_is_written_or_refused(weights, scan, tmp_path, monkeypatch, name):
    out, report = tmp_path / os.fsdecode(name), tmp_path / os.fsdecode(b"\xfc.json")
    said = {stream: TextIOWrapper(BytesIO(), encoding="utf-8") for stream in ("stdout", "stderr")}
    for stream, written in said.items():
        monkeypatch.setattr(sys, stream, written)
    given = ["-i", scan, "-o", out, "--model", weights, "-d", "cpu", "--point", "2,2,3", "--report", report, "-v"]
    with pytest.raises(SystemExit) as ended:
        main(["segment", *(str(one) for one in given)])
    told = {stream: written.buffer.getvalue().decode() for stream, written in said.items()}
    if out.suffix == ".nrrd":
        assert (ended.value.code, out.exists()) == (3, False)
        assert r"M\udcfcller.nrrd: the name or its folder is not UTF-8" in told["stderr"]
        assert ".medsam2-" not in told["stderr"]
    else:
        assert (ended.value.code, out.exists(), report.exists()) == (0, True, True)
        assert r"M\udcfcller.nii.gz" in told["stdout"]


def test_a_picture_gives_a_picture_of_labels(call, tmp_path):
    photo = tmp_path / "skin.png"
    Image.fromarray(np.random.default_rng(1).integers(0, 255, (20, 30, 3), np.uint8)).save(photo)
    code, said, out = call("--box", "5,4,20,15", source=photo, output="labels.png")
    assert code == 0, said
    with Image.open(out) as labels:
        assert labels.size == (30, 20)


@pytest.mark.parametrize(
    ("flags", "code", "words"),
    [
        ([], 2, "--box, --point, --mask or --prompts"),
        (["--point", "50,2,3"], 2, "outside"),
        (["--box", "2,2,3,6,7,5"], 2, "lies in one slice"),
        (["--point", "2,2,3", "--patience", "abc"], 2, "--patience"),
        (["--box", "2,2,3,6"], 2, "i0,j0,k0,i1,j1,k1"),
        (["--point", "2,2,3", "--memory", "fifoo"], 2, "fifo"),
        (["--point", "2,2,3", "--window", "abdomn"], 2, "ct-abdomen"),
        (["--point", "2,2,3", "--size", "100"], 2, "multiple of 32"),
        (["--point", "2,2,3", "--patience", "-1"], 2, "patience"),
        (["--point", "2,2,3", "-d", "tpu"], 2, "tpu"),
        (["--point", "2,2,3", "--volume-index", "3"], 2, "volume"),
        (["--point", "2,2,3", "--plane", "axal"], 2, "axial"),
        (["--prompts", "nowhere.json"], 3, "nowhere.json"),
        (["--mask", "nowhere.nii.gz"], 3, "nowhere.nii.gz"),
    ],
)
def test_wrong_input_is_one_line_with_a_documented_code_and_no_output(call, flags, code, words):
    found, said, out = call(*flags)
    assert found == code, said
    assert words in " ".join(said.split())
    assert "Traceback" not in said
    assert not out.exists()


def test_wrong_files_in_each_argument(call, scan, weights, tmp_path):
    text = tmp_path / "notes.nii.gz"
    text.write_text("not a scan")
    for flags, code, words in (
        ({"source": text}, 3, "notes.nii.gz"),
        ({"source": tmp_path / "missing.nii.gz"}, 3, "missing.nii.gz"),
        ({"output": "labels.xyz"}, 3, "labels.xyz"),
        ({"output": "labels.png"}, 3, "labels.png"),
        ({"output": "scan.nii.gz"}, 2, "scan.nii.gz is given twice, as input and as output"),
    ):
        found, said, _ = call("--point", "2,2,3", **flags)
        assert (found, words in said) == (code, True), said
    found, said, _ = call("--point", "2,2,3", "--model", text)
    assert found == 4, said
    found, said, _ = call("--point", "2,2,3", "--model", "no-such-model")
    assert found == 4, said
    assert nibabel.load(scan).shape == SHAPE


@pytest.mark.usefixtures("drawn")
@pytest.mark.parametrize(
    ("flags", "output", "words"),
    [
        (
            ["--template", "other.nii.gz", "--box", "1,1,3,4,4,3"],
            "other.nii.gz",
            "template and as output",
        ),
        (["--mask", "drawn.nii.gz"], "drawn.nii.gz", "mask 1 and as output"),
        (["--prompts", "p.json"], "drawn.nii.gz", "mask 1 and as output"),
        (["--prompts", "p.json", "--report", "p.json"], "new.nii.gz", "prompts and as report"),
        (["--mask", "drawn.nii.gz", "--html", "link.html"], "new.nii.gz", "input and as HTML report"),
        (
            ["--mask", "drawn.nii.gz", "--preview", "tiny.safetensors"],
            "n.nii",
            "model and as preview",
        ),
        (["--mask", "drawn.nii.gz", "--preview", "new.nii.gz"], "new.nii.gz", "output and as preview"),
        (["--mask", "drawn.nii.gz", "--report", "r", "--html", "r"], "new.nii.gz", "report and as HTML report"),
    ],
)
def test_no_file_is_lost_to_another(call, scan, tmp_path, monkeypatch, flags, output, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "other.nii.gz").write_bytes(scan.read_bytes())
    (tmp_path / "p.json").write_text('{"objects": [{"masks": ["drawn.nii.gz"]}]}')
    (tmp_path / "link.html").symlink_to(scan)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    code, said, _ = call(*flags, output=output)
    assert (code, f"is given twice, as {words}" in " ".join(said.split())) == (2, True), said
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize("flag", ["-o", "--report", "--html", "--preview"])
@pytest.mark.parametrize("place", ["folder.nii.gz", "scan.nii.gz/new.nii.gz"])
def test_places_that_cannot_be_written_are_refused_before_the_work(call, tmp_path, monkeypatch, flag, place):
    (tmp_path / "folder.nii.gz").mkdir()
    monkeypatch.setattr("medsam2.cli.segment.Segmenter", None)
    given = () if flag == "-o" else (flag, tmp_path / place)
    code, said, _ = call("--box=1,1,3,4,4,3", *given, output=place if flag == "-o" else "out.nii.gz")
    words = "is a folder; expected the name of a file" if place == "folder.nii.gz" else "cannot be written: Not a dir"
    assert (code, words in " ".join(said.split())) == (3, True), said
    assert not (tmp_path / "out.nii.gz").exists()


def test_no_image_of_a_series_is_lost(call, tmp_path):
    source, _ = dicom_scan(tmp_path / "series")
    slice_ = tmp_path / "series" / "slice.dcm"
    source.header.files[1].rename(slice_)
    before = slice_.read_bytes()
    code, said, _ = call("--box=2,2,2,6,8,2", output="series/slice.dcm", source=tmp_path / "series")
    assert (code, "as input and as output" in " ".join(said.split())) == (2, True), said
    assert slice_.read_bytes() == before


def test_only_the_input_is_told_of_the_flag_that_chooses_a_volume(call, scan, drawn, tmp_path):
    several = tmp_path / "several.nii.gz"
    nibabel.save(nibabel.Nifti1Image(np.zeros((*SHAPE, 2), np.uint8), nibabel.load(scan).affine), several)
    code, said, _ = call("--mask", drawn, source=several)
    assert (code, said.rstrip().endswith("0..1. The flag is --volume-index.")) == (3, True), said
    for flags in (("--mask", several), ("--template", several, "--mask", drawn)):
        code, said, _ = call(*flags)
        assert (code, "several.nii.gz is 4-D and has 2 time points" in said, "--" in said) == (3, True, False), said
    write_series(tmp_path / "study" / "a", np.zeros((3, 10, 12), np.int16), series=3)
    write_series(tmp_path / "study" / "b", np.zeros((3, 10, 12), np.int16), series=4)
    code, said, _ = call("--mask", drawn, source=tmp_path / "study")
    assert (code, said.rstrip().endswith("The flag is --series.")) == (3, True), said


def test_a_mask_on_another_grid_is_refused(call, drawn, tmp_path):
    other = tmp_path / "other.nii.gz"
    image = nibabel.load(drawn)
    nibabel.save(nibabel.Nifti1Image(np.asarray(image.dataobj), np.diag([2, 2, 2, 1])), other)
    code, said, out = call("--mask", other)
    assert code == 2
    assert "other.nii.gz" in said
    assert "own grid" in " ".join(said.split())
    assert not out.exists()


@pytest.mark.parametrize("suffix", [".nii.gz", ".nrrd", ".seg.nrrd"])
def test_a_mask_in_another_storage_is_laid_onto_the_scan(call, scan, drawn, tmp_path, suffix):
    _, said, straight = call("--mask", drawn)
    expected = np.asarray(nibabel.load(straight).dataobj)
    image = nibabel.load(drawn)
    turned = image.as_reoriented(nibabel.io_orientation(image.affine @ np.diag([1, -1, -1, 1]))).slicer[1:, :, :6]
    other = tmp_path / f"turned{suffix}"
    if suffix == ".nii.gz":
        nibabel.save(turned, other)
    else:
        nibabel.save(turned, tmp_path / "turned.nii")
        read = read_label_map(tmp_path / "turned.nii")
        names = {1: "liver", 4: "spleen"} if suffix == ".seg.nrrd" else {}
        write_segmentation(Segmentation(read.labels, read.geometry, names), other)
    assert turned.shape != image.shape
    code, said, out = call("--mask", other)
    assert code == 0, said
    assert np.array_equal(np.asarray(nibabel.load(out).dataobj), expected)
    assert ("liver" in said) == (suffix == ".seg.nrrd")


def test_prompts_in_two_places_are_refused(call, tmp_path):
    prompts = tmp_path / "prompts.json"
    prompts.write_text('{"objects": [{"points": [[1, 1, 1, 1]]}]}')
    code, said, _ = call("--prompts", prompts, "--point", "2,2,3")
    assert (code, "one place" in said) == (2, True)


def test_json_that_is_none_is_a_file_error(call, tmp_path):
    prompts = tmp_path / "prompts.json"
    prompts.write_text("{objects")
    code, said, _ = call("--prompts", prompts)
    assert (code, "not JSON" in said) == (3, True)


def test_a_dicom_series_becomes_a_seg_and_an_rtstruct_with_names(call, tmp_path):
    dicom_scan(tmp_path / "series", orientation=OBLIQUE)
    flags = ("--box=2,2,2,6,8,2", "--name", "liver")
    code, said, out = call(*flags, output="mask.dcm", source=tmp_path / "series")
    assert code == 0, said
    assert [one.SegmentLabel for one in pydicom.dcmread(out).SegmentSequence] == ["liver"]
    assert pydicom.dcmread(out).SegmentSequence[0].SegmentAlgorithmType == "SEMIAUTOMATIC"

    code, said, out = call(*flags, "--format", "rtstruct", output="contours.dcm", source=tmp_path / "series")
    assert code == 0, said
    assert [one.ROIName for one in pydicom.dcmread(out).StructureSetROISequence] == ["liver"]
    assert "Müller" not in said


def test_a_scan_that_nobody_prompted_is_said_to_be_segmented_automatically(call, tmp_path):
    dicom_scan(tmp_path / "series")
    flags = ("--template", tmp_path / "series", "--box=2,2,2,6,8,2")
    code, said, out = call(*flags, output="mask.dcm", source=tmp_path / "series")
    assert code == 0, said
    assert pydicom.dcmread(out).SegmentSequence[0].SegmentAlgorithmType == "AUTOMATIC"


def test_a_name_that_is_cut_is_told(call, tmp_path):
    dicom_scan(tmp_path / "series")
    code, said, _ = call("--box=2,2,2,6,8,2", "--name", "x" * 65, output="mask.dcm", source=tmp_path / "series")
    assert code == 0
    assert "has 65 characters, DICOM holds 64; it was cut" in " ".join(said.split())


def test_the_format_of_the_output_is_checked_before_the_work(call, tmp_path):
    code, said, out = call("--box=2,2,3,6,7,3", output="mask.dcm")
    assert (code, out.exists()) == (3, False)
    assert "is to be DICOM SEG, which refers to the images of a DICOM series, but the scan is of format 'nifti'" in said

    code, said, _ = call("--box=2,2,3,6,7,3", "--format", LabelFormat.SEG_NRRD, output="mask.nii.gz")
    assert code == 2
    assert "is to be of format seg-nrrd; expected a name that ends in .nrrd" in said
