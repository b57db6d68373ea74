"""Starting a run: in this process, or in several that work together."""

import tempfile
from pathlib import Path

import torch
import torch.distributed as dist
from torch.multiprocessing.spawn import spawn

from medsam2.network import NetworkConfig
from medsam2.training.settings import TrainingSettings
from medsam2.training.trainer import Trainer


def launch(config: NetworkConfig, settings: TrainingSettings, folder: Path, device: str, processes: int = 1) -> None:
    """Train, or go on training, in `folder`.

    Args:
        config: of the network.
        settings: of the run.
        folder: state, log and settings.
        device: "cpu" or "cuda".
        processes: on a CPU, one a core is faster than threads.
    """
    if processes == 1:
        Trainer(config, settings, folder, torch.device(device)).train()
        return
    with tempfile.TemporaryDirectory() as meeting_place:
        arguments = (config, settings, folder, device, processes, Path(meeting_place) / "processes")
        spawn(_work, arguments, nprocs=processes)


def _work(
    rank: int,
    config: NetworkConfig,
    settings: TrainingSettings,
    folder: Path,
    device: str,
    processes: int,
    meeting_file: Path,
) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", f"file://{meeting_file}", rank=rank, world_size=processes)
    try:
        Trainer(config, settings, folder, torch.device(device), rank, processes).train()
    finally:
        dist.destroy_process_group()
