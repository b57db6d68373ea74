"""Weights are checked against a configuration, and the configuration is told from weights."""

import pytest
import torch

from medsam2.errors import CheckpointError
from medsam2.network import PRESETS, Sam2Network
from medsam2.weights.fitting import check_fit, expected_shapes, fitting_preset
from reference.sam2_transformers import SMALL


def hollow(config):
    return {key: torch.zeros(()).expand(shape) for key, shape in expected_shapes(config).items()}


def test_expected_shapes_are_those_of_the_network():
    network = Sam2Network(SMALL)
    assert expected_shapes(SMALL) == {key: tensor.shape for key, tensor in network.state_dict().items()}


@pytest.mark.parametrize("name", PRESETS)
def test_each_preset_is_told_from_its_shapes(name):
    assert fitting_preset(hollow(PRESETS[name])) == name


@pytest.mark.parametrize("name", PRESETS)
def test_each_preset_fits_only_itself(name):
    for other, config in PRESETS.items():
        if other == name:
            check_fit(hollow(config), PRESETS[name])
        else:
            with pytest.raises(CheckpointError, match=f"The configuration '{other}' would fit"):
                check_fit(hollow(config), PRESETS[name])


def test_an_unknown_size_is_described():
    with pytest.raises(CheckpointError, match=r"embedding_width 16.*depths \(1, 2, 3, 2\).*save_network"):
        fitting_preset(hollow(SMALL))


@pytest.mark.parametrize("missing", ["image_encoder.position_grid", "neck.laterals.0.weight"])
def test_a_torso_is_no_network(missing):
    state = hollow(SMALL)
    del state[missing]
    with pytest.raises(CheckpointError, match=f"not the weights of a SAM 2 network: '{missing}' is missing"):
        fitting_preset(state)


def test_a_message_names_five_keys_and_counts_the_rest():
    config = PRESETS["sam2.1-hiera-tiny"]
    state = {key: tensor for key, tensor in hollow(config).items() if not key.startswith("pointer_head.")}
    del state["no_memory"]
    with pytest.raises(CheckpointError) as error:
        check_fit(state, config)
    message = str(error.value)
    assert "configuration 'sam2.1-hiera-tiny': 7 missing (no_memory, pointer_head.layers.0.bias" in message
    assert "and 2 more)" in message
    assert message.count("pointer_head") == 4
    assert message.endswith("They look like 'sam2.1-hiera-tiny', but incomplete or altered: get the file again")


def test_weights_of_no_known_network_say_so():
    state = hollow(SMALL) | {"extra": torch.zeros(1)}
    with pytest.raises(CheckpointError, match=r"1 unexpected \(extra\)\. No known configuration fits"):
        check_fit(state, SMALL)
