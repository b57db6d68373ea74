"""Rates by depth, decay by kind, and the schedule."""

import pytest
import torch

from medsam2.network import Sam2Network
from medsam2.training.adaptation import adapt
from medsam2.training.optimiser import BETAS, learning_rate, make_optimiser, parameter_groups
from medsam2.training.recipe import EncoderSettings, OptimiserSettings
from training.tiny_runs import TINY


def by_name(network, settings):
    """Scale and decay of each weight."""
    names = {id(one): name for name, one in network.named_parameters()}
    groups = parameter_groups(network, settings)
    return {names[id(one)]: (group["scale"], group["weight_decay"]) for group in groups for one in group["params"]}


def test_weight_decay_is_for_matrices_and_filters():
    network = Sam2Network(TINY)
    found = by_name(network, OptimiserSettings(weight_decay=0.05))
    assert found.keys() == {name for name, _ in network.named_parameters()}
    decayed = {name for name, (_, decay) in found.items() if decay}
    assert {"image_encoder.patch_embedding.weight", "pointer_head.layers.0.weight"} <= decayed
    assert not [name for name in decayed if "norm" in name or "token" in name or "bias" in name or "gain" in name]
    assert not decayed & {"memory_layout.recency", "no_memory", "no_object_pointer", "image_encoder.position_grid"}


def test_the_encoder_s_first_blocks_learn_slowest():
    found = by_name(Sam2Network(TINY), OptimiserSettings(layer_decay=0.5))
    assert found["neck.laterals.0.weight"][0] == 1
    assert found["mask_decoder.iou_token.weight"][0] == 1
    assert [found[f"image_encoder.blocks.{n}.attention.qkv.weight"][0] for n in range(4)] == [
        0.5**4,
        0.5**3,
        0.5**2,
        0.5,
    ]
    assert found["image_encoder.patch_embedding.weight"][0] == 0.5**5
    assert {scale for scale, _ in by_name(Sam2Network(TINY), OptimiserSettings()).values()} == {1.0}


def test_only_what_learns_is_told_of():
    network = Sam2Network(TINY)
    adapt(network, EncoderSettings("lora"))
    found = by_name(network, OptimiserSettings())
    assert found.keys() == {name for name, one in network.named_parameters() if one.requires_grad}
    assert all(found[name][1] for name in found if name.endswith((".up", ".down")))


def test_the_optimiser_is_the_paper_s():
    optimiser = make_optimiser(Sam2Network(TINY), OptimiserSettings())
    assert isinstance(optimiser, torch.optim.AdamW)
    assert {group["betas"] for group in optimiser.param_groups} == {BETAS} == {(0.9, 0.999)}


def test_the_rate_rises_then_falls_as_a_cosine():
    settings = OptimiserSettings(learning_rate=1e-3, warm_up_steps=10, last_rate=0.1)
    assert learning_rate(settings, 0, 0.0) == pytest.approx(1e-4)
    assert learning_rate(settings, 4, 0.0) == pytest.approx(5e-4)
    for share, rate in ((0.0, 1e-3), (0.5, 5.5e-4), (1.0, 1e-4)):
        assert learning_rate(settings, 500, share) == pytest.approx(rate)
