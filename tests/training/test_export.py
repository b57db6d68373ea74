"""A run's averaged weights become a file that `load_network` reads, with the record of the run."""

import json
from dataclasses import asdict

import pytest
import torch

from medsam2.errors import CheckpointError
from medsam2.training.__main__ import main
from medsam2.training.export import export_weights
from medsam2.training.trainer import Trainer
from medsam2.weights import load_network
from training.two_processes import SETTINGS, TINY


@pytest.fixture
def run(tmp_path):
    """A run of no steps, saved; its average differs from its weights."""
    trainer = Trainer(TINY, SETTINGS, tmp_path / "run", torch.device("cpu"))
    for tensor in trainer.average.values():
        tensor.add_(0.5)
    trainer.steps, trainer.seconds = 12, 90.0
    trainer.save()
    return trainer


def test_the_average_is_exported_with_its_record(run, tmp_path):
    path = tmp_path / "weights" / "tiny.safetensors"
    export_weights(run.folder, path, "tiny")
    loaded = load_network(path)
    for name, tensor in loaded.network.state_dict().items():
        torch.testing.assert_close(tensor, run.average[name], rtol=1e-3, atol=1e-3)
    assert loaded.card.name == "tiny"
    assert loaded.card.licence == "Apache-2.0"
    assert "Synthetic anatomy only" in loaded.card.data
    assert (loaded.card.training["steps"], loaded.card.training["minutes"]) == (12, 1.5)
    assert loaded.card.training["settings"] == json.loads(json.dumps(asdict(SETTINGS)))


def test_a_folder_without_a_run_is_refused(tmp_path):
    with pytest.raises(CheckpointError, match="no training state"):
        export_weights(tmp_path, tmp_path / "weights.safetensors", "nothing")


def test_the_command_exports_instead_of_training(run, tmp_path):
    path = tmp_path / "starter.safetensors"
    main([str(run.folder), "--export", str(path)])
    assert load_network(path).card.name == "starter"


def test_the_command_goes_on_with_a_run_that_is_over_at_once(tmp_path, monkeypatch):
    started = []
    monkeypatch.setattr("medsam2.training.__main__.launch", lambda *given: started.append(given))
    main([str(tmp_path), "--minutes", "3", "--processes", "1"])
    config, settings, folder, device, processes = started[0]
    assert config.drawn_prompts
    assert (settings.minutes, folder, device, processes) == (3, tmp_path, "cpu", 1)
