"""Checkpoint files are read as plain tensors, and refused with one clear error otherwise."""

import hashlib
import pickle
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from medsam2.errors import CheckpointError
from medsam2.weights.checkpoint_files import CARD_KEY, read_checkpoint, sha256_of, written_whole

STATE = {"a.weight": torch.arange(6.0).reshape(2, 3), "a.bias": torch.ones(2, dtype=torch.bfloat16)}


class RunsCode:
    """What a malicious file may hold."""

    ran = False

    def __reduce__(self):
        return (setattr, (RunsCode, "ran", True))


def assert_same(state):
    assert state.keys() == STATE.keys()
    for key, tensor in STATE.items():
        assert state[key].dtype == tensor.dtype
        assert torch.equal(state[key], tensor)


@pytest.mark.parametrize("content", [STATE, {"model": STATE}, {"model": STATE, "epoch": 3}])
@pytest.mark.parametrize("suffix", [".pt", ".pth", ".PT"])
def test_pytorch_files_are_read(content, suffix, tmp_path):
    path = tmp_path / f"weights{suffix}"
    torch.save(content, path)
    checkpoint = read_checkpoint(path)
    assert_same(checkpoint.state)
    assert checkpoint.card is None


@pytest.mark.parametrize(("metadata", "card"), [(None, None), ({"format": "pt"}, None), ({CARD_KEY: "{}"}, "{}")])
def test_safetensors_files_are_read_with_their_card(metadata, card, tmp_path):
    path = tmp_path / "weights.safetensors"
    save_file(STATE, path, metadata=metadata)
    checkpoint = read_checkpoint(path)
    assert_same(checkpoint.state)
    assert checkpoint.card == card


def test_code_in_a_pickle_is_not_run(tmp_path):
    path = tmp_path / "weights.pt"
    torch.save({"model": STATE, "extra": RunsCode()}, path)
    with pytest.raises(CheckpointError, match="Python objects besides tensors; those could run code"):
        read_checkpoint(path)
    path.write_bytes(pickle.dumps(RunsCode()))
    with pytest.raises(CheckpointError, match="it is a bare pickle"):
        read_checkpoint(path)
    assert not RunsCode.ran


@pytest.mark.parametrize(
    ("content", "diagnosis"),
    [
        (b"", "it is empty"),
        (b"  \n ", "it is empty"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 78078138\n", "a git-lfs pointer"),
        (b"\n<!DOCTYPE html><html><body>Sign in</body></html>", "it is a web page"),
        (b"<HTML><head></head></HTML>", "it is a web page"),
        (b"\x80\x02}q\x00.", "it is a bare pickle, as PyTorch wrote before version 1.6"),
        (b"GIF89a-and-so-on", "no format that medsam2 reads"),
    ],
)
@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_other_content_is_recognised(content, diagnosis, suffix, tmp_path):
    path = tmp_path / f"weights{suffix}"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=diagnosis) as error:
        read_checkpoint(path)
    assert str(error.value).startswith(f"{path} is not a")


def test_a_wrong_suffix_is_corrected(tmp_path):
    safe, pytorch = tmp_path / "safe.pt", tmp_path / "pytorch.safetensors"
    save_file(STATE, safe)
    torch.save(STATE, pytorch)
    with pytest.raises(CheckpointError, match=r"safe\.pt holds a safetensors checkpoint; rename it to end in \.saf"):
        read_checkpoint(safe)
    with pytest.raises(CheckpointError, match=r"pytorch\.safetensors holds a PyTorch checkpoint; .* end in \.pt"):
        read_checkpoint(pytorch)


def test_an_unknown_suffix_is_refused(tmp_path):
    path = tmp_path / "weights.onnx"
    torch.save(STATE, path)
    with pytest.raises(CheckpointError, match=r"has the suffix '\.onnx'; weights files end in \.pt, \.pth, \.safet"):
        read_checkpoint(path)


def test_missing_files_and_folders_are_named(tmp_path):
    with pytest.raises(CheckpointError, match=r"nothing\.pt does not exist"):
        read_checkpoint(tmp_path / "nothing.pt")
    with pytest.raises(CheckpointError, match="is a folder"):
        read_checkpoint(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([torch.zeros(1)], "holds a list; expected a dictionary of tensors"),
        ({"model": [1]}, "holds a list; expected a dictionary of tensors"),
        ({"model": {"steps": torch.zeros(1, dtype=torch.int64)}}, "'steps' is a torch.int64 tensor"),
        ({"net": {"a": torch.zeros(1)}}, "'net' is a dict; expected a dense tensor"),
        ({0: torch.zeros(1)}, r"weights\.pt has a key of type int; expected the names of weights\. Is this the state"),
        ({"model": {("a", "b"): torch.zeros(1)}}, "has a key of type tuple; expected the names of weights"),
        ({"a": torch.zeros(3, 3).to_sparse()}, "'a' is a torch.float32 tensor; expected a dense tensor"),
    ],
)
def test_anything_but_floating_point_tensors_is_refused(content, message, tmp_path):
    path = tmp_path / "weights.pt"
    torch.save(content, path)
    with pytest.raises(CheckpointError, match=message):
        read_checkpoint(path)


@pytest.fixture(scope="module")
def whole_files(tmp_path_factory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("whole")
    torch.save({"model": STATE}, folder / "zip.pt")
    save_file(STATE, folder / "safe.safetensors")
    return {file.name: file.read_bytes() for file in folder.iterdir()}


@pytest.mark.parametrize("name", ["zip.pt", "safe.safetensors"])
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_truncated_files_are_refused(name, data, whole_files, tmp_path_factory):
    whole = whole_files[name]
    kept = data.draw(st.integers(0, len(whole) - 1))
    path = tmp_path_factory.mktemp("cut") / name
    path.write_bytes(whole[:kept])
    with pytest.raises(CheckpointError):
        read_checkpoint(path)


@pytest.mark.parametrize("name", ["zip.pt", "safe.safetensors"])
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_changed_byte_is_an_error_of_ours_or_harmless(name, data, whole_files, tmp_path_factory):
    changed = bytearray(whole_files[name])
    place = data.draw(st.integers(0, len(changed) - 1))
    changed[place] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.mktemp("changed") / name
    path.write_bytes(bytes(changed))
    try:
        state = read_checkpoint(path).state
    except CheckpointError:
        return
    assert all(isinstance(tensor, torch.Tensor) for tensor in state.values())


def test_the_sum_is_sha256(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"abc" * 1000)
    assert sha256_of(path) == hashlib.sha256(b"abc" * 1000).hexdigest()


def test_a_failed_write_leaves_the_older_file(tmp_path):
    path = tmp_path / "new folder" / "file.txt"
    with written_whole(path) as draft:
        draft.write_text("old")

    def fail() -> None:
        with written_whole(path) as draft:
            draft.write_text("half")
            raise OSError(28, "No space left on device")

    with pytest.raises(CheckpointError, match=r"file\.txt cannot be written \(No space left on device\)"):
        fail()
    assert path.read_text() == "old"
    assert list(path.parent.iterdir()) == [path]


def test_a_folder_that_is_a_file_is_reported(tmp_path):
    (tmp_path / "folder").write_text("in the way")
    with pytest.raises(CheckpointError, match="cannot be written"), written_whole(Path(tmp_path / "folder" / "file")):
        pass
