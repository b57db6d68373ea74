"""The loop: steps, saves, resumes, and several processes that learn as one."""

import csv
import itertools
import json
from dataclasses import replace

import pytest
import torch

from medsam2.errors import CheckpointError
from medsam2.network import Sam2Network
from medsam2.training import trainer as module
from medsam2.training.clip_loss import ClipBatch, ClipSettings
from medsam2.training.prompting import PromptMix
from medsam2.training.settings import Stage, Task
from medsam2.training.synthetic_clips import BatchShape, SyntheticClips
from medsam2.training.trainer import Trainer, initialised, parameter_groups, part_of
from training.two_processes import SETTINGS, TINY, gradients_of, loss_of, run_two

CPU = torch.device("cpu")
TASK = SETTINGS.stages[0].tasks[0]


class SameBatch:
    """A source of one fixed batch."""

    def __init__(self, frames=2):
        generator = torch.Generator().manual_seed(0)
        truth = torch.zeros(2, frames, 32, 32, dtype=torch.bool)
        truth[0, :, 4:20, 6:22] = True
        truth[1, :, 12:30, 10:28] = True
        images = torch.randn(1, frames, 3, 32, 32, generator=generator) * 0.2
        images[0, :, 0] += 2.0 * truth[0]
        images[0, :, 1] += 2.0 * truth[1]
        self.batch = ClipBatch(images, truth, torch.zeros(2, dtype=torch.int64), tuple(range(frames)), (True,))

    def next_batch(self):
        return self.batch


def trainer_in(folder, **settings):
    return Trainer(TINY, replace(SETTINGS, **settings), folder, CPU)


def steps(trainer, count, seed=0, task=TASK):
    """Take steps on a fixed batch, with known randomness."""
    trainer.generator.manual_seed(seed)
    for _ in range(count):
        trainer._step(task, SameBatch())


def everything(trainer):
    """All tensors that training goes on with."""
    tensors = {f"network.{name}": tensor for name, tensor in trainer.network.state_dict().items()}
    tensors |= {f"average.{name}": tensor for name, tensor in trainer.average.items()}
    for name, parameter in trainer.network.named_parameters():
        for key, value in trainer.optimizer.state.get(parameter, {}).items():
            tensors[f"{name}.{key}"] = torch.as_tensor(value)
    return {name: tensor.detach().clone() for name, tensor in tensors.items()}


def assert_same(first, second):
    assert first.keys() == second.keys()
    for name, tensor in first.items():
        assert torch.equal(tensor, second[name]), name


def test_a_step_learns_and_is_counted(tmp_path):
    trainer = trainer_in(tmp_path)
    before = everything(trainer)
    steps(trainer, 1)
    after = everything(trainer)
    assert trainer.steps == 1
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert "network.image_encoder.patch_embedding.weight" in changed
    assert "average.image_encoder.patch_embedding.weight" in changed
    assert "network.prompt_encoder.position.frequencies" not in changed


def test_a_resumed_run_is_the_same_to_the_bit(tmp_path):
    trainer = trainer_in(tmp_path)
    steps(trainer, 3)
    trainer.seconds = 12.5
    trainer.save()

    resumed = trainer_in(tmp_path)
    assert (resumed.steps, resumed.seconds, resumed.progress) == (3, 12.5, 12.5 / 60)
    assert_same(everything(resumed), everything(trainer))

    # And so it goes on: nothing that counts was left out of the state.
    for one in (trainer, resumed):
        steps(one, 2, seed=9)
    assert_same(everything(resumed), everything(trainer))


def test_a_resumed_run_sees_new_data(tmp_path):
    trainer = trainer_in(tmp_path)
    fresh = trainer.generator.initial_seed()
    steps(trainer, 1)
    trainer.save()
    assert trainer_in(tmp_path).generator.initial_seed() != fresh


def test_processes_see_different_data_and_begin_alike(tmp_path):
    first, second = (Trainer(TINY, SETTINGS, tmp_path, CPU, rank, 2) for rank in range(2))
    assert first.generator.initial_seed() != second.generator.initial_seed()
    assert_same(everything(first), everything(second))


def test_the_state_of_another_network_is_refused(tmp_path):
    trainer_in(tmp_path).save()
    with pytest.raises(CheckpointError, match="the state there is of another network; choose another folder"):
        Trainer(replace(TINY, memory_layers=2), SETTINGS, tmp_path, CPU)


def test_the_settings_are_written_beside_the_state(tmp_path):
    trainer_in(tmp_path, minutes=7.0).save()
    facts = json.loads((tmp_path / "state" / "state.json").read_text())["facts"]
    assert facts["settings"]["minutes"] == 7
    assert facts["settings"]["stages"][0]["tasks"][0]["batch"] == {"clips": 1, "frames": 2, "objects": 1, "size": 32}
    assert facts["network"] == json.loads(json.dumps(TINY.to_dict()))


def test_a_batch_without_a_finite_gradient_changes_no_weight(tmp_path):
    trainer = trainer_in(tmp_path)
    steps(trainer, 1)
    before = everything(trainer)
    broken = SameBatch()
    broken.batch = replace(broken.batch, images=broken.batch.images * torch.nan)
    trainer._step(TASK, broken)
    after = everything(trainer)
    assert trainer.steps == 2
    for name in before:
        if not name.startswith("average."):
            assert torch.equal(before[name], after[name]), name
        assert after[name].isfinite().all(), name


def test_a_batch_with_nothing_to_judge_is_passed_over(tmp_path):
    trainer = trainer_in(tmp_path)
    before = everything(trainer)
    drawn = Task(BatchShape(1, 1, 2, 32), ClipSettings(PromptMix(box=0.0, mask=1.0), 1, 0.0))
    trainer._step(drawn, SameBatch(frames=1))
    assert trainer.steps == 1
    for name, tensor in everything(trainer).items():
        assert torch.equal(tensor, before[name]), name


def test_a_fixed_batch_is_learnt(tmp_path):
    trainer = trainer_in(tmp_path, learning_rate=2e-3, warm_up_steps=5)
    task = Task(BatchShape(1, 2, 2, 32), ClipSettings(PromptMix(box=0.5, mask=0.0), 0, 0.0))

    def mean_loss():
        trainer.log.clear()
        steps(trainer, 10, seed=trainer.steps, task=task)
        total, count = trainer.log["loss"]
        return total / count

    first = mean_loss()
    for _ in range(2):
        mean_loss()
    last = mean_loss()
    assert last < 0.6 * first
    assert trainer.log["dice tracked"][0] / trainer.log["dice tracked"][1] > 0.6


def test_the_learning_rate_rises_then_falls_as_a_cosine(tmp_path):
    trainer = trainer_in(tmp_path, learning_rate=1e-3, warm_up_steps=10, last_rate=0.1)
    assert trainer._learning_rate() == pytest.approx(1e-4)
    trainer.steps = 4
    assert trainer._learning_rate() == pytest.approx(5e-4)
    trainer.steps = 500
    assert trainer._learning_rate() == pytest.approx(1e-3)
    for share, rate in ((0.5, 5.5e-4), (1.0, 1e-4), (2.0, 1e-4)):
        trainer.seconds = 60 * share
        assert trainer._learning_rate() == pytest.approx(rate)


def test_the_average_follows_the_weights(tmp_path):
    trainer = trainer_in(tmp_path, average=0.9)
    name = "mask_decoder.iou_token.weight"
    weight = dict(trainer.network.named_parameters())[name]
    expected = weight.detach().clone()
    for step in range(1, 200):
        trainer.steps = step
        weight.data.add_(0.1)
        trainer._update_average()
        decay = min(0.9, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * weight.detach()
    torch.testing.assert_close(trainer.average[name], expected)
    # A moving average lags behind a steady rise by decay / (1 - decay) steps.
    torch.testing.assert_close(weight.detach() - trainer.average[name], torch.full_like(weight, 0.9), atol=0.01, rtol=0)


def test_weight_decay_is_for_matrices_and_filters():
    network = Sam2Network(TINY)
    decayed, free = parameter_groups(network, 0.05)
    assert (decayed["weight_decay"], free["weight_decay"]) == (0.05, 0.0)
    names = {id(one): name for name, one in network.named_parameters()}
    assert sorted(map(id, (*decayed["params"], *free["params"]))) == sorted(names)
    kept = {names[id(one)] for one in decayed["params"]}
    assert "image_encoder.patch_embedding.weight" in kept
    assert "pointer_head.layers.0.weight" in kept
    assert not [name for name in kept if "norm" in name or "token" in name or "bias" in name or "gain" in name]
    assert not kept & {"memory_layout.recency", "no_memory", "no_object_pointer", "image_encoder.position_grid"}


def test_a_new_network_has_no_dead_parameter():
    torch.manual_seed(0)
    network = initialised(Sam2Network(TINY))
    for name, parameter in network.named_parameters():
        assert parameter.any() or name.endswith("bias"), name
        if name.endswith("gain"):
            assert (parameter == 0.1).all()


def test_parts_are_told_by_their_prefix():
    assert part_of({"a.b": 1, "a.c.a.": 2, "ab.c": 3}, "a.") == {"b": 1, "c.a.": 2}


class Clock:
    """Time that passes one second for each look at it."""

    def __init__(self):
        self.monotonic = itertools.count(0.0, 1.0).__next__


class Clips(SameBatch):
    """Notes which sources the loop asks for."""

    made: list[BatchShape]

    def __init__(self, shape, generator, device):
        super().__init__()
        self.made.append(shape)


@pytest.fixture
def clips(monkeypatch):
    monkeypatch.setattr(module, "time", Clock())
    monkeypatch.setattr(module, "SyntheticClips", Clips)
    monkeypatch.setattr(Clips, "made", [], raising=False)
    return Clips.made


def test_stages_follow_each_other_until_the_time_is_up(tmp_path, clips):
    shapes = [BatchShape(1, 2, 2, 32), BatchShape(2, 2, 1, 32)]
    trainer = trainer_in(tmp_path, minutes=0.2, stages=tuple(Stage(0.5, (Task(shape),)) for shape in shapes))
    trainer.train()
    assert clips == shapes
    assert trainer.progress == 1
    assert trainer.steps == trainer.seconds == 12  # by this clock a step takes a second
    saved = trainer_in(tmp_path)
    assert saved.steps == 12
    assert_same(everything(saved), everything(trainer))


def test_the_tasks_of_a_stage_take_turns(tmp_path, clips, monkeypatch):
    shapes = [BatchShape(1, 2, 2, 32), BatchShape(2, 2, 1, 32)]
    trainer = trainer_in(tmp_path, minutes=0.1, stages=(Stage(1.0, tuple(Task(shape) for shape in shapes)),))
    practised, step = [], trainer._step
    monkeypatch.setattr(trainer, "_step", lambda task, source: (practised.append(task.batch), step(task, source)))
    trainer.train()
    assert practised == 3 * shapes


def test_a_finished_run_does_nothing_more(tmp_path, clips):
    trainer = trainer_in(tmp_path, minutes=0.05)
    trainer.train()
    again = trainer_in(tmp_path, minutes=0.05)
    again.train()
    assert again.steps == trainer.steps
    assert_same(everything(again), everything(trainer))


def test_a_run_that_is_asked_to_stop_saves_and_goes_on_later(tmp_path, clips):
    asked = iter([False, False, True])
    stopped = Trainer(TINY, SETTINGS, tmp_path, CPU, should_stop=lambda: next(asked))
    stopped.train()
    assert stopped.steps == 3
    resumed = trainer_in(tmp_path, minutes=0.1)
    assert (resumed.steps, resumed.seconds) == (3, stopped.seconds)
    resumed.train()
    assert resumed.steps == 6


def test_the_run_is_logged_and_saved_on_the_way(tmp_path, clips, monkeypatch):
    saves = []
    trainer = trainer_in(tmp_path, minutes=0.25, save_minutes=0.25)
    monkeypatch.setattr(trainer, "save", lambda: saves.append(trainer.steps))
    trainer.train()
    with (tmp_path / "log.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) >= 3
    assert [int(row["steps"]) for row in rows] == sorted({int(row["steps"]) for row in rows})
    assert all(float(row["loss"]) > 0 and float(row["gradient norm"]) > 0 for row in rows)
    assert len(saves) >= 3
    assert saves[-1] == 15


def test_the_log_goes_on_where_it_was(tmp_path, clips):
    for minutes in (0.05, 0.1):
        trainer_in(tmp_path, minutes=minutes).train()
    lines = (tmp_path / "log.csv").read_text().splitlines()
    assert len(lines) == 3
    assert lines[0].startswith("steps,seconds,stage,loss")


def test_a_step_on_synthetic_clips(tmp_path):
    trainer = trainer_in(tmp_path)
    source = SyntheticClips(BatchShape(1, 2, 2, 32), trainer.generator, CPU)
    trainer._step(TASK, source)
    total, count = trainer.log["loss"]
    assert count == 1
    assert 0 < total < 100


def test_two_processes_learn_as_one_would_from_both_batches(tmp_path):
    generator = torch.Generator().manual_seed(0)
    # Only the second one draws masks; only there do the layers that read them get a gradient.
    batches = [
        (torch.randn(2, 3, 32, 32, generator=generator), torch.rand(2, 32, 32, generator=generator) < 0.5, drawn)
        for drawn in (False, True)
    ]
    run_two(tmp_path, batches)

    network = Trainer(TINY, SETTINGS, tmp_path / "alone", CPU).network
    (sum(loss_of(network, *batch) for batch in batches) / 2).backward()
    expected = gradients_of(network)
    assert "mask_to_logits.weight" in expected
    assert "memory_attention.norm.weight" not in expected
    for rank in range(2):
        found = torch.load(tmp_path / f"gradients-{rank}.pt", weights_only=True)
        assert found.keys() == expected.keys()
        for name, gradient in expected.items():
            torch.testing.assert_close(found[name], gradient, rtol=1e-4, atol=1e-6)
        assert (tmp_path / f"agreed-{rank}.txt").read_text() == "(10.0, False)"  # the first one's word counts
