"""A run's weights become a file that `load_network` reads, with the record of the run."""

import json

import pytest
import torch

from medsam2.errors import CheckpointError
from medsam2.network import Sam2Network
from medsam2.training.__main__ import main
from medsam2.training.export import export_weights
from medsam2.training.run_folder import RunFolder
from medsam2.training.state import save_state
from medsam2.weights import load_network
from training.tiny_runs import TINY, recipe_of, trainer_in


def saved_run(folder, best=-1.0, **changes):
    """A run of no steps, saved; its average differs from its weights."""
    trainer = trainer_in(folder, recipe_of(**changes))
    for tensor in trainer.average.values():
        tensor.add_(0.5)
    trainer.steps, trainer.seconds, trainer.best = 12, 90.0, best
    trainer.save()
    return trainer


def test_the_average_is_exported_with_its_record(tmp_path):
    run = saved_run(tmp_path / "run")
    path = tmp_path / "weights" / "tiny.safetensors"
    export_weights(RunFolder(tmp_path / "run"), path)
    loaded = load_network(path)
    for name, tensor in loaded.network.state_dict().items():
        expected = run.average.get(name, run.network.state_dict()[name])
        torch.testing.assert_close(tensor, expected, rtol=1e-3, atol=1e-3)
    card = loaded.card
    assert card.name == "tiny"
    assert card.licence == "of 'nothing': CC0; of the data, toys: CC0"
    assert card.data == "Begun from 'nothing'. toys (here): 3 cases of 3 patients."
    assert (card.training["steps"], card.training["minutes"]) == (12, 1.5)
    assert card.training["recipe"]["optimiser"]["warm_up_steps"] == 2
    assert card.training["data"]["set"] == "toy"
    assert card.config == TINY


def test_low_rank_updates_are_in_the_exported_weights(tmp_path):
    run = saved_run(tmp_path / "run", encoder={"mode": "lora", "rank": 2})
    export_weights(RunFolder(tmp_path / "run"), tmp_path / "a.safetensors")
    name = "image_encoder.blocks.0.attention.qkv"
    update = [run.average[f"{name}.parametrizations.weight.0.{part}"] for part in ("up", "down")]
    expected = run.network.state_dict()[f"{name}.parametrizations.weight.original"] + update[0] @ update[1]
    found = load_network(tmp_path / "a.safetensors").network.state_dict()[f"{name}.weight"]
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3)


def test_the_weights_know_the_size_that_they_were_trained_at(tmp_path):
    stages = [{"tasks": [{"batch": {"clips": 1, "frames": 1, "objects": 1, "size": 96}}]}]
    saved_run(tmp_path / "run", stages=stages, licence="mine")
    export_weights(RunFolder(tmp_path / "run"), tmp_path / "a.safetensors")
    card = load_network(tmp_path / "a.safetensors").card
    assert (card.config.size, card.licence) == (96, "mine")


def test_the_best_weights_are_what_is_exported(tmp_path):
    saved_run(tmp_path / "run", best=0.5)
    (tmp_path / "run" / "weights.safetensors").write_bytes(b"the best")
    export_weights(RunFolder(tmp_path / "run"), tmp_path / "a.safetensors")
    assert (tmp_path / "a.safetensors").read_bytes() == b"the best"
    with pytest.raises(CheckpointError, match=r"a\.pt must end in \.safetensors"):
        export_weights(RunFolder(tmp_path / "run"), tmp_path / "a.pt")


def test_without_a_trial_the_last_weights_are_exported_whatever_lies_there(tmp_path):
    folder = RunFolder(tmp_path)
    shorter = saved_run(folder.path)
    export_weights(folder, folder.weights)
    shorter.steps = 30
    shorter.average["no_memory"].add_(1.0)
    shorter.save()
    export_weights(folder, folder.weights)
    loaded = load_network(folder.weights)
    assert loaded.card.training["steps"] == 30
    torch.testing.assert_close(
        loaded.network.state_dict()["no_memory"], shorter.average["no_memory"], rtol=1e-3, atol=1e-3
    )


def test_weights_that_cannot_be_written_are_named(tmp_path):
    saved_run(tmp_path / "run")
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(CheckpointError, match=r"a\.safetensors cannot be written"):
        export_weights(RunFolder(tmp_path / "run"), tmp_path / "file" / "a.safetensors")


def test_a_folder_without_a_run_is_refused(tmp_path):
    with pytest.raises(CheckpointError, match="no training state"):
        export_weights(RunFolder(tmp_path), tmp_path / "weights.safetensors")


def test_runs_from_before_there_were_recipes_are_exported(tmp_path):
    """As the starter's runs left their state: the average of all weights, and settings."""
    network = Sam2Network(TINY)
    state = network.state_dict()
    tensors = {f"network.{name}": tensor for name, tensor in state.items()}
    tensors |= {f"average.{name}": tensor * 0.5 for name, tensor in state.items()}
    facts = {"steps": 7, "seconds": 60.0, "settings": {"minutes": 5.0}, "network": TINY.to_dict()}
    save_state(tmp_path / "old" / "state", tensors, json.loads(json.dumps(facts)))
    main([str(tmp_path / "old"), "--export", str(tmp_path / "starter.safetensors")])
    loaded = load_network(tmp_path / "starter.safetensors")
    assert (loaded.card.name, loaded.card.licence) == ("starter", "Apache-2.0")
    assert "Synthetic anatomy only" in loaded.card.data
    assert loaded.card.training["settings"] == {"minutes": 5.0}
    torch.testing.assert_close(loaded.network.state_dict()["no_memory"], state["no_memory"] * 0.5)
