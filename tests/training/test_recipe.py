"""Recipes are valid once made, and round trips through JSON change nothing."""

import json
from dataclasses import asdict, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medsam2.errors import ConfigurationError
from medsam2.training.plain_values import settings_from
from medsam2.training.recipe import Recipe, sized
from training.tiny_runs import recipe_of

BATCH = {"clips": 1, "frames": 2, "objects": 1, "size": 32}


def stages(batch=None, clip=None, **stage):
    return [{"tasks": [{"batch": BATCH | (batch or {}), "clip": clip or {}}], **stage}]


def test_a_recipe_comes_back_from_its_own_file():
    recipe = recipe_of(encoder={"mode": "lora", "rank": 4}, minutes=None)
    assert settings_from(Recipe, json.loads(json.dumps(asdict(recipe)))) == recipe


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"steps": None}, "'steps' is None and 'minutes' is None; expected one of them"),
        ({"minutes": 5}, "'steps' is 4 and 'minutes' is 5.0; expected one of them"),
        ({"steps": 0}, "expected one of them, above 0"),
        ({"stages": []}, "shares are none; expected a sum of 1"),
        ({"stages": stages(share=0.5)}, "shares are 0.5; expected a sum of 1"),
        ({"stages": [{"tasks": []}]}, "a stage has no task"),
        ({"start": "scratch"}, "expected a network's name with 'start: scratch'"),
        ({"network": "starter"}, "expected a network's name with 'start: scratch'"),
        ({"start": "scratch", "network": "startr"}, "no network is called 'startr'.*'starter'"),
        ({"accumulate": 0}, "'accumulate' is 0; expected at least 1"),
        ({"stages": stages({"clips": 0})}, r"'batch\.clips' is 0; expected at least 1"),
        ({"stages": stages({"size": 40})}, r"'batch\.size' is 40 pixels; expected a multiple of 32"),
        ({"stages": stages(clip={"prompts": {"box": 0.8, "mask": 0.4}})}, "expected shares"),
        ({"stages": stages({"frames": 1}, {"prompts": {"box": 0, "mask": 1}})}, "leave nothing to learn"),
        ({"optimiser": {"learning_rate": 0}}, "'optimiser' has learning_rate 0.0"),
        ({"optimiser": {"layer_decay": 1.5}}, "layer_decay 1.5"),
        ({"optimiser": {"clip_norm": 0}}, r"clip_norm 0\.0, .*expected above 0"),
        ({"optimiser": {"weight_decay": -1}}, r"weight_decay -1\.0; expected above 0, not below 0"),
        ({"optimiser": {"last_rate": 2}}, r"'optimiser\.last_rate' is 2\.0; expected a share"),
        ({"stages": [*stages(share=1.5), *stages(share=-0.5)]}, r"a stage's 'share' is 1\.5; expected more than 0"),
        ({"stages": [*stages(share=1), *stages(share=0)]}, r"a stage's 'share' is 0\.0"),
        ({"stages": stages({"canvas": 0})}, r"'batch\.canvas' is 0; expected at least 1"),
        ({"stages": stages({"looks": 0})}, r"'batch\.looks' is 0; expected at least 1"),
        ({"stages": stages({"unordered": 1.5})}, r"'batch\.unordered' is 1\.5; expected a share"),
        ({"stages": stages(clip={"first_frame_corrections": -1})}, r"corrections' is -1; expected at least 0"),
        ({"stages": stages(clip={"later_correction": -0.1})}, r"later_correction' is -0\.1; expected a share"),
        ({"stages": stages(clip={"prompts": {"central": 2}})}, r"central' is 2\.0; expected a share"),
        ({"encoder": {"mode": "melt"}}, r"'encoder\.mode' is 'melt'; expected one of train, freeze, lora"),
        ({"encoder": {"rank": 0}}, r"'encoder\.rank' is 0"),
        ({"validation": {"every": 0}}, r"'validation\.every' is 0"),
        ({"data": {"validation_share": 1.0}}, "expected a share below 1"),
        ({"data": {"training": "validation"}}, "expected two splits"),
        ({"data": {"longest_gap": 0}}, r"'data\.longest_gap' is 0"),
        (
            {"data": {"window": "abdomenn"}},
            r"'data\.window': there is no window \"abdomenn\".*Did you mean \"abdomen\"",
        ),
        ({"data": {"window": "0,40"}}, r"'data\.window': window \"0,40\" has the width 0"),
        ({"augmentation": {"flip": 2}}, r"'augmentation\.flip' is 2.0; expected a share"),
        ({"augmentation": {"scale": [2, 1]}}, r"'augmentation\.scale' is 2.0\.\.1.0"),
        ({"precision": "float16"}, "'precision' is 'float16'; expected one of float32, bfloat16"),
    ],
)
def test_what_cannot_be_is_refused(changes, message):
    with pytest.raises(ConfigurationError, match=message):
        recipe_of(**changes)


@pytest.mark.parametrize("window", ["auto", "percentile", "full", "lung", "ct-bone", "400,40"])
def test_a_window_may_be_any_that_there_is(window):
    assert recipe_of(data={"window": window}).data.window == window


@given(st.lists(st.integers(1, 9), min_size=1, max_size=4), st.floats(0, 1), st.floats(0, 1))
def test_stages_follow_each_other(weights, first, second):
    whole = [stage | {"share": weight / sum(weights)} for weight in weights for stage in stages()]
    recipe = recipe_of(stages=whole)
    earlier, later = sorted((first, second))
    assert 0 <= recipe.stage_at(earlier) <= recipe.stage_at(later) < len(weights)
    assert (recipe.stage_at(0.0), recipe.stage_at(1.0)) == (0, len(weights) - 1)


def test_the_network_s_own_size_is_filled_in():
    recipe = recipe_of(stages=[*stages({"size": 0}, share=0.5), *stages({"size": 96}, share=0.5)])
    found = sized(recipe, 64)
    assert [stage.tasks[0].batch.size for stage in found.stages] == [64, 96]
    assert found.side == 96
    assert sized(replace(found, seed=1), 128).side == 96


def test_the_last_task_is_what_the_weights_are_for():
    single, several = (stages({"frames": frames, "size": 32 * frames})[0]["tasks"][0] for frames in (1, 3))
    pictures = {"source": "x", "ordered": False}
    recipe = recipe_of(stages=[{"tasks": [single, several]}], data=pictures)
    assert (recipe.side, recipe.for_sets) == (96, True)
    recipe = recipe_of(stages=[{"tasks": [several, single]}], data=pictures)
    assert (recipe.side, recipe.for_sets) == (32, False)
    assert not recipe_of(stages=[{"tasks": [several]}]).for_sets
