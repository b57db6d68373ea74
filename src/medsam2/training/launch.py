"""Starting a run: in this process, or in several that work together."""

import os
import signal
import tempfile
from pathlib import Path

import torch
import torch.distributed as dist
from torch.multiprocessing.spawn import spawn

from medsam2.network import NetworkConfig
from medsam2.training.settings import TrainingSettings
from medsam2.training.trainer import Trainer


def launch(config: NetworkConfig, settings: TrainingSettings, folder: Path, device: str, processes: int = 1) -> None:
    """Train, or go on training, in `folder`. A run that is asked to end (SIGTERM) saves its state first.

    Args:
        config: of the network.
        settings: of the run.
        folder: state, log and settings.
        device: "cpu" or "cuda".
        processes: on a CPU, one a core is faster than threads.
    """
    if processes == 1:
        asked = _AskedToEnd(signal.SIGTERM)
        Trainer(config, settings, folder, torch.device(device), should_stop=asked).train()
        return
    with tempfile.TemporaryDirectory() as meeting_place:
        arguments = (config, settings, folder, device, processes, Path(meeting_place) / "processes")
        spawn(_work, arguments, nprocs=processes)


class _AskedToEnd:
    """Whether a signal has asked the process to end; then the trainer saves first."""

    def __init__(self, number: signal.Signals) -> None:
        self._asked = False
        signal.signal(number, self._ask)

    def _ask(self, *_: object) -> None:
        self._asked = True

    def __call__(self) -> bool:
        return self._asked


def _work(
    rank: int,
    config: NetworkConfig,
    settings: TrainingSettings,
    folder: Path,
    device: str,
    processes: int,
    meeting_file: Path,
) -> None:
    # When their parent ends, PyTorch has Linux interrupt the processes that it spawned; elsewhere they must look.
    interrupted, parent = _AskedToEnd(signal.SIGINT), os.getppid()
    torch.set_num_threads(1)
    dist.init_process_group("gloo", f"file://{meeting_file}", rank=rank, world_size=processes)
    try:
        trainer = Trainer(
            config,
            settings,
            folder,
            torch.device(device),
            rank,
            processes,
            should_stop=lambda: interrupted() or os.getppid() != parent,
        )
        trainer.train()
    finally:
        dist.destroy_process_group()
