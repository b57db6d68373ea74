"""Lessons: tasks take turns, stages follow each other, lanes are shared out, and a run goes on where it was."""

from dataclasses import replace

import pytest
import torch

from medsam2.errors import ShapeError
from medsam2.training.case_shelf import Extent
from medsam2.training.lessons import Lessons
from training.tiny_runs import data_of, recipe_of

BATCH = {"clips": 1, "frames": 1, "objects": 1, "size": 32}
TWO_TASKS = [{"tasks": [{"batch": BATCH}, {"batch": BATCH | {"frames": 2}}]}]
TWO_STAGES = [{"share": 0.5, "tasks": [{"batch": BATCH}]}, {"share": 0.5, "tasks": [{"batch": BATCH | {"frames": 3}}]}]


class Place:
    """One of several processes, by itself."""

    device = torch.device("cpu")

    def __init__(self, rank=0, count=1):
        self.rank, self.count = rank, count


def lessons_of(place=None, **changes):
    return Lessons(recipe_of(**changes), data_of(), place or Place())


def frames(found):
    return [lesson.batch.images.shape[1] for lesson in found]


def same(first, second):
    draws = [torch.rand((), generator=one.generator) for one in (first, second)]
    return torch.equal(first.batch.images, second.batch.images) and draws[0] == draws[1]


def test_tasks_take_turns():
    lessons = lessons_of(stages=TWO_TASKS)
    assert [frames(lessons.at(step, 0)) for step in range(4)] == [[1], [2], [1], [2]]
    assert lessons.drawn == {"0.0": 2, "0.1": 2}


def test_stages_follow_each_other():
    lessons = lessons_of(stages=TWO_STAGES)
    assert [frames(lessons.at(step, stage)) for step, stage in ((0, 0), (1, 0), (2, 1))] == [[1], [1], [3]]


def test_two_processes_share_the_lanes_of_one_that_accumulates():
    one = lessons_of(accumulate=4)
    two = [lessons_of(Place(rank, 2), accumulate=2) for rank in range(2)]
    assert one.lanes == two[0].lanes == two[1].lanes == 4
    for step in range(2):
        whole = one.at(step, 0)
        parts = [lessons.at(step, 0) for lessons in two]
        for lane, lesson in enumerate(whole):
            assert same(lesson, parts[lane % 2][lane // 2])


def test_a_run_that_goes_on_has_the_lessons_it_would_have_had():
    straight = lessons_of(stages=TWO_TASKS)
    found = [straight.at(step, 0)[0] for step in range(6)]
    resumed = lessons_of(stages=TWO_TASKS)
    resumed.drawn = {"0.0": 2, "0.1": 1}
    assert all(same(found[step], resumed.at(step, 0)[0]) for step in range(3, 6))


def test_synthetic_lessons_need_no_cases():
    recipe = recipe_of(data={"source": "synthetic"}, augmentation=None)
    (lesson,) = Lessons(recipe, None, Place()).at(0, 0)
    assert lesson.batch.truth.shape == (2, 2, 32, 32)


def test_cases_that_are_too_small_for_a_task_are_named():
    data = data_of(3)
    tiny, large = Extent(1, (200, 200)), Extent(900, (200, 200))
    some = replace(data, extents={"case0": tiny, "case1": large, "case2": tiny})
    assert Lessons(recipe_of(stages=TWO_STAGES), some, Place()).left_out == ["case0", "case2"]
    none = replace(data, extents=dict.fromkeys(("case0", "case1", "case2"), tiny))
    with pytest.raises(ShapeError, match=r"no structure of the 3 cases \(case0, \.\.\.\) fills"):
        Lessons(recipe_of(), none, Place())
