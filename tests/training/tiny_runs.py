"""Runs that take a second: a tiny network, a tiny set, few steps."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from medsam2.datasets import Case, CaseSource
from medsam2.network import NetworkConfig, Sam2Network
from medsam2.spatial import Geometry, Segmentation, Volume
from medsam2.training.adaptation import adapt
from medsam2.training.plain_values import settings_from
from medsam2.training.processes import Alone
from medsam2.training.recipe import Recipe
from medsam2.training.run_folder import RunFolder
from medsam2.training.state import load_state
from medsam2.training.trainer import Run, Trainer, initialised
from medsam2.training.training_data import TrainingData

TINY = NetworkConfig(
    embedding_width=8,
    heads=1,
    depths=(1, 1, 1, 1),
    global_blocks=(2,),
    windows=(8, 4, 8, 4),
    width=64,
    feedforward=32,
    memory_layers=1,
    size=32,
)

PLAIN = {
    "name": "tiny",
    "steps": 4,
    "augmentation": {"chance": 0.5},
    "optimiser": {"learning_rate": 1e-3, "warm_up_steps": 2, "average": 0.5},
    "validation": {"every": 100},
    "data": {"source": "somewhere", "cases_in_memory": 2},
    "log_steps": 1,
    "stages": [{"tasks": [{"batch": {"clips": 1, "frames": 2, "objects": 2, "size": 32}}]}],
}
"""A recipe as a file gives it."""


def recipe_of(**changes) -> Recipe:
    return settings_from(Recipe, PLAIN | changes)


def case_of(name, shape=(5, 24, 20), seed=0, spacing=(1.0, 1.0, 3.0), ordered=True) -> Case:
    """A bright block on all slices but the first, and a dim one on the last two."""
    labels = np.zeros(shape, np.uint8)
    labels[min(1, shape[0] - 1) :, 4:12, 3:10] = 1
    labels[-2:, 14:22, 10:18] = 2
    values = np.random.default_rng(seed).normal(50, 5, shape) + np.array([0, 60, 30])[labels]
    geometry = Geometry(shape, np.diag([*spacing, 1.0]))
    return Case(
        name, Volume(values.astype(np.float32), geometry), Segmentation(labels, geometry), {1: "a", 2: "b"}, ordered
    )


def source_of(name, reads=None, **options) -> CaseSource:
    def load():
        if reads is not None:
            reads.append(name)
        return case_of(name, **options)

    return CaseSource(name, load)


def data_of(training=3, validation=0, **options) -> TrainingData:
    sources = [source_of(f"case{number}", seed=number, **options) for number in range(training + validation)]
    facts = {"set": "toy", "title": "toys", "origin": "here", "licence": "CC0"}
    facts["splits"] = {"training": {"cases": training, "patients": training, "sha256": "0"}}
    return TrainingData(tuple(sources[:training]), tuple(sources[training:]), facts)


def trainer_in(
    folder: Path, recipe: Recipe | None = None, data=None, should_stop=lambda: False, config=TINY
) -> Trainer:
    """A trainer of the tiny network, going on with what the folder holds."""
    recipe = recipe or recipe_of()
    torch.manual_seed(recipe.seed)
    network = initialised(Sam2Network(config))
    adapt(network, recipe.encoder)
    alone = Alone(torch.device("cpu"))
    run = Run(
        recipe, RunFolder(folder), alone, data or data_of(), {"name": "nothing", "licence": "CC0"}, False, should_stop
    )
    return Trainer(network, run, load_state(RunFolder(folder).state))


def everything(trainer: Trainer) -> dict[str, torch.Tensor]:
    """All tensors that training goes on with."""
    return {name: tensor.detach().clone() for name, tensor in trainer._tensors().items()}


def assert_same(first, second):
    assert first.keys() == second.keys()
    for name, tensor in first.items():
        assert torch.equal(tensor, second[name]), name


def longer(recipe: Recipe, steps: int) -> Recipe:
    return replace(recipe, steps=steps)
