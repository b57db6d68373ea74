"""A saved state is complete, in small files, and never half of a new one."""

import json
import os

import pytest
import torch

from medsam2.errors import CheckpointError
from medsam2.network import NetworkConfig, Sam2Network
from medsam2.training import state
from medsam2.training.state import INDEX, PART_BYTES, load_state, part_of, save_state


@pytest.fixture
def small_parts(monkeypatch):
    monkeypatch.setattr(state, "PART_BYTES", 1000)


def tensors(seed=0):
    generator = torch.Generator().manual_seed(seed)
    shapes = {"a.weight": (10, 20), "a.bias": (20,), "b": (), "c": (3, 100), "d": (0,)}
    return {name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}


def same(first, second):
    return list(first) == list(second) and all(
        torch.equal(first[name], second[name]) and first[name].dtype == second[name].dtype for name in first
    )


def test_there_is_none_at_first(tmp_path):
    assert load_state(tmp_path) is None
    assert load_state(tmp_path / "nowhere") is None


def test_what_is_saved_comes_back(tmp_path, small_parts):
    saved = tensors() | {"half": torch.ones(3, dtype=torch.bfloat16), "steps": torch.tensor(7), "cut": torch.eye(9)[2:]}
    facts = {"steps": 3, "seconds": 0.25, "nested": {"list": [1, 2]}}
    save_state(tmp_path / "deep" / "state", saved, facts)
    found, found_facts = load_state(tmp_path / "deep" / "state")
    assert same(found, saved)
    assert found_facts == facts


def test_a_later_state_replaces_an_earlier_one(tmp_path, small_parts):
    for turn in range(4):
        save_state(tmp_path, tensors(turn), {"turn": turn})
        found, facts = load_state(tmp_path)
        assert facts == {"turn": turn}
        assert same(found, tensors(turn))


def test_a_smaller_state_holds_nothing_of_a_larger_one(tmp_path, small_parts):
    for _ in range(2):
        save_state(tmp_path, tensors(), {})
    save_state(tmp_path, {"only": torch.ones(2)}, {})
    found, _ = load_state(tmp_path)
    assert list(found) == ["only"]


def test_what_is_saved_is_a_copy(tmp_path):
    parameter = torch.nn.Parameter(torch.ones(3))
    save_state(tmp_path, {"parameter": parameter}, {})
    found, _ = load_state(tmp_path)
    assert not found["parameter"].requires_grad
    assert not isinstance(found["parameter"], torch.nn.Parameter)


def test_parts_are_small(tmp_path, small_parts):
    save_state(tmp_path, {f"t{n}": torch.zeros(100) for n in range(11)}, {})
    index = json.loads((tmp_path / INDEX).read_text())
    assert len(index["parts"]) == 6
    for name in index["parts"]:
        assert len(torch.load(tmp_path / name, weights_only=True)) <= 2


def test_the_starter_s_parts_are_below_16_mb():
    """Weights, their average and two moments, as the trainer saves them; and no tensor is too large for a part."""
    with torch.device("meta"):
        network = Sam2Network(NetworkConfig.preset("starter"))
    sizes = [tensor.numel() * 4 for tensor in network.state_dict().values()]
    assert max(sizes) < PART_BYTES / 4
    # A file needs about 400 bytes more for each tensor; no part holds more tensors than the whole state.
    assert PART_BYTES + 400 * 5 * len(sizes) < 16 * 2**20


@pytest.mark.parametrize("written", [0, 1, 2])
def test_a_kill_between_parts_leaves_the_old_state(tmp_path, small_parts, monkeypatch, written):
    save_state(tmp_path, tensors(1), {"steps": 1})
    real, calls = torch.save, []

    def killed(part, path):
        if len(calls) == written:
            path.write_bytes(b"half of a fi")
            raise KeyboardInterrupt
        calls.append(path)
        real(part, path)

    monkeypatch.setattr(state.torch, "save", killed)
    with pytest.raises(KeyboardInterrupt):
        save_state(tmp_path, tensors(2), {"steps": 2})
    monkeypatch.setattr(state.torch, "save", real)

    found, facts = load_state(tmp_path)
    assert facts == {"steps": 1}
    assert same(found, tensors(1))
    save_state(tmp_path, tensors(3), {"steps": 3})
    assert same(load_state(tmp_path)[0], tensors(3))


def test_a_kill_before_the_index_leaves_the_old_state(tmp_path, monkeypatch):
    save_state(tmp_path, tensors(1), {"steps": 1})
    (tmp_path / (INDEX + ".part")).write_text('{"turn": 0, "par')
    assert load_state(tmp_path)[1] == {"steps": 1}


def test_a_kill_in_the_first_save_leaves_none(tmp_path, monkeypatch):
    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(state.torch, "save", killed)
    with pytest.raises(KeyboardInterrupt):
        save_state(tmp_path, tensors(), {})
    assert load_state(tmp_path) is None


@pytest.mark.parametrize("length", [0, 1, 2, 10, 100, 1000, -200, -1])
def test_a_damaged_part_is_named(tmp_path, length):
    save_state(tmp_path, tensors(), {})
    (name,) = json.loads((tmp_path / INDEX).read_text())["parts"]
    (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:length])
    with pytest.raises(CheckpointError, match=rf"{name}: the training state cannot be read"):
        load_state(tmp_path)


@pytest.mark.parametrize("content", [b"not a zip file at all", b"\x80\x02garbage", b"\x00" * 500])
def test_a_part_that_is_something_else_is_named(tmp_path, content):
    save_state(tmp_path, tensors(), {})
    (name,) = json.loads((tmp_path / INDEX).read_text())["parts"]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CheckpointError, match=rf"{name}: the training state cannot be read"):
        load_state(tmp_path)


@pytest.mark.parametrize("error", [ValueError, KeyError, IndexError, AttributeError, TypeError, EOFError])
def test_whatever_pytorch_raises_on_a_damaged_part_is_named(tmp_path, monkeypatch, error):
    save_state(tmp_path, tensors(), {})

    def damaged(*_, **__):
        raise error("somewhere inside")

    monkeypatch.setattr(state.torch, "load", damaged)
    with pytest.raises(CheckpointError, match=r"\.pt: the training state cannot be read \(.*somewhere inside"):
        load_state(tmp_path)


def test_parts_are_on_the_disk_before_the_index_names_them(tmp_path, small_parts, monkeypatch):
    flushed = []

    def flush(number):
        flushed.append(os.fstat(number).st_ino)
        assert not (tmp_path / INDEX).exists()

    monkeypatch.setattr(state.os, "fsync", flush)
    save_state(tmp_path, tensors(), {})
    names = [*json.loads((tmp_path / INDEX).read_text())["parts"], INDEX]
    assert flushed == [(tmp_path / name).stat().st_ino for name in names]


def test_a_missing_part_is_named(tmp_path):
    save_state(tmp_path, tensors(), {})
    (name,) = json.loads((tmp_path / INDEX).read_text())["parts"]
    (tmp_path / name).unlink()
    with pytest.raises(CheckpointError, match=rf"{name}: the training state cannot be read"):
        load_state(tmp_path)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"turn": 1}', "null"])
def test_a_damaged_index_is_named(tmp_path, content):
    (tmp_path / INDEX).write_text(content)
    for use in (load_state, lambda folder: save_state(folder, tensors(), {})):
        with pytest.raises(CheckpointError, match=r"state\.json: the index of the training state is damaged"):
            use(tmp_path)


def test_parts_are_told_by_their_prefix():
    assert part_of({"a.b": 1, "a.c.a.": 2, "ab.c": 3}, "a.") == {"b": 1, "c.a.": 2}
