"""`medsam2 oneprompt` as users call it: a set in, label maps, a table, a picture and a report out."""

import csv
import json

import nibabel
import numpy as np
import pytest
import tifffile
from PIL import Image

from medsam2.cli.app import run
from medsam2.errors import FormatError
from medsam2.weights import WeightsCard, save_network
from reference.nuclei_tiles import cut_into_tiles

BOX = ("--box", "5,5,20,18")


@pytest.fixture
def weights(tiny_network, tmp_path):
    path = tmp_path / "tiny.safetensors"
    save_network(tiny_network, path, WeightsCard("tiny", tiny_network.config))
    return path


def save(path, shape=(30, 40), dtype=np.uint8, seed=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    array = np.random.default_rng(seed).integers(0, np.iinfo(dtype).max, shape).astype(dtype)
    Image.fromarray(array).save(path)
    return path


def save_slice(path, shape=(33, 28, 1)):
    """A sagittal slice, oblique, with both forms set."""
    image = nibabel.Nifti1Image(np.random.default_rng(5).normal(0, 9, shape).astype(np.float32), np.eye(4))
    affine = np.array([[0, 0.1, 3, -7], [0.9, 0, 0, 5], [0, -0.8, 0.2, 3], [0, 0, 0, 1]])
    image.set_sform(affine, 2)
    image.set_qform(affine, 1)
    nibabel.save(image, path)
    return path


@pytest.fixture
def folder(tmp_path):
    """Images of mixed sizes, depths, colours and formats."""
    where = tmp_path / "set"
    save(where / "a.png")
    save(where / "b.jpg", (50, 36, 3), seed=1)
    save(where / "c.tif", (64, 64), np.uint16, seed=2)
    save_slice(where / "d.nii.gz")
    return where


@pytest.fixture
def call(weights, folder, tmp_path, capsys):
    """Run the command: its exit code, what it said, and its output folder."""

    def oneprompt(*flags, images=(folder,), template="a.png", output="out"):
        given = [*images, "-o", tmp_path / output, "--model", weights, "-d", "cpu", *flags]
        given += ["--template", template] if template else []
        code = run(["oneprompt", *(str(one) for one in given)])
        said = capsys.readouterr()
        return code, " ".join((said.out + said.err).split()), tmp_path / output

    return oneprompt


def table(out):
    with (out / "images.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def pixels(path):
    with Image.open(path) as image:
        return np.array(image)


def test_each_image_gets_a_label_map_of_its_own_size(call):
    code, said, out = call(*BOX)
    assert code == 0, said
    assert {file.name for file in out.iterdir()} == {
        "a.png", "b.png", "c.png", "d.nii.gz", "images.csv", "contact_sheet.png", "report.json",
    }  # fmt: skip
    assert [pixels(out / name).shape for name in ("a.png", "b.png", "c.png")] == [(30, 40), (50, 36), (64, 64)]
    assert pixels(out / "a.png").dtype == np.uint8
    assert pixels(out / "a.png").any()
    assert f"wrote {out}: 4 label maps" in said


def test_the_precision_asked_for_is_reported(call):
    code, said, out = call(*BOX, "--precision", "bfloat16")
    assert code == 0, said
    assert json.loads((out / "report.json").read_text())["model"]["precision"] == "bfloat16"


def test_nifti_keeps_its_geometry_to_the_bit(call, folder):
    _, _, out = call(*BOX)
    before, after = nibabel.load(folder / "d.nii.gz"), nibabel.load(out / "d.nii.gz")
    assert np.array_equal(before.affine, after.affine)
    assert after.shape == before.shape
    for field in ("sform_code", "qform_code", "srow_x", "srow_y", "srow_z", "quatern_b", "quatern_c", "pixdim"):
        assert np.array_equal(before.header[field], after.header[field])
    assert after.get_data_dtype() == np.uint8


def test_the_table_and_the_report_say_what_was_found(call, tmp_path):
    code, _, out = call(*BOX, "--name", "nucleus", "--memory", "fifo", "--window", "full", "--least-confidence", "0.1")
    assert code == 0
    rows = table(out)
    assert [row["image"] for row in rows] == ["a.png", "b.jpg", "c.tif", "d.nii.gz"]
    assert [row["prompted"] for row in rows] == ["true", "false", "false", "false"]
    for row in rows:
        labels = out / row["label_map"]
        found = np.asarray(nibabel.load(labels).dataobj) if labels.suffix == ".gz" else pixels(labels)
        assert int(row["area_px"]) == np.count_nonzero(found)
        assert row["status"] == ("found" if found.any() else "not found")
        assert row["object"] == "nucleus"
    told = json.loads((out / "report.json").read_text())
    expected = {"memory": "fifo", "memory_options": {}, "memory_seed": None, "window": "full", "size": None}
    assert told["settings"] == expected | {"instances": False, "least_confidence": 0.1}
    assert told["templates"][0]["image"] == "a.png"
    assert told["templates"][0]["prompts"]["objects"][0]["boxes"] == [[5, 5, 0, 20, 18, 0]]
    assert told["model"]["name"] == "tiny"
    assert str(tmp_path) not in (out / "report.json").read_text()
    assert pixels(out / "contact_sheet.png").shape[1] == 1600


def test_shuffled_files_give_the_same_files(call, folder):
    files = sorted(folder.iterdir())
    results = []
    for number, order in enumerate((files, files[::-1], [*files[2:], *files[:2], files[0]])):
        code, said, out = call(*BOX, images=order, template=folder / "a.png", output=f"out{number}")
        assert code == 0, said
        results.append({file.name: file.read_bytes() for file in out.iterdir() if file.suffix in (".png", ".csv")})
    assert results[0] == results[1] == results[2]


def test_a_mask_prompts_several_objects_and_comes_back_to_the_pixel(call, tmp_path):
    drawn = np.zeros((30, 40), np.uint8)
    drawn[3:9, 4:12], drawn[15:22, 20:33] = 1, 4
    Image.fromarray(drawn).save(tmp_path / "drawn.png")
    code, said, out = call("--mask", tmp_path / "drawn.png")
    assert code == 0, said
    assert np.array_equal(pixels(out / "a.png"), drawn)
    assert [row["label"] for row in table(out)] == ["1", "4"] * 4
    objects = json.loads((out / "report.json").read_text())["templates"][0]["prompts"]["objects"]
    assert [one["masks"] for one in objects] == [["drawn.png"], ["drawn.png"]]


def test_instances_are_told_apart(call, tmp_path):
    drawn = np.zeros((30, 40), np.uint8)
    drawn[3:9, 4:12], drawn[15:22, 20:33] = 1, 1
    Image.fromarray(drawn).save(tmp_path / "drawn.png")
    code, _, out = call("--mask", tmp_path / "drawn.png", "--instances")
    assert code == 0
    assert np.array_equal(np.unique(pixels(out / "a.png")), [0, 1, 2])
    assert table(out)[0]["instances"] == "2"


def test_a_broken_file_is_named_and_all_others_are_done(call, folder):
    (folder / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\nno picture")
    nibabel.save(nibabel.Nifti1Image(np.zeros((5, 6, 7), np.int16), np.eye(4)), folder / "ct.nii")
    code, said, out = call(*BOX)
    assert code == 3
    assert "warning:" in said
    assert said.count("bad.png cannot be read") == 1
    assert "ct.nii is a volume of 5 x 6 x 7 voxels" in said
    assert "2 of 6 images could not be used: bad.png, ct.nii; all others are done" in said
    assert not (out / "bad.png").exists()
    assert (out / "d.nii.gz").exists()
    failed = [row for row in table(out) if row["status"].startswith("could not be used: bad.png cannot be read")]
    assert [row["image"] for row in failed] == ["bad.png"]
    assert str(folder) not in (out / "images.csv").read_text() + (out / "report.json").read_text()


def test_many_broken_files_are_counted(call, folder):
    for number in range(7):
        (folder / f"bad{number}.png").write_bytes(b"no picture")
    code, said, _ = call(*BOX)
    assert (code, "7 of 11 images could not be used: bad0.png" in said, "bad4.png, ...;" in said) == (3, True, True)


def test_a_broken_template_ends_all_at_once(call, folder):
    (folder / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\nno picture")
    code, said, out = call(*BOX, template="bad.png")
    assert (code, "bad.png cannot be read" in said) == (3, True)
    assert not out.exists()


def test_a_volume_is_no_template(call, folder):
    nibabel.save(nibabel.Nifti1Image(np.zeros((5, 6, 7), np.int16), np.eye(4)), folder / "ct.nii")
    code, said, _ = call(*BOX, template="ct.nii")
    assert (code, "expected an image, a single slice" in said) == (2, True)


def test_the_pages_of_a_stack_are_images(call, tmp_path):
    stack = np.random.default_rng(0).integers(0, 255, (4, 30, 40)).astype(np.uint8)
    tifffile.imwrite(tmp_path / "cells.tif", stack, photometric="minisblack")
    for template in ("cells.tif:2", tmp_path / "cells.tif:2"):
        code, said, out = call(*BOX, images=[tmp_path / "cells.tif"], template=template)
        assert code == 0, said
        assert [row["label_map"] for row in table(out)] == [f"cells-{page}.png" for page in range(4)]
        assert [row["prompted"] for row in table(out)] == ["false", "false", "true", "false"]
    for template, words in (
        (tmp_path / "cells.tif", "holds 4 images; name one of them, e.g. 'cells.tif:0'"),
        (tmp_path / "cells.tif:4", "has no page 4; expected 0..3"),
        ("cells.tif:9", "did you mean 'cells.tif:"),
    ):
        code, said, _ = call(*BOX, images=[tmp_path / "cells.tif"], template=template)
        assert (code in (2, 3), words in said) == (True, True), said


def test_a_template_from_elsewhere_joins_the_set(call, tmp_path):
    other = save(tmp_path / "elsewhere" / "first.png", (25, 25), seed=9)
    code, said, out = call(*BOX, template=other)
    assert code == 0, said
    assert pixels(out / "first.png").shape == (25, 25)
    assert [row["image"] for row in table(out) if row["prompted"] == "true"] == ["first.png"]


def test_several_templates_are_prompted_in_a_file(call, folder, tmp_path):
    prompts = tmp_path / "prompts.json"
    objects = [
        {"name": "cell", "label": 2, "image": "a.png", "boxes": [[5, 5, 20, 18]]},
        {"name": "cell", "label": 2, "image": str(folder / "c.tif"), "points": [[30, 31]]},
        {"name": "rim", "label": 7, "image": "set/c.tif", "points": [[3, 4, 1]]},
    ]
    prompts.write_text(json.dumps({"objects": objects}))
    code, said, out = call("--prompts", prompts, template=None)
    assert code == 0, said
    assert [(row["image"], row["object"]) for row in table(out) if row["prompted"] == "true"] == [
        ("a.png", "cell"),
        ("c.tif", "cell"),
        ("c.tif", "rim"),
    ]


def test_a_file_of_prompts_for_the_only_template_needs_no_image(call, tmp_path):
    (tmp_path / "prompts.json").write_text(
        '{"objects": [{"name": "x", "boxes": [[5, 5, 20, 18]]}, {"points": [[1, 2]]}]}'
    )
    code, said, out = call("--prompts", tmp_path / "prompts.json")
    assert code == 0, said
    assert [row["object"] for row in table(out)[:2]] == ["x", "object 2"]


@pytest.mark.parametrize(
    ("content", "template", "code", "words"),
    [
        ({"objects": [{"points": [[1, 2]]}]}, None, 2, 'objects[0] has no "image" and 0 templates were named'),
        ({"objects": [{"image": 3, "points": [[1, 2]]}]}, None, 2, "objects[0].image: 3; expected a text"),
        ({"objects": [{"image": "q.png", "points": [[1, 2]]}]}, None, 3, "template 'q.png' is neither a file"),
        (
            {"objects": [{"image": "a.png", "points": [[1, 2]]}, {"image": "b.jpg", "label": 1, "points": [[1, 2]]}]},
            None,
            2,
            'an object has no "label"',
        ),
        ({"objects": [{"image": "b.jpg", "points": [[1, 2]]}]}, "a.png", 2, "template a.png has no prompt"),
        ({"objects": [{"image": "b.jpg", "points": [[99, 2]]}]}, None, 2, "outside the volume"),
        ({"objects": [{"image": "b.jpg", "points": [[1]]}]}, None, 2, "prompts.json, on b.jpg: objects[0].points[0]"),
        ({"objects": 5}, "a.png", 2, "objects: 5 (a number)"),
        ({"objcts": []}, "a.png", 2, 'unknown key "objcts"'),
        ([], "a.png", 2, "expected a JSON object"),
        (
            {
                "objects": [
                    {"name": "x", "label": 1, "image": "a.png", "points": [[1, 2]]},
                    {"name": "y", "label": 1, "image": "b.jpg", "points": [[1, 2]]},
                ]
            },
            None,
            2,
            "object 'y' has the label 1, which another template gives differently",
        ),
    ],
)
def test_prompt_files_that_cannot_be_meant(call, tmp_path, content, template, code, words):
    (tmp_path / "prompts.json").write_text(json.dumps(content))
    found, said, out = call("--prompts", tmp_path / "prompts.json", template=template)
    assert (found, words in said) == (code, True), said
    assert not out.exists()


@pytest.mark.parametrize(
    ("flags", "template", "code", "words"),
    [
        ([], "a.png", 2, "--box, --point, --mask or --prompts"),
        (BOX, None, 2, "0 templates were named; expected one, with --template IMAGE"),
        ([*BOX, "--template", "b.jpg"], "a.png", 2, "2 templates were named"),
        (
            BOX,
            "a.pgn",
            3,
            "template 'a.pgn' is neither a file nor the name of one of the 4 images; did you mean 'a.png'?",
        ),
        (BOX, "zzz", 3, "of the 4 images"),
        (["--box", "5,5,99,18"], "a.png", 2, "outside the volume"),
        (["--point", "5"], "a.png", 2, "x,y or x,y,label"),
        ([*BOX, "--memory", "fifoo"], "a.png", 2, "fifo"),
        ([*BOX, "--window", "abdomn"], "a.png", 2, "ct-abdomen"),
        ([*BOX, "--size", "100"], "a.png", 2, "multiple of 32"),
        ([*BOX, "-d", "tpu"], "a.png", 2, "tpu"),
        ([*BOX, "--prompts", "p.json"], "a.png", 2, "one place"),
        (["--prompts", "nowhere.json"], "a.png", 3, "nowhere.json"),
        (["--mask", "nowhere.png"], "a.png", 3, "nowhere.png"),
    ],
)
def test_wrong_input_is_one_line_with_a_documented_code_and_no_output(call, flags, template, code, words):
    found, said, out = call(*flags, template=template)
    assert (found, words in said) == (code, True), said
    assert "Traceback" not in said
    assert not out.exists()


def test_files_that_are_no_images_are_refused_before_anything_is_done(call, tmp_path):
    for name, words in (
        ("clip.mp4", "is a video; expected images. Make a folder of frames"),
        ("notes.txt", "unknown suffix"),
        ("gone.png", "does not exist"),
    ):
        if name != "gone.png":
            (tmp_path / name).write_bytes(b"x")
        code, said, out = call(*BOX, images=[tmp_path / name])
        assert (code, words in said, out.exists()) == (3, True, False), said


def test_label_maps_that_would_be_one_file_are_refused(call, folder):
    save(folder / "A.jpeg")
    code, said, out = call(*BOX)
    assert code == 2
    assert "A.jpeg" in said
    assert "would both become" in said
    assert not out.exists()
    (folder / "A.jpeg").unlink()
    save(folder / "contact_sheet.tif")
    code, said, _ = call(*BOX)
    assert (code, "contact_sheet.tif and the contact sheet would both become" in said) == (2, True)


def test_the_images_are_never_overwritten(call, folder):
    before = {file: file.read_bytes() for file in folder.iterdir()}
    code, said, _ = call(*BOX, output="set")
    assert (code, "is the folder of the images themselves" in said) == (3, True)
    assert {file: file.read_bytes() for file in folder.iterdir()} == before


def test_an_output_that_is_a_file_is_refused(call, tmp_path):
    (tmp_path / "out").write_text("mine")
    code, said, out = call(*BOX)
    assert (code, "out" in said, out.read_text()) == (3, True, "mine")


def test_an_output_that_cannot_be_written_is_refused_before_the_work(call, tmp_path, monkeypatch):
    monkeypatch.setattr("medsam2.cli.oneprompt.Segmenter", None)
    (tmp_path / "notes").write_text("mine")
    code, said, _ = call(*BOX, output="notes/out")
    assert (code, "cannot be written: Not a directory" in said) == (3, True), said


def test_what_cannot_be_written_is_named_where_it_was_to_go(call, monkeypatch):
    def full(_, path):
        raise FormatError(f"{path} cannot be written: No space left on device.")

    monkeypatch.setattr("medsam2.cli.set_folder.write_segmentation", full)
    code, said, out = call(*BOX)
    assert code == 3
    assert f"{out / 'a.png'} cannot be written: No space left" in said
    assert not list(out.glob("*.png"))


def test_quiet_says_nothing_and_verbose_more(call):
    _, said, _ = call(*BOX, "-q")
    assert all("warning" in line for line in said.splitlines())
    _, said, _ = call(*BOX, "-v")
    assert "tiny on cpu, 4 images" in said


def test_tiles_of_a_real_picture(call, tmp_path):
    images, masks = cut_into_tiles(128, first=3)
    for image in images:
        tile = tmp_path / "tiles" / f"{image.name}.png"
        tile.parent.mkdir(exist_ok=True)
        Image.fromarray(image.volume.array[0]).save(tile)
    Image.fromarray(masks["tile_01"][0].astype(np.uint8)).save(tmp_path / "drawn.png")
    flags = ("--mask", tmp_path / "drawn.png")
    code, said, out = call(*flags, images=[tmp_path / "tiles"], template="tile_01.png")
    assert code == 0, said
    assert np.array_equal(pixels(out / "tile_01.png"), masks["tile_01"][0])


@pytest.mark.parametrize("name", ["a.png", "images.csv", "images.part.jsonl", "coco.json"])
def test_a_mask_in_the_output_folder_is_not_lost(call, tmp_path, name):
    drawn = np.zeros((30, 40), np.uint8)
    drawn[3:9, 4:12] = 1
    (tmp_path / "out").mkdir()
    Image.fromarray(drawn).save(tmp_path / "drawn.png")
    (tmp_path / "drawn.png").rename(tmp_path / "out" / name)
    (tmp_path / "link.png").symlink_to(tmp_path / "out" / name)
    before = (tmp_path / "out" / name).read_bytes()
    code, said, out = call("--mask", tmp_path / "link.png")
    assert (code, "is given twice, as mask 1 and as" in said) == (2, True), said
    assert [file.name for file in out.iterdir()] == [name]
    assert (out / name).read_bytes() == before
