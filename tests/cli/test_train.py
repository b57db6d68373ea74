"""`medsam2 train`: every recipe for a few steps, what it says and writes, and what it refuses before it begins."""

import json

import nibabel
import numpy as np
import pytest

from medsam2.cli.app import run
from medsam2.training.recipe_files import shipped_recipes
from medsam2.training.run_folder import RunFolder
from medsam2.weights import WeightsCard, load_network, save_network
from reference.dataset_trees import WRITERS, write_folder, write_nifti

TREES = {"finetune-volume": "folder", "finetune-images": "tnscui", "btcv": "btcv", "refuge2": "refuge2"}
TREES |= {"brats": "brats", "tnscui": "tnscui", "isic": "isic"}

SMALL = ["--set", "stages=[{tasks: [{batch: {clips: 1, frames: 2, objects: 2, size: 32}}]}]"]


@pytest.fixture(autouse=True)
def own_signals():
    import signal

    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def weights(tiny_network, tmp_path):
    path = tmp_path / "tiny.safetensors"
    save_network(tiny_network, path, WeightsCard("tiny", tiny_network.config, licence="CC0"))
    return path


@pytest.fixture
def call(tmp_path, capsys):
    def train(recipe, *flags):
        code = run([str(one) for one in ("train", recipe, "-o", tmp_path / "run", "-d", "cpu", *flags)])
        said = capsys.readouterr()
        return code, said.out, said.err

    return train


def tree_of(name, folder):
    WRITERS[TREES[name]](folder / "set")
    return folder / "set" if name == "finetune-volume" else f"{TREES[name]}:{folder / 'set'}"


def shortened(name):
    """The recipe's own tasks, with small batches."""
    small = []
    from medsam2.training.recipe_files import read_recipe

    for stage in read_recipe(name).stages:
        for task in stage.tasks:
            clip, shape = task.clip, task.batch
            prompts = {"box": clip.prompts.box, "mask": clip.prompts.mask}
            batch = {"clips": 1, "frames": min(shape.frames, 3), "objects": shape.objects, "size": 32, "canvas": 64}
            small.append({"batch": batch, "clip": {"prompts": prompts, "later_correction": clip.later_correction}})
    return ["--set", f"stages={json.dumps([{'tasks': small}])}"]


@pytest.mark.parametrize("name", sorted(TREES))
def test_every_recipe_runs(name, call, weights, tmp_path):
    flags = ["--data", tree_of(name, tmp_path), "--start", weights, "--steps", 2, "--set", "validation.cases=1"]
    code, out, err = call(name, *flags, *shortened(name))
    assert code == 0, err
    assert f"{name}: 2 steps on" in out
    assert "wrote" in out
    card = load_network(tmp_path / "run" / "weights.safetensors").card
    assert card.name == name
    assert "validation dice" in card.scores
    assert card.training["recipe"]["augmentation"]["turn_degrees"] == 25


def test_the_starter_s_recipe_runs(call, tmp_path):
    code, out, err = call("starter", "--steps", 2, *shortened("starter"))
    assert code == 0, err
    assert "starter: 2 steps on synthetic anatomy" in out
    card = load_network(tmp_path / "run" / "weights.safetensors").card
    assert (card.name, card.licence, card.scores) == ("starter", "Apache-2.0", {})


def test_all_shipped_recipes_are_run():
    assert set(shipped_recipes()) == {*TREES, "starter"}


def test_the_result_segments(call, weights, tmp_path, capsys):
    write_folder(tmp_path / "scans")
    flags = ["--data", tmp_path / "scans", "--start", weights, "--steps", 2, *SMALL]
    assert call("finetune-volume", *flags, "--set", "encoder.mode=lora")[0] == 0
    result = tmp_path / "run" / "weights.safetensors"
    assert run(["weights", "info", str(result)]) == 0
    assert "finetune-volume" in capsys.readouterr().out
    scan, output = tmp_path / "scans" / "images" / "a.nii.gz", tmp_path / "out.nii.gz"
    given = ["segment", "-i", scan, "-o", output, "--box", "1,1,2,4,4,2", "--model", result, "-d", "cpu"]
    assert run([str(one) for one in given]) == 0
    assert nibabel.load(output).shape == nibabel.load(scan).shape


def test_a_run_is_checked_continued_and_exported(call, weights, tmp_path):
    write_folder(tmp_path / "scans")
    flags = ["--data", tmp_path / "scans", "--start", weights, *SMALL]
    code, out, _ = call("finetune-volume", *flags, "--steps", 1, "--check")
    assert (code, "1 steps on 1 cases, chosen by 1 others" in out) == (0, True)
    assert not (tmp_path / "run" / "state").exists()
    assert call("finetune-volume", *flags, "--steps", 1)[0] == 0
    code, out, _ = call(tmp_path / "run", "--steps", 3)
    assert code == 0
    assert "going on after 1" in out
    assert call(tmp_path / "run", "--export", tmp_path / "mine.safetensors")[0] == 0
    assert load_network(tmp_path / "mine.safetensors").card.name == "finetune-volume"


def contents(folder):
    return {str(one.relative_to(folder)): one.read_bytes() for one in sorted(folder.rglob("*")) if one.is_file()}


def test_a_check_writes_the_plan_of_a_new_run_and_nothing_into_another(call, weights, tmp_path):
    write_folder(tmp_path / "scans")
    flags = ["--data", tmp_path / "scans", "--start", weights, *SMALL]
    assert call("finetune-volume", *flags, "--check")[0] == 0
    assert call("finetune-volume", *flags, "--steps", 2, "--check")[0] == 0
    assert contents(tmp_path / "run").keys() == {"recipe.json", "splits.json"}
    assert json.loads((tmp_path / "run" / "recipe.json").read_text())["steps"] == 2
    assert call("finetune-volume", *flags, "--steps", 2)[0] == 0
    with (tmp_path / "run" / "log.csv").open("a") as log:
        log.write("3,1.0,0,0.1\n")
    before = contents(tmp_path / "run")
    code, out, _ = call("finetune-volume", *flags, "--steps", 9, "--check")
    assert (code, "going on after 2" in out) == (0, True)
    assert contents(tmp_path / "run") == before


def test_cases_that_are_too_small_are_named_before_training(call, weights, tmp_path):
    write_folder(tmp_path / "scans")
    labels = np.zeros((4, 120, 100), np.uint8)
    labels[1, 60, 50] = 1
    for name in ("speck", "speckle"):
        write_nifti(tmp_path / "scans" / "images" / f"{name}.nii.gz", labels.astype(np.int16))
        write_nifti(tmp_path / "scans" / "labels" / f"{name}.nii.gz", labels)
    flags = ["--data", tmp_path / "scans", "--start", weights, "--steps", 1, "--set", "data.validation_share=0", *SMALL]
    code, out, err = call("finetune-volume", *flags, "--check")
    assert (code, "on 4 cases" in out) == (0, True)
    assert "no structure of 2 cases is large enough" in err
    assert "(speck, speckle)" in err
    assert call("finetune-volume", *flags)[0] == 0
    for name in "ab":
        for folder in ("images", "labels"):
            (tmp_path / "scans" / folder / f"{name}.nii.gz").unlink()
    code, _, err = call("finetune-volume", *flags, "-o", tmp_path / "other", "--check")
    assert (code, "no structure of the 2 cases (speck, ...) fills 0.153%" in err) == (2, True)
    assert not (tmp_path / "other" / "recipe.json").exists()


def test_a_second_run_in_the_same_folder_is_refused(call, weights, tmp_path):
    write_folder(tmp_path / "scans")
    with RunFolder(tmp_path / "run").owned():
        code, out, err = call("finetune-volume", "--data", tmp_path / "scans", "--start", weights, *SMALL)
    assert (code, out) == (3, "")
    assert "another process is training in this folder" in err


def test_a_run_that_is_stopped_says_so_by_its_exit_code(call, weights, tmp_path, monkeypatch):
    write_folder(tmp_path / "scans")
    flags = ["--data", tmp_path / "scans", "--start", weights, "--steps", 2, *SMALL]
    with monkeypatch.context() as patch:
        patch.setattr("medsam2.training.launch.AskedToEnd.__call__", lambda _: True)
        code, out, err = call("finetune-volume", *flags)
    assert (code, err) == (130, "")
    assert "stopped after 1 steps; the same command goes on from there" in out
    code, out, _ = call("finetune-volume", *flags)
    assert (code, "going on after 1" in out) == (0, True)


def test_a_run_that_chooses_by_nothing_keeps_its_last_weights(call, weights, tmp_path):
    write_folder(tmp_path / "scans")
    flags = ["--data", tmp_path / "scans", "--start", weights, *SMALL, "--set", "data.validation_share=0"]
    for steps in (1, 3):
        assert call("finetune-volume", *flags, "--steps", steps)[0] == 0
        assert load_network(tmp_path / "run" / "weights.safetensors").card.training["steps"] == steps


def test_quiet_says_nothing(call, weights, tmp_path):
    write_folder(tmp_path / "scans")
    flags = ["--data", tmp_path / "scans", "--start", weights, "--steps", 1, "-q", *SMALL]
    assert call("finetune-volume", *flags) == (0, "", "")


def broken_tree(folder, fault):
    write_folder(folder)
    if fault == "label without image":
        (folder / "images" / "a.nii.gz").unlink()
    elif fault == "image without label":
        (folder / "labels" / "a.nii.gz").unlink()
    elif fault == "empty":
        write_nifti(folder / "labels" / "a.nii.gz", np.zeros((4, 12, 10), np.uint8))
    elif fault == "affine":
        write_nifti(folder / "labels" / "a.nii.gz", np.ones((4, 12, 10), np.uint8), (1.5, 1.5, 9.0))
    return folder


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("label without image", "a.nii.gz: has no image"),
        ("image without label", "a.nii.gz: has no labels"),
        ("empty", "the labels hold nothing but background"),
        ("affine", "the labels lie on"),
    ],
)
def test_faulty_data_are_found_before_training(fault, message, call, weights, tmp_path):
    tree = broken_tree(tmp_path / "scans", fault)
    code, out, err = call("finetune-volume", "--data", tree, "--start", weights, *SMALL)
    assert (code, out) == (3, "")
    assert message in err
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("flags", "code", "message"),
    [
        (["--set", "optimiser.learning_rte=1"], 2, "'optimiser.learning_rte' is no setting"),
        (["--start", "startr"], 4, "Did you mean 'starter'"),
        (["--data", "bctv:somewhere"], 2, "'bctv' is no layout"),
        (["--data", "nowhere"], 3, "nowhere does not exist"),
        (["--steps", "3", "--minutes", "1"], 2, "expected one of them"),
    ],
)
def test_what_means_nothing_is_refused(flags, code, message, call, weights):
    start = [] if "--start" in flags else ["--start", weights]
    found = call("finetune-volume", *start, *flags)
    assert (found[0], message in found[2]) == (code, True), found[2]


def test_paths_are_no_yaml(call, weights, tmp_path):
    start = weights.rename(tmp_path / "weights #2.safetensors")
    write_folder(tmp_path / "Trial #3")
    flags = ["--data", tmp_path / "Trial #3", "--start", start, "--check", *SMALL]
    code, out, err = call("finetune-volume", *flags)
    assert (code, "on 1 cases" in out) == (0, True), err


def test_an_unknown_recipe_is_refused(call):
    code, _, err = call("finetune-volum")
    assert code == 2
    assert "Did you mean 'finetune-volume'" in err
