"""The loop: steps, exact resumes, trials on the validation split, saves."""

import csv
import itertools
import json
from dataclasses import replace

import pytest
import torch

from medsam2.errors import CheckpointError
from medsam2.network import Sam2Network
from medsam2.training import trainer as module
from medsam2.training.trainer import initialised
from medsam2.weights import load_network
from training.tiny_runs import TINY, assert_same, data_of, everything, recipe_of, trainer_in

BATCH = {"clips": 1, "frames": 2, "objects": 2, "size": 32}
DRAWN = {"prompts": {"box": 0.3, "mask": 0.4}, "first_frame_corrections": 2, "later_correction": 0.5}


def rows_in(folder):
    """The log, without the clock."""
    with (folder / "log.csv").open(newline="") as file:
        return [{key: value for key, value in row.items() if key != "seconds"} for row in csv.DictReader(file)]


def test_a_step_learns_and_is_counted(tmp_path):
    trainer = trainer_in(tmp_path)
    before = everything(trainer)
    trainer.step()
    after = everything(trainer)
    assert trainer.steps == 1
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert {f"{part}.image_encoder.patch_embedding.weight" for part in ("network", "average")} <= changed
    assert "network.prompt_encoder.position.frequencies" not in changed


@pytest.mark.parametrize(("log_steps", "encoder"), [(1, "train"), (3, "lora")])
def test_a_run_that_is_killed_goes_on_to_the_bit(tmp_path, log_steps, encoder):
    stages = [
        {"share": 0.5, "tasks": [{"batch": BATCH, "clip": DRAWN}, {"batch": BATCH | {"frames": 1}}]},
        {"share": 0.5, "tasks": [{"batch": BATCH | {"frames": 3}, "clip": DRAWN}]},
    ]
    recipe = recipe_of(steps=6, stages=stages, log_steps=log_steps, encoder={"mode": encoder, "rank": 2})
    straight = trainer_in(tmp_path / "straight", recipe)
    assert straight.train()

    killed = trainer_in(tmp_path / "killed", recipe)
    killed.open_log()
    for _ in range(4):  # the state is that of step 2; what came after it is lost
        killed.step()
        killed._write_log(None)
        if killed.steps == 2:
            killed.save()
    del killed

    resumed = trainer_in(tmp_path / "killed", recipe)
    assert resumed.steps == 2
    assert resumed.train()
    assert rows_in(tmp_path / "killed") == rows_in(tmp_path / "straight")
    assert len(rows_in(tmp_path / "straight")) == 6 // log_steps
    assert_same(everything(resumed), everything(straight))


def test_a_finished_run_does_nothing_more(tmp_path):
    first = trainer_in(tmp_path)
    first.train()
    again = trainer_in(tmp_path)
    assert again.train()
    assert again.steps == 4
    assert_same(everything(again), everything(first))


def test_a_run_that_is_asked_to_stop_saves_and_goes_on_later(tmp_path):
    asked = iter([False, True])
    stopped = trainer_in(tmp_path, should_stop=lambda: next(asked))
    assert not stopped.train()
    assert stopped.steps == 2
    resumed = trainer_in(tmp_path)
    assert resumed.train()
    assert resumed.steps == 4


@pytest.mark.parametrize("how", ["stopped", "killed in the trial", "killed after its row"])
@pytest.mark.parametrize("step", [2, 4])
def test_a_run_that_ends_before_a_trial_goes_on_to_the_bit(tmp_path, monkeypatch, how, step):
    recipe = recipe_of(log_steps=3, validation={"every": 2})
    straight = trainer_in(tmp_path / "straight", recipe, data_of(2, 1))
    assert straight.train()

    asked = itertools.count(1)
    folder = tmp_path / "ended"
    first = trainer_in(folder, recipe, data_of(2, 1), should_stop=lambda: how == "stopped" and next(asked) == step)
    if how != "stopped":
        name = "_try_weights" if how == "killed in the trial" else "save"
        real = getattr(first, name)

        def kill():
            if first.steps == step and (name == "_try_weights" or not first.owes_trial):
                raise KeyboardInterrupt
            return real()

        monkeypatch.setattr(first, name, kill)
        with pytest.raises(KeyboardInterrupt):
            first.train()
    else:
        assert not first.train()
    facts = json.loads((folder / "state" / "state.json").read_text())["facts"]
    assert (facts["steps"], facts["owes trial"]) == (step, True)

    resumed = trainer_in(folder, recipe, data_of(2, 1))
    assert resumed.train()
    assert rows_in(folder) == rows_in(tmp_path / "straight")
    assert [row["steps"] for row in rows_in(folder)] == ["2", "3", "4"]
    assert resumed.best == straight.best
    assert_same(everything(resumed), everything(straight))


def test_a_state_of_an_earlier_version_owes_no_trial(tmp_path):
    trainer_in(tmp_path, recipe_of(validation={"every": 2})).train()
    index = tmp_path / "state" / "state.json"
    saved = json.loads(index.read_text())
    del saved["facts"]["owes trial"]
    index.write_text(json.dumps(saved))
    assert not trainer_in(tmp_path, recipe_of(validation={"every": 2})).owes_trial


def test_gradients_are_averaged_over_accumulated_batches(tmp_path):
    """One step of two batches: the mean of the gradients of each alone."""
    together = trainer_in(tmp_path / "two", recipe_of(accumulate=2, precision="float32"))
    alone = []
    for lane in range(2):
        trainer = trainer_in(tmp_path / f"lane{lane}", recipe_of(accumulate=2, precision="float32"))
        lesson = trainer.lessons.at(0, 0)[lane]
        trainer._learn(lesson)
        alone.append({name: one.grad for name, one in trainer.learning.items() if one.grad is not None})
    for lesson in together.lessons.at(0, 0):
        together._learn(lesson)
    for name, one in together.learning.items():
        if one.grad is not None:
            parts = [grads[name] for grads in alone if name in grads]
            torch.testing.assert_close(one.grad, sum(parts), atol=1e-6, rtol=1e-4)


def test_a_batch_without_a_finite_gradient_changes_no_weight(tmp_path, monkeypatch):
    trainer = trainer_in(tmp_path)
    trainer.step()
    before = everything(trainer)
    real = module.clip_loss

    def broken(*arguments):
        outcome = real(*arguments)
        outcome.total = outcome.total * torch.nan
        return outcome

    monkeypatch.setattr(module, "clip_loss", broken)
    trainer.step()
    after = everything(trainer)
    assert trainer.steps == 2
    for name in before:
        if not name.startswith("average."):
            assert torch.equal(before[name], after[name]), name
        assert after[name].isfinite().all(), name


def test_a_batch_with_nothing_to_judge_is_passed_over(tmp_path):
    one_frame = {"batch": BATCH | {"frames": 1}, "clip": {"prompts": {"box": 0.0, "mask": 0.999999}}}
    trainer = trainer_in(tmp_path, recipe_of(stages=[{"tasks": [one_frame]}]))
    before = everything(trainer)
    trainer.step()
    assert trainer.steps == 1
    assert_same(everything(trainer), before)


def test_the_average_follows_the_weights(tmp_path):
    trainer = trainer_in(tmp_path, recipe_of(optimiser={"average": 0.9}))
    name = "mask_decoder.iou_token.weight"
    weight = trainer.learning[name]
    expected = weight.detach().clone()
    for step in range(1, 100):
        trainer.steps = step
        weight.data.add_(0.1)
        trainer._update_average()
        decay = min(0.9, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * weight.detach()
    torch.testing.assert_close(trainer.average[name], expected)


def test_a_frozen_encoder_stays_as_it_was(tmp_path):
    trainer = trainer_in(tmp_path, recipe_of(encoder={"mode": "freeze"}))
    before = everything(trainer)
    trainer.train()
    after = everything(trainer)
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed
    assert not any("image_encoder" in name for name in changed)


def test_the_best_weights_by_validation_are_kept(tmp_path, monkeypatch):
    scores = iter([[0.5, 0.7], [0.4], [float("nan")], [0.55]])
    seen = []

    def trial(network, cases, recipe, share):
        assert not network.training
        seen.append([case.name for case in cases])
        return next(scores)

    monkeypatch.setattr("medsam2.training.validation.trial", trial)
    trainer = trainer_in(tmp_path, recipe_of(validation={"every": 1}), data_of(2, 2))
    kept = []
    real = module.write_weights
    monkeypatch.setattr(module, "write_weights", lambda facts, *rest: (kept.append(facts["steps"]), real(facts, *rest)))
    trainer.train()
    assert seen == [["case2", "case3"]] * 4
    assert kept == [1]
    assert trainer.best == pytest.approx(0.6)
    assert [row["validation dice"] for row in rows_in(tmp_path)] == ["0.6", "0.4", "0.0", "0.55"]
    card = load_network(tmp_path / "weights.safetensors").card
    assert card.scores == {"validation dice": 0.6}
    assert card.training["steps"] == 1
    assert trainer_in(tmp_path, recipe_of(validation={"every": 1}), data_of(2, 2)).best == trainer.best


def test_a_trial_changes_nothing_of_the_run(tmp_path):
    recipe = recipe_of(steps=3, validation={"every": 1})
    tried = trainer_in(tmp_path / "tried", recipe, data_of(2, 1))
    tried.train()
    untried = trainer_in(tmp_path / "untried", recipe, data_of(2, 0))
    untried.train()
    assert_same(everything(tried), everything(untried))
    assert tried.network.training


def test_a_run_by_the_clock_ends_with_its_time(tmp_path, monkeypatch):
    clock = itertools.count(0.0, 1.0)
    monkeypatch.setattr(module.time, "monotonic", lambda: next(clock))
    trainer = trainer_in(tmp_path, recipe_of(steps=None, minutes=0.05))
    assert trainer.train()
    assert (trainer.steps, trainer.seconds) == (3, 3.0)


def test_a_fixed_batch_is_learnt(tmp_path):
    stages = [{"tasks": [{"batch": BATCH | {"frames": 1}, "clip": {"first_frame_corrections": 0}}]}]
    rates = {"learning_rate": 2e-3, "warm_up_steps": 5}
    recipe = recipe_of(steps=30, optimiser=rates, augmentation=None, stages=stages)
    trainer = trainer_in(tmp_path, recipe, data_of(1))
    trainer.train()
    losses = [float(row["loss"]) for row in rows_in(tmp_path)]
    assert sum(losses[-10:]) < 0.8 * sum(losses[:10])


@pytest.mark.parametrize("error", [OSError(28, "No space left"), RuntimeError("No space left\nin a C++ file")])
def test_a_disk_that_fills_up_is_named_and_the_state_before_stays(tmp_path, monkeypatch, error):
    trainer = trainer_in(tmp_path)
    trainer.save()
    trainer.steps = 2

    def full(*_):
        raise error

    monkeypatch.setattr(module, "save_state", full)
    with pytest.raises(
        CheckpointError, match=r"the state of step 2 cannot be written \(No space left\); the one before"
    ):
        trainer.save()
    assert trainer_in(tmp_path).steps == 0


def test_a_network_that_looks_from_near_learns_from_cases(tmp_path):
    trainer = trainer_in(
        tmp_path, recipe_of(steps=1), data_of(1, 1), config=replace(TINY, focus=2.5, drawn_prompts=True)
    )
    assert trainer.train()
    (row,) = rows_in(tmp_path)
    assert 0 < float(row["loss"]) < 100
    assert 0 <= float(row["validation dice"]) <= 1


def test_the_state_tells_of_the_run(tmp_path):
    trainer_in(tmp_path, recipe_of(accumulate=3)).save()
    facts = json.loads((tmp_path / "state" / "state.json").read_text())["facts"]
    assert facts["lanes"] == 3
    assert facts["recipe"]["stages"][0]["tasks"][0]["batch"]["frames"] == 2
    assert facts["network"] == json.loads(json.dumps(TINY.to_dict()))


def test_a_new_network_has_no_dead_parameter():
    torch.manual_seed(0)
    network = initialised(Sam2Network(TINY))
    for name, parameter in network.named_parameters():
        assert parameter.any() or name.endswith("bias"), name
        if name.endswith("gain"):
            assert (parameter == 0.1).all()
