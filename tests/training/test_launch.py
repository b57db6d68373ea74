"""Runs in one process, and how a process that is asked to end gets to save."""

import json
import os
import signal
from dataclasses import replace

import pytest
import torch

from medsam2.training import launch as launching
from medsam2.training.launch import launch
from training.two_processes import SETTINGS, TINY


@pytest.fixture(autouse=True)
def own_signals():
    """Put the handlers of this process back."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def facts(folder):
    return json.loads((folder / "state" / "state.json").read_text())["facts"]


def test_a_short_run_saves_and_another_one_finds_it_done(tmp_path):
    settings = replace(SETTINGS, minutes=0.005)
    launch(TINY, settings, tmp_path, "cpu")
    done = facts(tmp_path)
    assert done["steps"] >= 1
    assert done["seconds"] >= 0.3
    assert done["settings"]["minutes"] == 0.005
    launch(TINY, settings, tmp_path, "cpu")
    assert facts(tmp_path)["steps"] == done["steps"]


class FakeTrainer:
    """Asks its own process to end, and says whether it heard."""

    heard: list[bool]

    def __init__(self, *arguments, should_stop):
        self.arguments, self.should_stop = arguments, should_stop

    def train(self):
        before = self.should_stop()
        os.kill(os.getpid(), self.number)
        type(self).heard = [before, self.should_stop()]


@pytest.fixture
def trainer(monkeypatch):
    monkeypatch.setattr(launching, "Trainer", FakeTrainer)
    return FakeTrainer


def test_a_single_process_that_is_terminated_stops_in_order(trainer, monkeypatch, tmp_path):
    monkeypatch.setattr(trainer, "number", signal.SIGTERM, raising=False)
    launch(TINY, SETTINGS, tmp_path, "cpu")
    assert trainer.heard == [False, True]


@pytest.fixture
def group(monkeypatch):
    """A process group that is only noted."""
    calls = []
    monkeypatch.setattr(launching.dist, "init_process_group", lambda *_, **options: calls.append(options))
    monkeypatch.setattr(launching.dist, "destroy_process_group", lambda: calls.append("left"))
    threads = torch.get_num_threads()
    yield calls
    torch.set_num_threads(threads)


def test_one_of_several_processes_that_is_interrupted_stops_in_order(trainer, group, monkeypatch, tmp_path):
    # PyTorch has Linux interrupt the processes when the one that spawned them is terminated.
    monkeypatch.setattr(trainer, "number", signal.SIGINT, raising=False)
    launching._work(1, TINY, SETTINGS, tmp_path, "cpu", 2, tmp_path / "meeting")
    assert trainer.heard == [False, True]
    assert group == [{"rank": 1, "world_size": 2}, "left"]


def test_one_of_several_processes_stops_when_its_parent_is_gone(trainer, group, monkeypatch, tmp_path):
    parents = iter([100, 100, 1])
    monkeypatch.setattr(launching.os, "getppid", lambda: next(parents))
    monkeypatch.setattr(trainer, "number", 0, raising=False)
    launching._work(0, TINY, SETTINGS, tmp_path, "cpu", 2, tmp_path / "meeting")
    assert trainer.heard == [False, True]


def test_a_process_that_fails_leaves_its_group(trainer, group, monkeypatch, tmp_path):
    def fail(_):
        raise RuntimeError("no data")

    monkeypatch.setattr(trainer, "train", fail)
    with pytest.raises(RuntimeError, match="no data"):
        launching._work(0, TINY, SETTINGS, tmp_path, "cpu", 2, tmp_path / "meeting")
    assert group[-1] == "left"


def test_several_processes_are_spawned(monkeypatch, tmp_path):
    spawned = []
    monkeypatch.setattr(launching, "spawn", lambda *call, **options: spawned.append((call, options)))
    launch(TINY, SETTINGS, tmp_path, "cpu", processes=2)
    ((work, arguments), options) = spawned[0]
    assert work is launching._work
    assert arguments[:5] == (TINY, SETTINGS, tmp_path, "cpu", 2)
    assert options == {"nprocs": 2}
