"""What each of two processes does in a test of the trainer; found by name, as a new process must import it."""

from pathlib import Path

import torch
import torch.distributed as dist
from torch.multiprocessing.spawn import spawn

from medsam2.network import FramePrompt, NetworkConfig
from medsam2.training.losses import frame_loss
from medsam2.training.settings import Stage, Task, TrainingSettings
from medsam2.training.synthetic_clips import BatchShape
from medsam2.training.trainer import Trainer

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
TASK = Task(BatchShape(clips=1, frames=2, objects=1, size=32))
SETTINGS = TrainingSettings(minutes=1.0, stages=(Stage(1.0, (TASK,)),))


def loss_of(network, images, truth, drawn):
    """A loss without chance; only with drawn masks does it reach `mask_to_logits`."""
    features = network.condition(network.encode_image(images), None)
    prompt = FramePrompt.none(len(images))
    if drawn:
        prompt = FramePrompt(prompt.points, prompt.kinds, network.mask_to_logits(truth[:, None].float()))
    return frame_loss(network.decode(features, prompt), truth, torch.ones(len(images), dtype=torch.bool)).total()


def gradients_of(network):
    return {name: one.grad for name, one in network.named_parameters() if one.grad is not None}


def work(rank, folder, batches):
    torch.set_num_threads(1)
    dist.init_process_group("gloo", f"file://{folder}/meeting", rank=rank, world_size=2)
    trainer = Trainer(TINY, SETTINGS, folder / "run", torch.device("cpu"), rank, 2)
    loss_of(trainer.network, *batches[rank]).backward()
    trainer._share_gradients()
    torch.save(gradients_of(trainer.network), folder / f"gradients-{rank}.pt")
    agreed = trainer._agree(10.0 + rank, rank == 1)
    (folder / f"agreed-{rank}.txt").write_text(str(agreed))
    dist.destroy_process_group()


def run_two(folder: Path, batches):
    spawn(work, (folder, batches), nprocs=2)
