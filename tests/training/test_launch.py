"""Starting and going on with runs: what is checked before, and how a process that is asked to end gets to save."""

import json
import os
import signal

import pytest
import torch

from medsam2.errors import CheckpointError, ConfigurationError
from medsam2.network import Sam2Network
from medsam2.training.__main__ import main
from medsam2.training.launch import AskedToEnd, plan, prepare, train
from medsam2.training.processes import Alone
from medsam2.training.run_folder import RunFolder
from medsam2.training.state import save_state
from medsam2.weights import WeightsCard, load_network, save_network
from reference.dataset_trees import write_folder
from training.tiny_runs import PLAIN, TINY, recipe_of

CPU = Alone(torch.device("cpu"))


@pytest.fixture(autouse=True)
def own_signals():
    """Put the handlers of this process back."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def recipe(tmp_path):
    """Starts from a file, on a tree of two cases."""
    write_folder(tmp_path / "scans")
    torch.manual_seed(0)
    save_network(Sam2Network(TINY), tmp_path / "tiny.safetensors", WeightsCard("small", TINY, "CC0"))
    return recipe_of(start=str(tmp_path / "tiny.safetensors"), data={"source": str(tmp_path / "scans")}, steps=2)


def changed(recipe, **changes):
    return type(recipe)(**{**vars(recipe), **changes})


def test_a_run_from_a_file(tmp_path, recipe):
    folder = RunFolder(tmp_path / "run")
    outcome = train(prepare(recipe, folder, CPU))
    assert (outcome.steps, outcome.finished) == (2, True)
    assert outcome.best >= 0
    card = load_network(folder.weights).card
    assert card.training["start"]["name"] == "small"
    assert json.loads(folder.splits.read_text()).keys() == {"training", "validation"}
    assert plan(str(folder.path), None)[0] == recipe
    assert train(prepare(recipe, folder, CPU)).steps == 2


def test_a_run_from_scratch_takes_the_size_of_its_network(tmp_path, recipe):
    stages = recipe_of(stages=[{"tasks": [{"batch": {"clips": 1, "frames": 1, "objects": 1, "size": 0}}]}]).stages
    found = prepare(
        changed(recipe, start="scratch", network="starter", stages=stages), RunFolder(tmp_path / "run"), CPU
    )
    assert found.run.recipe.side == found.network.config.size
    assert found.run.start == {}


def test_a_longer_run_goes_on_and_another_one_is_refused(tmp_path, recipe):
    folder = RunFolder(tmp_path / "run")
    train(prepare(recipe, folder, CPU))
    assert train(prepare(changed(recipe, steps=3), folder, CPU)).steps == 3
    with pytest.raises(ConfigurationError, match="the run there has 'seed' 0, the recipe 5; choose another folder"):
        prepare(changed(recipe, seed=5), folder, CPU)
    with pytest.raises(ConfigurationError, match="has 'accumulate' 1, the recipe 2"):
        prepare(changed(recipe, accumulate=2), folder, CPU)
    two = Alone(torch.device("cpu"))
    two.count = 2
    with pytest.raises(ConfigurationError, match="learns from 1 batches a step, this one would from 2"):
        prepare(recipe, folder, two)
    (tmp_path / "scans" / "images" / "a.nii.gz").rename(tmp_path / "scans" / "images" / "c.nii.gz")
    (tmp_path / "scans" / "labels" / "a.nii.gz").rename(tmp_path / "scans" / "labels" / "c.nii.gz")
    with pytest.raises(ConfigurationError, match="was made on other cases"):
        prepare(recipe, folder, CPU)


def test_preparing_writes_nothing(tmp_path, recipe):
    folder = RunFolder(tmp_path / "run")
    assert prepare(recipe, folder, CPU).steps == 0
    assert list(folder.path.iterdir()) == []


def test_nothing_is_written_before_all_is_checked(tmp_path, recipe):
    (tmp_path / "scans" / "images" / "a.nii.gz").unlink()
    with pytest.raises(Exception, match=r"a\.nii\.gz: has no image"):
        prepare(recipe, RunFolder(tmp_path / "run"), CPU)
    assert not (tmp_path / "run").exists()
    with pytest.raises(CheckpointError, match="Did you mean 'starter'"):
        prepare(changed(recipe, start="startr"), RunFolder(tmp_path / "run"), CPU)
    assert not (tmp_path / "run").exists()


def test_a_run_from_before_there_were_recipes_is_refused(tmp_path, recipe):
    save_state(tmp_path / "run" / "state", {}, {"steps": 1, "seconds": 1.0, "settings": {}, "network": TINY.to_dict()})
    with pytest.raises(CheckpointError, match="an earlier medsam2; write its weights with --export FILE"):
        prepare(recipe, RunFolder(tmp_path / "run"), CPU)


def test_plans(tmp_path):
    path = tmp_path / "mine.json"
    path.write_text(json.dumps(PLAIN))
    recipe, folder = plan(str(path), None, ("seed=3",))
    assert (recipe.seed, folder.path.as_posix()) == (3, "runs/tiny")
    assert plan(str(path), tmp_path / "run")[1].path == tmp_path / "run"
    with pytest.raises(ConfigurationError, match=r"holds no run \(recipe\.json is missing\)"):
        plan(str(tmp_path), None)


def test_a_folder_of_data_hides_no_recipe(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "btcv").mkdir()
    assert plan("btcv", None)[0].name == "btcv"
    (tmp_path / "btcv" / "recipe.json").write_text(json.dumps(PLAIN))
    assert plan("btcv", None)[0].name == "tiny"


def test_a_run_goes_on_in_its_own_folder(tmp_path):
    run = tmp_path / "a"
    run.mkdir()
    (run / "recipe.json").write_text(json.dumps(PLAIN))
    assert plan(str(run), tmp_path / "b" / ".." / "a")[1].path == run
    with pytest.raises(ConfigurationError, match=r"a is a run's folder.*leave '-o .*b' out, or give .*recipe\.json"):
        plan(str(run), tmp_path / "b")
    assert plan(str(run / "recipe.json"), tmp_path / "b")[1].path == tmp_path / "b"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_process_that_is_asked_to_end_hears_it_once(number):
    handler = signal.getsignal(number)
    asked = AskedToEnd()
    assert not asked()
    os.kill(os.getpid(), number)
    assert asked()
    assert signal.getsignal(number) == handler


def test_a_run_that_is_terminated_saves_first(tmp_path, recipe):
    folder = RunFolder(tmp_path / "run")
    trainer = prepare(changed(recipe, steps=50), folder, CPU)
    outcome = train(trainer, lambda _: os.kill(os.getpid(), signal.SIGTERM) if trainer.steps == 1 else None)
    assert (outcome.steps, outcome.finished) == (2, False)
    assert json.loads((folder.state / "state.json").read_text())["facts"]["steps"] == 2


def test_the_module_trains_with_torch_alone(tmp_path, monkeypatch):
    stages = [{"tasks": [{"batch": {"clips": 1, "frames": 1, "objects": 1, "size": 32, "canvas": 64}}]}]
    plain = PLAIN | {"start": "scratch", "network": "starter", "data": {}, "augmentation": None, "stages": stages}
    path = tmp_path / "mine.json"
    path.write_text(json.dumps(plain))
    main([str(path), "-o", str(tmp_path / "run"), "--steps", "1"])
    assert RunFolder(tmp_path / "run").log.exists()
    assert not RunFolder(tmp_path / "run").weights.exists()
    monkeypatch.setattr(AskedToEnd, "__call__", lambda _: True)
    with pytest.raises(SystemExit, match="130"):
        main([str(path), "-o", str(tmp_path / "run"), "--steps", "3"])
    with pytest.raises(SystemExit, match=r"medsam2: error: .*Did you mean 'starter'"):
        main(["startr"])
