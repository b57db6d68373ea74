"""Where each batch of a run comes from: a batch depends on its number alone, so that a run can go on from anywhere."""

from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol

import torch

from medsam2.training.clip_loss import ClipBatch
from medsam2.training.draws import Lane
from medsam2.training.synthetic_clips import BatchShape, SyntheticClips

EPISODE = 500
"""Batches of synthetic clips after which its painter begins anew. What lies between the beginning of an episode and a
saved state is painted again when the run goes on."""


class ClipSource(Protocol):
    """Batches by number."""

    def batch(self, number: int) -> ClipBatch:
        """Batch `number`, from 0; asked for in rising order, it is made soonest."""


class SyntheticSource:
    """Batches of synthetic clips.

    A painter uses what it has painted for several clips, so that a batch follows from those before it: they are painted
    again, back to the beginning of the episode, if they were skipped.

    Args:
        shape: of each batch.
        lane: whose batches these are: each has its own painter.
        device: where clips are made.
        episode: batches after which the painter begins anew.
    """

    def __init__(self, shape: BatchShape, lane: Lane, device: torch.device, episode: int = EPISODE) -> None:
        self.shape, self.lane, self.device, self.episode = shape, lane, device, episode
        self._next = -1
        self._clips: SyntheticClips | None = None

    def batch(self, number: int) -> ClipBatch:
        """Batch `number`."""
        episode, place = divmod(number, self.episode)
        if self._clips is None or number != self._next or place == 0:
            generator = self.lane.generator("synthetic", self.lane.index, episode)
            self._clips = SyntheticClips(self.shape, generator, self.device)
            for _ in range(place):
                self._clips.next_batch()
        self._next = number + 1
        return self._clips.next_batch()


class AheadOfTime:
    """Makes the next batch in a thread while the network learns from this one.

    Args:
        source: makes the batches.
        device: where they are wanted.
        thread: one for all sources that share cases.
    """

    def __init__(self, source: ClipSource, device: torch.device, thread: ThreadPoolExecutor) -> None:
        self.source, self.device, self._thread = source, device, thread
        self._waiting: dict[int, Future[ClipBatch]] = {}

    def batch(self, number: int) -> ClipBatch:
        """Batch `number`, on the device."""
        made = self._waiting.pop(number, None) or self._thread.submit(self.source.batch, number)
        self._waiting = {number + 1: self._thread.submit(self.source.batch, number + 1)}
        return _on_device(made.result(), self.device)


def _on_device(batch: ClipBatch, device: torch.device) -> ClipBatch:
    moved = {name: one.to(device) for name, one in vars(batch).items() if isinstance(one, torch.Tensor)}
    return ClipBatch(**{**vars(batch), **moved})
