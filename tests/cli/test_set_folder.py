"""What `medsam2 oneprompt` leaves in its folder: while it runs, after a kill, and for real sets with their flaws."""

import csv
import json
import weakref

import numpy as np
import pytest
from PIL import Image

from medsam2.cli import oneprompt as module
from medsam2.cli.app import run
from medsam2.cli.set_folder import LOG, SetFolder, names_in_map
from medsam2.engine.set_result import ImageMask, ImageObject
from medsam2.errors import FormatError
from medsam2.io import ImageFile, read_label_map
from medsam2.segmenter import Segmenter
from medsam2.weights import WeightsCard
from reference.intensity_network import LEVELS, SIDE, IntensityNetwork

DARK, BRIGHT = LEVELS[1:]


def save(path, dark, bright=np.s_[14:16, 13:16], depth=np.uint8, side=SIDE):
    """A picture with a dark block, the object, and a bright one, which is none; either may be missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    array = np.zeros((side, side), depth)
    for block, level in ((dark, DARK), (bright, BRIGHT)):
        if block is not None:
            array[block] = level * (257 if depth == np.uint16 else 1)
    Image.fromarray(array).save(path)


@pytest.fixture
def folder(tmp_path):
    """Like objects of different sizes; "worst" shows two pixels of it, "none" nothing."""
    where = tmp_path / "set"
    save(where / "a.png", np.s_[3:8, 2:7])
    save(where / "b.png", np.s_[0:10, 4:12])
    save(where / "c.tif", np.s_[6:9, 6:9], depth=np.uint16)
    save(where / "large.png", np.s_[8:24, 4:20], np.s_[28:32, 26:32], side=2 * SIDE)
    save(where / "none.png", None)
    save(where / "worst.png", np.s_[5:6, 7:9])
    return where


@pytest.fixture
def network(monkeypatch, tiny_network):
    """Finds what is as bright as what was prompted; pictures of its own size to the pixel."""
    network = IntensityNetwork()
    segmenter = Segmenter(network, WeightsCard("intensity", tiny_network.config))
    monkeypatch.setattr(module.Segmenter, "from_pretrained", lambda *_: segmenter)
    return network


@pytest.fixture
def call(network, folder, tmp_path, capsys):
    def oneprompt(*flags, images=(folder,), template="a.png", point="4,5", output="out"):
        given = [*images, "-o", tmp_path / output, "--template", template, "--point", point, "--window", "full"]
        code = run(["oneprompt", *(str(one) for one in [*given, *flags])])
        said = capsys.readouterr()
        return code, " ".join((said.out + said.err).split()), tmp_path / output

    return oneprompt


def found_on(out, name):
    return read_label_map(out / f"{name}.png").labels[0] == 1


def truth_of(folder, file):
    with Image.open(folder / file) as image:
        array = np.array(image)
    return array == DARK * (257 if array.max() > 255 else 1)


SMALL = ("a.png", "b.png", "c.tif", "none.png", "worst.png")


def test_every_object_is_found_in_mixed_sizes_and_depths_and_nothing_where_there_is_none(call, folder):
    code, said, out = call()
    assert code == 0, said
    for file in SMALL:
        assert np.array_equal(found_on(out, file.split(".")[0]), truth_of(folder, file)), file
    large, truth = found_on(out, "large"), truth_of(folder, "large.png")
    assert large.shape == truth.shape
    assert 2 * (large & truth).sum() / (large.sum() + truth.sum()) > 0.8
    assert not found_on(out, "none").any()
    with (out / "images.csv").open(encoding="utf-8") as file:
        rows = {row["image"]: row for row in csv.DictReader(file)}
    assert (rows["none.png"]["status"], rows["none.png"]["area_px"], rows["none.png"]["confidence"]) == (
        "not found", "0", "0.0000",
    )  # fmt: skip


def test_the_worst_image_may_be_the_template(call, folder):
    code, said, out = call(template="worst.png", point="8,5")
    assert code == 0, said
    for file in SMALL:
        assert np.array_equal(found_on(out, file.split(".")[0]), truth_of(folder, file)), file


def test_shuffled_and_with_a_broken_file_all_others_are_the_same(call, folder):
    _, _, plain = call()
    (folder / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\nno picture")
    files = sorted(folder.iterdir())
    for number, order in enumerate((files[::-1], [*files[3:], *files[:3]])):
        code, said, out = call(images=order, template=folder / "a.png", output=f"shuffled{number}")
        assert code == 3
        assert "1 of 7 images could not be used: bad.png; all others are done" in said
        for file in plain.glob("*.png"):
            if file.name != "contact_sheet.png":
                assert (out / file.name).read_bytes() == file.read_bytes()


def kill_after(monkeypatch, count):
    """Interrupt the command once so many label maps are written; all is well again with `monkeypatch.undo`."""
    write, written = SetFolder.write, []

    def once(folder, mask):
        if len(written) == count:
            raise KeyboardInterrupt
        write(folder, mask)
        written.append(mask.name)

    monkeypatch.setattr(SetFolder, "write", once)
    return lambda: monkeypatch.setattr(SetFolder, "write", write)


@pytest.mark.parametrize("flags", [(), ("--memory", "fifo"), ("--memory-seed", "3"), ("--instances",)])
def test_a_killed_run_keeps_what_is_done_and_goes_on(call, network, monkeypatch, flags):
    _, _, whole = call(*flags)
    encoded, network.encoded = network.encoded, 0
    restore = kill_after(monkeypatch, 3)
    code, _, out = call(*flags, output="killed")
    assert code == 130
    maps = sorted(file.name for file in out.glob("*.png"))
    assert len(maps) == 3
    assert all((out / name).read_bytes() == (whole / name).read_bytes() for name in maps)
    assert not (out / "report.json").exists()
    restore()
    network.encoded = 0
    code, said, out = call(*flags, output="killed")
    assert (code, "going on after 3 images of 6 that are done" in said) == (0, True), said
    assert network.encoded <= encoded - 5  # no first look
    assert {file.name for file in out.iterdir()} == {file.name for file in whole.iterdir()}
    for file in whole.iterdir():
        if file.name != "report.json":  # which tells the time
            assert (out / file.name).read_bytes() == file.read_bytes(), file.name


def test_a_run_that_is_another_begins_anew(call, folder, monkeypatch):
    restore = kill_after(monkeypatch, 3)
    call()
    restore()
    save(folder / "b.png", np.s_[1:3, 1:3])
    code, said, out = call()
    assert (code, "going on" in said) == (0, False)
    assert np.array_equal(found_on(out, "b"), truth_of(folder, "b.png"))


def test_another_version_begins_anew(call, monkeypatch):
    restore = kill_after(monkeypatch, 3)
    call()
    restore()
    monkeypatch.setattr("medsam2.cli.set_folder.__version__", "another")
    code, said, _ = call()
    assert (code, "going on" in said) == (0, False)


def test_a_label_map_that_is_gone_is_made_again(call, folder, monkeypatch):
    restore = kill_after(monkeypatch, 4)
    _, _, out = call("--memory", "confidence")
    restore()
    gone = min(file for file in out.glob("*.png"))
    gone.unlink()
    code, said, out = call("--memory", "confidence")
    assert (code, "going on after 3 images" in said) == (0, True)
    assert gone.exists()


def test_an_older_run_leaves_no_report_beside_new_label_maps(call, folder, monkeypatch):
    _, _, out = call("--format", "coco")
    kill_after(monkeypatch, 1)
    save(folder / "new.png", np.s_[1:3, 1:3])
    assert call()[0] == 130
    left = {file.name for file in out.iterdir()}
    assert not left & {"report.json", "images.csv", "contact_sheet.png", "coco.json"}
    assert LOG in left


def test_an_image_that_broke_since_loses_its_label_map(call, folder):
    _, _, out = call()
    assert (out / "b.png").exists()
    (folder / "b.png").write_bytes(b"no picture")
    assert call()[0] == 3
    assert not (out / "b.png").exists()


@pytest.mark.parametrize("instances", [False, True])
def test_coco_holds_the_objects_of_all_pictures(call, folder, instances):
    (folder / "bad.png").write_bytes(b"no picture")
    code, said, out = call("--name", "cell", "--format", "coco", *(["--instances"] if instances else []))
    assert (code, "coco.json" in said) == (3, True)
    told = json.loads((out / "coco.json").read_text())
    assert [one["file_name"] for one in told["images"]] == [
        "a.png", "b.png", "c.tif", "large.png", "none.png", "worst.png",
    ]  # fmt: skip
    assert [one["name"] for one in told["categories"]] == ["cell"]
    areas = {one["image_id"]: one["area"] for one in told["annotations"]}
    assert (areas[1], areas[2], areas[3], areas[6], 5 in areas) == (25, 80, 9, 2, False)
    assert told["info"]["description"].endswith("intensity")


def test_a_set_goes_through_one_image_at_a_time(call, tmp_path, monkeypatch):
    """Counted, not timed: how many images and label maps there are at once."""
    alive, most = set(), []

    def counted(read):
        def one(*given):
            made = read(*given)
            alive.add(weakref.ref(made, alive.discard))
            most.append(len(alive))
            return made

        return one

    for number in range(40):
        save(tmp_path / "many" / f"{number:03d}.png", np.s_[2 : 4 + number % 9, 3:9])
    monkeypatch.setattr(ImageFile, "read", counted(ImageFile.read))
    monkeypatch.setattr("medsam2.cli.set_folder.read_label_map", counted(read_label_map))
    code, said, _ = call("--format", "coco", images=[tmp_path / "many"], template="000.png", point="4,3")
    assert code == 0, said
    assert len(most) > 3 * 40  # two passes, and the label maps once more
    assert max(most) <= 3


@pytest.mark.parametrize("name", ["coco.json", "images.csv", "contact_sheet.png", "report.json", "b.png"])
def test_files_of_others_in_the_output_are_refused_and_kept(call, tmp_path, name):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / name).write_text('{"report_version": 1, "medsam2_version": "0.1.0", "objects": []}')
    code, said, out = call()
    assert (code, f"out/{name} is there already, and no run of medsam2 oneprompt has left it" in said) == (3, True), (
        said
    )
    assert [file.name for file in out.iterdir()] == [name]


def test_other_files_in_the_output_do_not_matter(call, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "notes.txt").write_text("mine")
    code, said, out = call()
    assert code == 0, said
    assert (out / "notes.txt").read_text() == "mine"


def test_what_a_run_left_is_known_by_its_report(call):
    _, _, out = call("--format", "coco")
    before = (out / "images.csv").read_bytes()
    code, said, _ = call(template="b.png", point="6,3")
    assert code == 0, said
    assert not (out / "coco.json").exists()
    assert (out / "images.csv").read_bytes() != before
    (out / "report.json").unlink()
    code, said, _ = call()
    assert (code, "a.png is there already" in said) == (3, True), said


def test_an_output_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "out").write_text("mine")
    with pytest.raises(FormatError, match="out is a file; expected a folder"):
        SetFolder(tmp_path / "out", [], {})


def test_labels_are_named_after_their_objects():
    def look(name, label, instances):
        return ImageObject(name, label, 0.5, 1.0, 9, instances, True, False)

    assert names_in_map(ImageMask("a", 0, (look("cell", 4, None), look("rim", 2, None)))) == {4: "cell", 2: "rim"}
    assert names_in_map(ImageMask("a", 0, (look("cell", 4, 2), look("rim", 2, 1)))) == {1: "cell", 2: "cell", 3: "rim"}
