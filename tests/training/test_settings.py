"""The schedule is a matter of time."""

import json
from dataclasses import asdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medsam2.network.config import SIZE_MULTIPLE
from medsam2.training.settings import Stage, Task, TrainingSettings, starter_on_cpu
from medsam2.training.synthetic_clips import BatchShape

SHAPE = BatchShape(clips=1, frames=1, objects=1, size=32)


def settings_of(*shares):
    return TrainingSettings(minutes=1.0, stages=tuple(Stage(share, (Task(SHAPE),)) for share in shares))


@pytest.mark.parametrize(
    ("progress", "stage"), [(0, 0), (0.2499, 0), (0.25, 1), (0.5999, 1), (0.60, 2), (0.9999, 2), (1, 2), (1.5, 2)]
)
def test_a_stage_lasts_for_its_share_of_the_time(progress, stage):
    assert settings_of(0.25, 0.35, 0.40).stage_at(progress) == stage


def test_one_stage_lasts_for_all_of_it():
    assert [settings_of(1.0).stage_at(progress) for progress in (0, 0.5, 1)] == [0, 0, 0]


@settings(deadline=None)
@given(st.lists(st.floats(0.01, 1), min_size=1, max_size=6), st.floats(0, 1), st.floats(0, 1))
def test_stages_follow_each_other_and_the_last_one_is_reached(weights, first, second):
    settings = settings_of(*(weight / sum(weights) for weight in weights))
    earlier, later = sorted((first, second))
    assert 0 <= settings.stage_at(earlier) <= settings.stage_at(later) < len(weights)
    assert settings.stage_at(1.0) == len(weights) - 1


def test_the_starter_s_settings_fit_together():
    settings = starter_on_cpu(90)
    assert settings.minutes == 90
    assert sum(stage.share for stage in settings.stages) == pytest.approx(1)
    for task in (task for stage in settings.stages for task in stage.tasks):
        prompts = task.clip.prompts
        assert prompts.box + prompts.mask <= 1
        assert task.batch.size % SIZE_MULTIPLE == 0
        # A drawn mask teaches only what follows from it.
        assert task.batch.frames > 1 or prompts.mask == 0


def test_settings_are_written_as_json():
    assert json.loads(json.dumps(asdict(starter_on_cpu(5))))["stages"][0]["tasks"][0]["batch"]["frames"] == 1
