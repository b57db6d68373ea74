"""From names and files of all flavours to one and the same network, and back."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from medsam2.errors import CheckpointError, ConfigurationError
from medsam2.network import PRESETS, FramePrompt, Sam2Network
from medsam2.weights import WeightsCard, infer_config, load_network, read_card, save_network
from medsam2.weights.cache import LOCK_FILE, import_file
from medsam2.weights.checkpoint_files import sha256_of
from medsam2.weights.fitting import expected_shapes
from medsam2.weights.keys import rename
from reference.sam2_transformers import SMALL, build_pair

FREQUENCIES = "prompt_encoder.position.frequencies"


def assert_same_weights(network: Sam2Network, expected: dict[str, torch.Tensor]) -> None:
    state = network.state_dict()
    assert state.keys() == expected.keys()
    for key, tensor in expected.items():
        torch.testing.assert_close(state[key], tensor.to(state[key].dtype), rtol=0, atol=0)


@pytest.fixture
def card(tiny_network) -> WeightsCard:
    return WeightsCard(
        "mine", tiny_network.config, "MIT", {"steps": 3, "rate": 1e-4}, "synthetic", {"dice": 0.5}, "Beware."
    )


@pytest.fixture
def saved(tiny_network, card, tmp_path) -> Path:
    path = tmp_path / "mine.safetensors"
    save_network(tiny_network, path, card, torch.float32)
    return path


def test_a_meta_checkpoint_is_loaded(entries, checkpoint, random_meta_state, tiny_network):
    loaded = load_network(checkpoint)
    assert not loaded.network.training
    assert loaded.network.config == tiny_network.config
    assert loaded.path == checkpoint
    assert loaded.sha256 == sha256_of(checkpoint)
    assert loaded.card == WeightsCard("published", tiny_network.config)
    assert_same_weights(loaded.network, rename(random_meta_state(tiny_network.config), tiny_network.config))


def test_a_hugging_face_checkpoint_is_loaded_and_computes_the_same(monkeypatch, tmp_path):
    monkeypatch.setitem(PRESETS, "small-test", SMALL)
    pair = build_pair(SMALL, size=64)
    path = tmp_path / "model.safetensors"
    pair.reference.save_pretrained(tmp_path)
    loaded = load_network(path)
    assert_same_weights(loaded.network, pair.network.state_dict())
    image = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        ours, theirs = (
            network.decode(network.condition(network.encode_image(image), None), FramePrompt.none(1)).logits
            for network in (loaded.network, pair.network)
        )
    assert torch.equal(ours, theirs)


def test_names_are_loaded_from_the_cache(entries, cache, checkpoint):
    import_file(checkpoint, "known")
    loaded = load_network("known")
    assert loaded.card == WeightsCard("known", entries["known"].config, "MIT", note="For tests.")
    assert loaded.path == cache / "weights" / "known" / "known.pt"


def test_names_are_downloaded_if_need_be(entries, cache, hub, checkpoint):
    hub.files["someone/weights", "b" * 40, "unknown.pt"] = checkpoint.read_bytes()
    assert load_network("unknown").sha256 == sha256_of(checkpoint)


@pytest.mark.parametrize("name", ["known", "unknown"])
def test_a_file_changed_in_the_cache_is_refused(name, entries, cache, checkpoint):
    path = import_file(checkpoint, name)
    with path.open("ab") as file:
        file.write(b"!")
    with pytest.raises(CheckpointError, match=f"is not the file known as '{name}': its SHA-256 is"):
        load_network(name)
    assert (path.parent / LOCK_FILE).exists()


def test_the_registrys_configuration_counts_for_its_names(entries, cache, checkpoint, tiny_network, monkeypatch):
    entries["known"] = replace(entries["known"], side=512)
    import_file(checkpoint, "known")
    assert load_network("known").network.config == replace(tiny_network.config, size=512)


def test_our_own_file_brings_its_configuration_and_card(saved, card, tiny_network):
    loaded = load_network(saved)
    assert loaded.card == card
    assert_same_weights(loaded.network, tiny_network.state_dict())
    assert read_card(saved) == card


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_matrices_are_stored_as_asked_and_vectors_precisely(dtype, tiny_network, card, tmp_path):
    path = tmp_path / "folder" / "mine.safetensors"
    save_network(tiny_network, path, card, dtype)
    stored = load_file(path)
    for key, tensor in tiny_network.state_dict().items():
        precise = tensor.ndim <= 1 or key == FREQUENCIES
        assert stored[key].dtype == (torch.float32 if precise else dtype)
        torch.testing.assert_close(stored[key], tensor.to(stored[key].dtype), rtol=0, atol=0)


@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 2**16), dtype=st.sampled_from([torch.float16, torch.bfloat16, torch.float32]))
def test_what_was_loaded_is_saved_as_the_same_bytes(seed, dtype, tiny_network, tmp_path_factory):
    torch.manual_seed(seed)
    folder = tmp_path_factory.mktemp("round")
    card = WeightsCard("round", tiny_network.config, training={"seed": seed})
    save_network(Sam2Network(tiny_network.config), folder / "first.safetensors", card, dtype)
    loaded = load_network(folder / "first.safetensors")
    save_network(loaded.network, folder / "second.safetensors", loaded.card, dtype)
    assert loaded.sha256 == sha256_of(folder / "second.safetensors")


@pytest.mark.parametrize("stored", [torch.float16, torch.bfloat16, torch.float32])
def test_the_precision_of_the_file_does_not_count(stored, tiny_network, card, tmp_path):
    path = tmp_path / "mine.safetensors"
    save_network(tiny_network, path, card, stored)
    network = load_network(path).network
    assert {tensor.dtype for tensor in network.state_dict().values()} == {torch.float32}


def test_a_bfloat16_checkpoint_is_converted(entries, checkpoint, random_meta_state, tiny_network):
    state = {key: tensor.bfloat16() for key, tensor in random_meta_state(tiny_network.config).items()}
    torch.save({"model": state}, checkpoint)
    network = load_network(checkpoint).network
    assert {tensor.dtype for tensor in network.state_dict().values()} == {torch.float32}
    assert_same_weights(network, rename(state, tiny_network.config))


def test_a_network_does_not_share_memory_with_another(saved):
    first, second = load_network(saved).network, load_network(saved).network
    with torch.no_grad():
        first.no_memory.fill_(7.0)
    assert not torch.equal(first.no_memory, second.no_memory)
    assert all(parameter.requires_grad for parameter in first.parameters())


def test_a_checkpoint_of_another_network_names_the_fitting_one(entries, cache, checkpoint, random_meta_state):
    entries["known"] = replace(entries["known"], preset="starter", sha256=sha256_of(checkpoint))
    with pytest.raises(CheckpointError) as error:
        import_file(checkpoint, "known")
    message = str(error.value)
    assert "do not fit the configuration 'starter'" in message
    assert message.endswith("The configuration 'smallest' would fit")


@pytest.mark.parametrize("name", [name for name in PRESETS if name != "starter"])
def test_configurations_are_inferred_from_meta_keys(name, hollow_meta_state):
    assert infer_config(hollow_meta_state(PRESETS[name])) == PRESETS[name]


@pytest.mark.parametrize("name", PRESETS)
def test_configurations_are_inferred_from_our_keys(name):
    state = {key: torch.zeros(()).expand(shape) for key, shape in expected_shapes(PRESETS[name]).items()}
    assert infer_config(state) == PRESETS[name]


def test_missing_and_unexpected_keys_are_never_passed_over(entries, checkpoint, random_meta_state, tiny_network):
    state = random_meta_state(tiny_network.config)
    del state["no_mem_embed"]
    state["sam_mask_decoder.new_token.weight"] = torch.zeros(1)
    torch.save({"model": state}, checkpoint)
    with pytest.raises(CheckpointError) as error:
        load_network(checkpoint)
    message = str(error.value)
    assert message.startswith(f"{checkpoint}: the weights do not fit the configuration 'smallest'")
    assert "1 missing (no_memory)" in message
    assert "1 unexpected (sam_mask_decoder.new_token.weight)" in message


def test_weights_of_something_else_are_refused(tmp_path):
    path = tmp_path / "resnet.pt"
    torch.save({"layer1.0.conv1.weight": torch.zeros(1)}, path)
    with pytest.raises(CheckpointError, match=r"resnet\.pt: these are not the weights of a SAM 2 network"):
        load_network(path)


def test_weights_that_are_no_numbers_are_refused(entries, checkpoint, random_meta_state, tiny_network):
    state = random_meta_state(tiny_network.config)
    state["no_mem_embed"][0, 0, 3] = torch.nan
    torch.save({"model": state}, checkpoint)
    with pytest.raises(CheckpointError, match="1 weights are infinite or not numbers, first 'no_memory'"):
        load_network(checkpoint)


def test_a_damaged_card_is_refused_with_the_files_name(saved):
    save_file(load_file(saved), saved, metadata={"medsam2": "{}"})
    with pytest.raises(CheckpointError, match=r"mine\.safetensors: the header holds no card"):
        load_network(saved)


def test_a_card_of_another_network_is_refused(saved, card):
    other = replace(card, config=replace(card.config, feedforward=48))
    save_file(load_file(saved), saved, metadata={"medsam2": other.to_json()})
    with pytest.raises(CheckpointError, match=r"do not fit the configuration NetworkConfig.* misshapen"):
        load_network(saved)


def test_names_that_are_neither_names_nor_files_are_answered():
    with pytest.raises(CheckpointError, match=r"no weights are called 'sam2\.1-tiny'"):
        load_network("sam2.1-tiny")
    with pytest.raises(CheckpointError, match=r"nothing\.pt does not exist"):
        load_network("nothing.pt")
    with pytest.raises(CheckpointError, match="does not exist"):
        load_network(Path("folder") / "nothing")


def test_a_card_must_be_the_networks(tiny_network, card, tmp_path):
    with pytest.raises(ConfigurationError, match="the card 'mine' describes NetworkConfig"):
        save_network(tiny_network, tmp_path / "a.safetensors", replace(card, config=PRESETS["starter"]))


def test_a_file_must_end_as_what_it_is(tiny_network, card, tmp_path):
    with pytest.raises(CheckpointError, match=r"a\.pt must end in \.safetensors"):
        save_network(tiny_network, tmp_path / "a.pt", card)


def test_weights_are_not_stored_as_integers(tiny_network, card, tmp_path):
    with pytest.raises(ConfigurationError, match=r"not as torch\.int8"):
        save_network(tiny_network, tmp_path / "a.safetensors", card, torch.int8)


def test_weights_too_large_for_float16_are_refused(tiny_network, card, tmp_path):
    network = Sam2Network(tiny_network.config)
    with torch.no_grad():
        network.no_memory.fill_(1e6)
    with pytest.raises(CheckpointError, match=r"first 'no_memory'.*needs a wider type"):
        save_network(network, tmp_path / "a.safetensors", card, torch.float16)
    assert list(tmp_path.iterdir()) == []
    save_network(network, tmp_path / "a.safetensors", card, torch.bfloat16)
