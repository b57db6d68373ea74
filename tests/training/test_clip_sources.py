"""Sources of batches by number: repeatable from anywhere, ahead of time or not."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
import torch

from medsam2.training import clip_sources as module
from medsam2.training.clip_loss import ClipBatch
from medsam2.training.clip_sources import AheadOfTime, SyntheticSource
from medsam2.training.draws import Lane
from medsam2.training.synthetic_clips import BatchShape, SyntheticClips

CPU = torch.device("cpu")
LANE = Lane(0, (0, 0))


class Painter:
    """Draws a number a batch, as the painter of clips does: each follows from those before it."""

    def __init__(self, shape, generator, device):
        self.generator = generator
        self.made = 0

    def next_batch(self):
        self.made += 1
        return float(torch.rand((), generator=self.generator))


@pytest.fixture
def painter(monkeypatch):
    monkeypatch.setattr(module, "SyntheticClips", Painter)


def test_a_run_that_goes_on_paints_what_it_would_have_painted(painter):
    straight = SyntheticSource(None, LANE, CPU, episode=5)
    batches = [straight.batch(number) for number in range(17)]
    assert len(set(batches)) == 17
    for begin in (0, 3, 5, 9, 12):
        resumed = SyntheticSource(None, LANE, CPU, episode=5)
        assert [resumed.batch(number) for number in range(begin, 17)] == batches[begin:]


def test_only_what_was_skipped_in_the_episode_is_painted_again(painter):
    source = SyntheticSource(None, LANE, CPU, episode=100)
    source.batch(207)
    assert source._clips.made == 8
    source.batch(208)
    assert source._clips.made == 9


def test_lanes_and_tasks_have_painters_of_their_own(painter):
    lanes = [LANE, replace(LANE, index=1), replace(LANE, task=(0, 1)), replace(LANE, seed=1)]
    assert len({SyntheticSource(None, lane, CPU).batch(0) for lane in lanes}) == 4


def test_the_painter_draws_from_its_generator_alone():
    shape = BatchShape(clips=1, frames=2, objects=1, size=32)
    generators = [torch.Generator().manual_seed(3) for _ in range(2)]
    first = SyntheticClips(shape, generators[0], CPU).next_batch()
    torch.manual_seed(99)
    second = SyntheticClips(shape, generators[1], CPU).next_batch()
    assert torch.equal(first.images, second.images)
    assert torch.equal(first.truth, second.truth)


class Counting:
    def __init__(self):
        self.asked = []

    def batch(self, number):
        self.asked.append(number)
        if number == 9:
            raise ValueError("no ninth")
        one = torch.full((1, 1, 1, 2, 2), float(number))
        return ClipBatch(one, one[0].bool(), torch.zeros(1, dtype=torch.int64), (0,), (True,))


def test_batches_come_ahead_of_time_and_in_any_order():
    source = Counting()
    with ThreadPoolExecutor(1) as thread:
        ahead = AheadOfTime(source, CPU, thread)
        found = [float(ahead.batch(number).images[0, 0, 0, 0, 0]) for number in (0, 1, 5, 6)]
    assert found == [0, 1, 5, 6]
    assert source.asked == [0, 1, 2, 5, 6, 7]


def test_what_goes_wrong_ahead_of_time_is_told_in_its_turn():
    with ThreadPoolExecutor(1) as thread:
        ahead = AheadOfTime(Counting(), CPU, thread)
        ahead.batch(8)
        with pytest.raises(ValueError, match="no ninth"):
            ahead.batch(9)
