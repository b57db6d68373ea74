"""The encoder compiled by OpenVINO: the same features, a cache that may be damaged, plain words where it cannot be."""

import copy
import sys

import pytest
import torch

from medsam2.errors import ConfigurationError, MissingDependencyError
from medsam2.segmenter import Segmenter, choose_encoder
from medsam2.weights import LoadedNetwork, WeightsCard, save_network
from medsam2.weights.openvino_encoder import OpenVinoEncoder, openvino_is_installed

SHA = "0" * 64
installed = pytest.mark.skipif(not openvino_is_installed(), reason="the extra 'openvino' is not installed")


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MEDSAM2_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "encoders"


@pytest.fixture
def network(tiny_network):
    return copy.deepcopy(tiny_network)


@pytest.fixture
def loaded(network, tmp_path):
    return LoadedNetwork(network, WeightsCard("tiny", network.config), tmp_path / "tiny.safetensors", SHA)


@pytest.fixture
def images(generator):
    return torch.randn(2, 3, 64, 64, generator=generator)


def encode(network, images):
    with torch.inference_mode():
        features = network.encode_image(images)
    return features.stride4, features.stride8, features.stride16


@installed
def test_features_are_the_same_and_compiled_once(network, images, cache, monkeypatch):
    expected = encode(network, images)
    network.compiled_maps = OpenVinoEncoder(network, SHA)
    for found, other in zip(encode(network, images), expected, strict=True):
        assert found.dtype == torch.float32
        torch.testing.assert_close(found, other, atol=1e-4, rtol=1e-4)
    assert [path.suffix for path in cache.iterdir()] == [".blob"]

    again = OpenVinoEncoder(network, SHA)
    monkeypatch.setattr(again, "_compile", lambda *_: pytest.fail("the cache was not read"))
    torch.testing.assert_close(again(images)[2], expected[2], atol=1e-4, rtol=1e-4)


@installed
def test_other_sizes_weights_and_precisions_have_files_of_their_own(network, cache):
    encoder = OpenVinoEncoder(network, SHA)
    paths = {encoder._path(64), encoder._path(96), OpenVinoEncoder(network, "1" * 64)._path(64)}
    network.in_precision(torch.bfloat16)
    paths.add(encoder._path(64))
    assert len(paths) == 4
    assert {path.parent for path in paths} == {cache}


@installed
def test_bfloat16_stays_near(network, images, cache):
    expected = encode(network, images)
    network.in_precision(torch.bfloat16).compiled_maps = OpenVinoEncoder(network, SHA)
    for found, other in zip(encode(network, images), expected, strict=True):
        assert found.dtype == torch.float32
        assert torch.corrcoef(torch.stack((found.flatten(), other.flatten())))[0, 1] > 0.99


@installed
def test_a_damaged_file_is_compiled_anew(network, images, cache):
    encoder = OpenVinoEncoder(network, SHA)
    path = encoder._path(64)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"not an encoder")
    assert encoder(images)[2].shape == (2, 64, 4, 4)
    assert path.stat().st_size > 1000


@installed
def test_without_a_place_for_the_cache_it_works_all_the_same(network, images, cache, caplog):
    cache.parent.write_text("a file where the folder should be")
    assert OpenVinoEncoder(network, SHA)(images)[2].shape == (2, 64, 4, 4)
    assert "the compiled encoder cannot be kept" in caplog.text


@installed
def test_gradients_take_the_plain_way(network, images):
    network.compiled_maps = lambda _: pytest.fail("has no gradients")
    network.requires_grad_(True).encode_image(images).stride16.sum().backward()
    assert network.image_encoder.patch_embedding.weight.grad.isfinite().all()


@installed
def test_nothing_is_told_to_a_server(network):
    OpenVinoEncoder(network, SHA)
    assert sys.modules["openvino_telemetry"] is None
    assert "stub" in sys.modules["openvino.tools.ovc.telemetry_utils"].tm.__name__


@installed
def test_auto_takes_it_where_it_profits(loaded, monkeypatch):
    monkeypatch.setattr("medsam2.segmenter.openvino_is_installed", lambda: True)
    for width, machine, taken in ((8, "x86_64", True), (8, "aarch64", False), (9, "x86_64", False)):
        monkeypatch.setattr("medsam2.network.config.WIDE", width)
        monkeypatch.setattr("platform.machine", lambda machine=machine: machine)
        assert (choose_encoder(loaded, "auto") is not None) == taken
        assert choose_encoder(loaded, "openvino") is not None
    assert choose_encoder(loaded, "torch") is None


@installed
def test_a_segmenter_tells_of_it(tiny_network, tmp_path, cache):
    path = tmp_path / "tiny.safetensors"
    save_network(tiny_network, path, WeightsCard("tiny", tiny_network.config))
    assert Segmenter.from_pretrained(path, "cpu", encoder="openvino").describe()["encoder"] == "openvino"
    assert Segmenter.from_pretrained(path, "cpu", encoder="torch").describe()["encoder"] == "torch"


def test_where_it_cannot_be_that_is_said(loaded, monkeypatch):
    assert choose_encoder(loaded, "auto") is None
    with pytest.raises(ConfigurationError, match="encoder is 'onnx'; expected one of auto, torch, openvino"):
        choose_encoder(loaded, "onnx")
    monkeypatch.setattr("medsam2.weights.openvino_encoder.openvino_is_installed", lambda: False)
    with pytest.raises(MissingDependencyError, match=r"pip install 'medsam2\[openvino\]'"):
        choose_encoder(loaded, "openvino")
    monkeypatch.setattr("medsam2.weights.openvino_encoder.openvino_is_installed", lambda: True)
    loaded.network.to("meta")
    with pytest.raises(ConfigurationError, match="runs on the CPU, not on 'meta'"):
        choose_encoder(loaded, "openvino")
