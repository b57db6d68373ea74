"""Several processes learn as one with as many batches; two of them, over gloo, on the CPU."""

import csv
import json
import os
import socket
import subprocess
import sys

import pytest
import torch

from medsam2.errors import MissingDependencyError
from medsam2.network import Sam2Network
from medsam2.training.processes import Alone, Together, join_processes
from medsam2.training.state import load_state
from medsam2.weights import WeightsCard, save_network
from reference.dataset_trees import write_folder
from training.tiny_runs import PLAIN, TINY

CPU = torch.device("cpu")


def test_alone_nothing_is_shared(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    alone = join_processes("cpu")
    assert isinstance(alone, Alone)
    assert (alone.rank, alone.count, alone.device) == (0, 1, CPU)
    assert alone.first_says([1.5]) == [1.5]
    assert alone.everyone_s({"a": 1}) == [{"a": 1}]


def test_accelerate_is_asked_for_where_it_is_missing(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setitem(sys.modules, "accelerate", None)
    with pytest.raises(MissingDependencyError, match=r'"accelerate".*medsam2\[train\]'):
        join_processes("cpu")


class Pair:
    """An accelerator of two processes, the other of which has `other` gradients."""

    def __init__(self, others):
        self.others = iter(others)

    def reduce(self, tensor, reduction):
        total = tensor + next(self.others).to(tensor.dtype)
        return total / 2 if reduction == "mean" else total


def test_a_gradient_that_one_process_lacks_counts_as_nothing():
    weights = [torch.nn.Parameter(torch.zeros(size)) for size in (2, 3, 1)]
    weights[0].grad = torch.tensor([2.0, 4.0])
    together = object.__new__(Together)
    together.device = CPU
    # The other process used the second weight alone.
    together._accelerator = Pair([torch.tensor([0, 1, 0]), torch.tensor([0.0, 0.0, 6.0, 6.0, 8.0])])
    together.share_gradients(weights)
    assert weights[0].grad.tolist() == [1.0, 2.0]
    assert weights[1].grad.tolist() == [3.0, 3.0, 4.0]
    assert weights[2].grad is None


def environment(rank, count, port):
    there = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": count, "LOCAL_WORLD_SIZE": count, "MASTER_PORT": port}
    plain = {key: str(value) for key, value in there.items()} if count > 1 else {}
    return {**os.environ, **plain, "MASTER_ADDR": "127.0.0.1", "OMP_NUM_THREADS": "1"}


def run(command, count):
    """As `accelerate launch` and `torchrun` start it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    started = [
        subprocess.Popen(
            command, env=environment(rank, count, port), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for rank in range(count)
    ]
    said = [process.communicate(timeout=300) for process in started]
    assert [process.returncode for process in started] == [0] * count, said
    return [out for out, _ in said]


def losses(folder):
    with (folder / "log.csv").open(newline="") as file:
        return [float(row["loss"]) for row in csv.DictReader(file)]


def test_two_processes_give_what_one_gives_with_twice_the_batch(tmp_path):
    write_folder(tmp_path / "scans")
    torch.manual_seed(0)
    save_network(Sam2Network(TINY), tmp_path / "tiny.safetensors", WeightsCard("small", TINY))
    for name, accumulate in (("one", 2), ("two", 1)):
        plain = PLAIN | {"start": str(tmp_path / "tiny.safetensors"), "accumulate": accumulate, "steps": 3}
        plain |= {"data": {"source": str(tmp_path / "scans")}, "precision": "float32", "validation": {"every": 2}}
        (tmp_path / f"{name}.json").write_text(json.dumps(plain))
    command = [sys.executable, "-m", "medsam2", "train", "--device", "cpu"]
    for name, count in (("one", 1), ("two", 2)):
        said = run([*command, str(tmp_path / f"{name}.json"), "-o", str(tmp_path / name)], count)
        assert "wrote" in said[0]
        assert said[1:] == [""] * (count - 1)  # the first one speaks for all
    assert losses(tmp_path / "two") == pytest.approx(losses(tmp_path / "one"), rel=1e-5)
    found, expected = (load_state(tmp_path / name / "state") for name in ("two", "one"))
    assert found[0].keys() == expected[0].keys()
    for name, tensor in expected[0].items():
        torch.testing.assert_close(found[0][name], tensor, rtol=1e-4, atol=1e-6)
    assert found[1]["best"] == pytest.approx(expected[1]["best"], abs=1e-6)
    assert found[1]["lanes"] == expected[1]["lanes"] == 2
