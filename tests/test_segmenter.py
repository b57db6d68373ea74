"""The public face: loading, devices, whole runs and streams."""

import copy

import numpy as np
import pytest
import torch

from medsam2.engine.set_result import SetSettings
from medsam2.engine.volume_result import SegmentSettings
from medsam2.errors import CheckpointError, ConfigurationError, InputError, PromptError
from medsam2.frames import NamedVolume
from medsam2.prompts import BoxPrompt, ObjectPrompts, PointPrompt, PromptSet
from medsam2.segmenter import Segmenter, choose_device, choose_precision
from medsam2.spatial import Geometry, Volume
from medsam2.weights import WeightsCard, save_network
from medsam2.weights.checkpoint_files import sha256_of
from reference.intensity_network import LEVELS, SIDE, IntensityNetwork

CLICK = PromptSet((ObjectPrompts("block", 1, points=(PointPrompt(4, 5, 6),)),))
HOW = SegmentSettings(patience=0, window=(0.0, 255.0))
SET = SetSettings(window=(0.0, 255.0))


@pytest.fixture
def volume():
    array = np.zeros((10, SIDE, SIDE), np.uint8)
    array[2:9, 3:8, 2:7] = LEVELS[1]
    return Volume(array, Geometry(array.shape, np.eye(4)))


@pytest.fixture
def card(tiny_network):
    return WeightsCard("tiny", tiny_network.config, licence="none")


@pytest.fixture
def segmenter(card):
    return Segmenter(IntensityNetwork(), card)


def test_a_volume_is_segmented(segmenter, volume):
    told = []
    result = segmenter.segment(volume, CLICK, HOW, lambda *now: told.append(now))
    assert np.array_equal(result.segmentation.labels, volume.array // LEVELS[1])
    assert result.segmentation.geometry is volume.geometry
    assert told[-1] == (10, 10)
    assert told == sorted(told)


def test_what_progress_raises_ends_the_run(segmenter, volume):
    def cancel(done, _):
        if done == 2:
            raise RuntimeError("cancelled")

    with pytest.raises(RuntimeError, match="cancelled"):
        segmenter.segment(volume, CLICK, HOW, cancel)
    assert segmenter.network.encoded == 2


def test_slices_are_streamed_prompted_ones_first(segmenter, volume):
    masks = list(segmenter.stream(volume, CLICK, HOW))
    assert [one.slice_index for one in masks] == [6, 7, 8, 9, 5, 4, 3, 2, 1, 0]
    assert [one.prompted for one in masks] == [True] + [False] * 9
    assert all(np.array_equal(one.mask, volume.array[one.slice_index] > 0) for one in masks)


def test_a_stream_can_be_closed(segmenter, volume):
    stream = segmenter.stream(volume, CLICK, HOW)
    next(stream)
    stream.close()
    assert list(stream) == []
    assert segmenter.network.encoded == 1


def test_a_stream_refuses_what_does_not_fit_when_it_is_made(segmenter, volume):
    far = PromptSet((ObjectPrompts("far", 1, points=(PointPrompt(4, 5, 60),)),))
    with pytest.raises(PromptError, match="outside the volume"):
        segmenter.stream(volume, far, HOW)


def test_runs_leave_nothing_behind(tiny_network, card):
    noise = np.random.default_rng(0).normal(size=(5, 40, 30))
    volume = Volume(noise, Geometry(noise.shape, np.eye(4)))
    prompts = PromptSet((ObjectPrompts("box", 1, boxes=(BoxPrompt(4, 5, 2, 20, 30, 2),)),))
    segmenter = Segmenter(copy.deepcopy(tiny_network).train(), card)
    assert not segmenter.network.training
    before = copy.deepcopy(segmenter.network.state_dict())

    first, second = (segmenter.segment(volume, prompts) for _ in range(2))

    assert first.segmentation.labels.any()
    assert np.array_equal(first.segmentation.labels, second.segmentation.labels)
    assert first.settings == SegmentSettings()
    after = segmenter.network.state_dict()
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())


@pytest.fixture
def squares():
    """Three images with a square each, and the click on the first."""
    images = []
    for name, side in (("a", 4), ("b", 9), ("c", 6)):
        array = np.zeros((1, SIDE, SIDE), np.uint8)
        array[0, :side, :side] = LEVELS[1]
        images.append(NamedVolume(name, Volume(array, Geometry(array.shape, np.eye(4)))))
    return images, PromptSet((ObjectPrompts("square", 1, points=(PointPrompt(1, 1, 0),)),))


def test_a_set_is_segmented_in_the_order_given(segmenter, squares):
    images, prompts = squares
    told = []
    result = segmenter.segment_set(images, "a", prompts, SET, lambda *now: told.append(now))
    assert [image.name for image in result.images] == ["a", "b", "c"]
    for image, given in zip(result.images, images, strict=True):
        assert np.array_equal(image.segmentation.labels, given.volume.array // LEVELS[1])
        assert image.volume is None
    assert told[-1] == (5, 5)


def test_several_templates_are_given_side_by_side(segmenter, squares):
    images, prompts = squares
    result = segmenter.segment_set(images, ["a", "c"], [prompts, prompts], SET)
    assert [image.objects[0].prompted for image in result.images] == [True, False, True]


def test_a_set_is_streamed_the_template_first(segmenter, squares):
    images, prompts = squares
    stream = segmenter.stream_set(images, "c", prompts, SET)
    first = next(stream)
    assert (first.name, first.volume) == ("c", images[2].volume)
    stream.close()
    assert list(stream) == []


def test_a_set_has_defaults(segmenter, squares):
    images, prompts = squares
    assert segmenter.segment_set(images, "a", prompts).settings == SetSettings()
    with pytest.raises(InputError, match="no image of the set is named 'd'"):
        segmenter.stream_set(images, "d", prompts)


def test_weights_from_a_file(tmp_path, tiny_network, card, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    save_network(tiny_network, tmp_path / "tiny.safetensors", card, torch.float32)
    segmenter = Segmenter.from_pretrained(tmp_path / "tiny.safetensors")
    assert not segmenter.network.training
    assert segmenter.describe() == {
        "name": "tiny",
        "sha256": sha256_of(tmp_path / "tiny.safetensors"),
        "licence": "none",
        "device": "cpu",
        "precision": "float32",
        "encoder": "torch",
        "network": tiny_network.config.to_dict(),
    }
    for name, tensor in segmenter.network.state_dict().items():
        assert torch.equal(tensor, tiny_network.state_dict()[name])


@pytest.mark.parametrize(
    ("wide", "capabilities", "expected"),
    [
        (8, {"amx_bf16": True}, torch.bfloat16),
        (8, {"avx512_bf16": True, "avx512_f": True}, torch.bfloat16),
        (8, {"avx512_f": True, "avx512_bf16": False}, torch.float32),
        (8, {"bf16": True, "neon": True}, torch.float32),
        (9, {"amx_bf16": True}, torch.float32),
    ],
)
def test_auto_rounds_where_that_is_faster(tiny_network, monkeypatch, wide, capabilities, expected):
    monkeypatch.setattr("medsam2.network.config.WIDE", wide)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities, raising=False)
    assert choose_precision(tiny_network, "auto") == expected
    assert choose_precision(tiny_network, "float32") == torch.float32
    assert choose_precision(tiny_network, "bfloat16") == torch.bfloat16


def test_auto_does_not_guess(tiny_network, monkeypatch):
    monkeypatch.setattr("medsam2.network.config.WIDE", 8)
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    assert choose_precision(tiny_network, "auto") == torch.float32


def test_a_wide_network_is_loaded_as_auto_says(tmp_path, tiny_network, card, monkeypatch):
    save_network(tiny_network, tmp_path / "tiny.safetensors", card, torch.float32)
    monkeypatch.setattr("medsam2.network.config.WIDE", 8)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_bf16": True}, raising=False)
    network = Segmenter.from_pretrained(tmp_path / "tiny.safetensors", "cpu", encoder="torch").network
    assert (network.precision, network.dtype) == (torch.bfloat16, torch.float32)


def test_weights_in_half_precision_find_nearly_the_same(tmp_path, tiny_network, card, volume):
    save_network(tiny_network, tmp_path / "tiny.safetensors", card, torch.float32)
    segmenter = Segmenter.from_pretrained(tmp_path / "tiny.safetensors", "cpu", "bfloat16")
    assert segmenter.describe()["precision"] == "bfloat16"
    precise = Segmenter.from_pretrained(tmp_path / "tiny.safetensors", "cpu")
    found = [next(iter(one.stream(volume, CLICK, HOW))).logits for one in (segmenter, precise)]
    assert found[0].dtype == torch.float32
    torch.testing.assert_close(*found, atol=0.1, rtol=0.1)
    with pytest.raises(ConfigurationError, match="precision is 'float16'; expected one of auto, float32"):
        Segmenter.from_pretrained(tmp_path / "tiny.safetensors", "cpu", "float16")


def test_unknown_weights_are_refused():
    with pytest.raises(CheckpointError, match=r"no weights are called 'stater'.*Did you mean 'starter'"):
        Segmenter.from_pretrained("stater", device="cpu")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(CheckpointError, match=r"gone\.safetensors does not exist"):
        Segmenter.from_pretrained(tmp_path / "gone.safetensors", device="cpu")


def test_a_file_that_is_no_checkpoint_is_refused(tmp_path):
    (tmp_path / "weights.pt").write_text("<!DOCTYPE html>")
    with pytest.raises(CheckpointError, match="it is a web page"):
        Segmenter.from_pretrained(tmp_path / "weights.pt", device="cpu")


def test_bundled_weights_that_are_missing_are_reported(monkeypatch):
    monkeypatch.setattr("medsam2.weights.cache.find_file", lambda _: None)
    with pytest.raises(CheckpointError, match="'starter' should come with medsam2"):
        Segmenter.from_pretrained(device="cpu")


@pytest.fixture
def machine(monkeypatch):
    """Pretend to have these devices."""

    def pretend(cuda, mps):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: 2 if cuda else 0)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)

    return pretend


@pytest.mark.parametrize(
    ("cuda", "mps", "best"), [(False, False, "cpu"), (False, True, "mps"), (True, False, "cuda"), (True, True, "cuda")]
)
def test_the_best_device_is_chosen(machine, cuda, mps, best):
    machine(cuda, mps)
    assert choose_device("auto") == best
    assert choose_device("cpu") == "cpu"


def test_a_numbered_device_is_kept(machine):
    machine(cuda=True, mps=False)
    assert choose_device("cuda:1") == "cuda:1"


@pytest.mark.parametrize("name", ["cuda", "cuda:0", "mps", "tpu", "", "CPU", "gpu", "cpu:x", "cuda:", "cpu:3"])
def test_a_device_that_is_not_there_is_refused(machine, name):
    machine(cuda=False, mps=False)
    with pytest.raises(ConfigurationError, match=f"device '{name}' is not available here; usable: cpu"):
        choose_device(name)


def test_a_number_beyond_the_last_device_is_refused(machine):
    machine(cuda=True, mps=False)
    with pytest.raises(ConfigurationError, match="device 'cuda:2' is not available here; usable: cpu, cuda"):
        choose_device("cuda:2")


def test_the_device_is_checked_before_weights_are_looked_for(machine):
    machine(cuda=False, mps=False)
    with pytest.raises(ConfigurationError, match="device 'cuda'"):
        Segmenter.from_pretrained("no such weights", device="cuda")
