"""Freezing, and low-rank updates: nothing at first, learnt alone, and part of the plain weights in the end."""

import pytest
import torch

from medsam2.network import Sam2Network
from medsam2.training.adaptation import adapt, plain_weights
from medsam2.training.recipe import EncoderSettings
from training.tiny_runs import TINY


def network_of(seed=0):
    torch.manual_seed(seed)
    return Sam2Network(TINY).eval()


def features(network):
    images = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    return network.encode_image(images).stride16


def learning(network):
    return {name for name, one in network.named_parameters() if one.requires_grad}


def test_training_leaves_all_to_learn():
    network = network_of()
    adapt(network, EncoderSettings())
    assert learning(network) == {name for name, _ in network.named_parameters()}


def test_a_frozen_encoder_learns_nothing_and_the_rest_does():
    network = network_of()
    adapt(network, EncoderSettings("freeze"))
    assert not any(name.startswith("image_encoder.") for name in learning(network))
    assert any(name.startswith("neck.") for name in learning(network))


def test_low_rank_updates_begin_at_nothing_and_learn_alone():
    plain, network = network_of(), network_of()
    adapt(network, EncoderSettings("lora", rank=2))
    assert torch.equal(features(plain), features(network))
    of_encoder = {name for name in learning(network) if name.startswith("image_encoder.")}
    assert of_encoder
    assert all(name.endswith((".up", ".down")) for name in of_encoder)
    assert len(of_encoder) == 2 * 2 * sum(TINY.depths)
    assert network.image_encoder.blocks[0].attention.qkv.parametrizations.weight[0].down.shape == (2, 8)


@pytest.mark.parametrize("mode", ["train", "freeze", "lora"])
def test_plain_weights_do_the_same_as_the_adapted_network(mode):
    settings = EncoderSettings(mode, rank=2)
    network = network_of()
    adapt(network, settings)
    with torch.no_grad():
        for name, one in network.named_parameters():
            if name in learning(network):
                one.add_(0.1 * torch.randn(one.shape, generator=torch.Generator().manual_seed(len(name))))
    found = plain_weights(Sam2Network(TINY), settings, network.state_dict())
    plain = network_of(seed=1)
    plain.load_state_dict(found)
    torch.testing.assert_close(features(plain), features(network))
    assert not torch.allclose(features(plain), features(network_of()))
