"""Recipes by name and from files, changed on the way, with every typo named."""

import json
import sys

import pytest

from medsam2.datasets import layout_at
from medsam2.errors import CheckpointError, ConfigurationError, FormatError, MissingDependencyError
from medsam2.training.recipe import SCRATCH, SYNTHETIC
from medsam2.training.recipe_files import of_length, read_recipe, shipped_recipes
from medsam2.weights import find_entry
from training.tiny_runs import PLAIN, recipe_of


def test_all_recipes_are_shipped_and_mean_something():
    expected = {"starter", "finetune-volume", "finetune-images", "btcv", "refuge2", "brats", "tnscui", "isic"}
    assert set(shipped_recipes()) == expected
    for name in expected:
        recipe = read_recipe(name)
        assert recipe.name == name
        if recipe.start != SCRATCH:
            find_entry(recipe.start)
        if recipe.data.source != SYNTHETIC:
            assert layout_at(recipe.data.source)[0].name in (name, "folder") or name.startswith("finetune")


@pytest.mark.parametrize("suffix", ["json", "yaml", "yml"])
def test_a_file_and_changes(tmp_path, suffix):
    path = tmp_path / f"mine.{suffix}"
    path.write_text(json.dumps(PLAIN))
    assert read_recipe(str(path)) == recipe_of()
    changed = read_recipe(str(path), ["optimiser.learning_rate=1e-5", "encoder.mode=freeze", "augmentation=null"])
    assert (changed.optimiser.learning_rate, changed.encoder.mode, changed.augmentation) == (1e-5, "freeze", None)
    assert changed.optimiser.warm_up_steps == recipe_of().optimiser.warm_up_steps


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("steps", "the change 'steps' is not understood; expected NAME=VALUE"),
        ("stepz=3", "'stepz' is no setting.*Did you mean 'steps'"),
        ("steps.more=3", "'steps' holds no settings by name"),
        ("steps=[", "its value is no YAML"),
        ("optimiser.learning_rat=3", r"'optimiser\.learning_rat' is no setting.*Did you mean 'learning_rate'"),
    ],
)
def test_a_change_that_means_nothing(tmp_path, change, message):
    path = tmp_path / "mine.json"
    path.write_text(json.dumps(PLAIN))
    with pytest.raises(ConfigurationError, match=message):
        read_recipe(str(path), [change])


@pytest.mark.parametrize("text", ["/data/Trial #3", "2024", "a: b", "null", "[", "'quoted'", "no"])
def test_texts_are_taken_as_they_are(tmp_path, text):
    path = tmp_path / "mine.json"
    path.write_text(json.dumps(PLAIN))
    found = read_recipe(str(path), ["data.ordered=false"], {"data.source": text, "start": text})
    assert (found.data.source, found.start, found.data.ordered) == (text, text, False)
    assert found.data.cases_in_memory == 2
    assert read_recipe(str(path), ["start=mine"], {"start": text}).start == "mine"


def test_what_is_no_recipe(tmp_path):
    with pytest.raises(ConfigurationError, match=r"'finetune-volum' is no recipe.*Did you mean 'finetune-volume'"):
        read_recipe("finetune-volum")
    with pytest.raises(ConfigurationError, match="is no recipe; expected a file"):
        read_recipe(str(tmp_path / "missing.yaml"))
    broken = tmp_path / "broken.yaml"
    broken.write_text("a: [1")
    with pytest.raises(FormatError, match=r"broken\.yaml cannot be read as a recipe"):
        read_recipe(str(broken))
    broken.write_text("- a")
    with pytest.raises(ConfigurationError, match=r"broken\.yaml: holds list; expected settings by name"):
        read_recipe(str(broken))
    broken.write_text(json.dumps(PLAIN | {"stepps": 3}))
    with pytest.raises(ConfigurationError, match=r"broken\.yaml: 'stepps' is no setting.*'steps'"):
        read_recipe(str(broken))


def test_yaml_is_asked_for_where_it_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "yaml", None)
    with pytest.raises(MissingDependencyError, match=r"PyYAML.*medsam2\[train\].*or give the recipe as \.json"):
        read_recipe("starter")


def test_another_length():
    recipe = recipe_of()
    assert of_length(recipe, None, None) is recipe
    assert (of_length(recipe, 9, None).steps, of_length(recipe, 9, None).minutes) == (9, None)
    assert (of_length(recipe, None, 2.5).steps, of_length(recipe, None, 2.5).minutes) == (None, 2.5)
    with pytest.raises(ConfigurationError, match="expected one of them"):
        of_length(recipe, 9, 2.5)


def test_an_unknown_start_is_found_by_name():
    with pytest.raises(CheckpointError, match="Did you mean 'starter'"):
        find_entry("startr")
