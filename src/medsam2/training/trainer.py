"""The training loop: setup, steps, saves. One process, or several that average their gradients."""

import csv
import math
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Generator, Tensor

from medsam2.errors import CheckpointError
from medsam2.network import NetworkConfig, Sam2Network
from medsam2.training.clip_loss import ClipOutcome, clip_loss
from medsam2.training.settings import Task, TrainingSettings
from medsam2.training.state import load_state, save_state
from medsam2.training.synthetic_clips import SyntheticClips

LOG = "log.csv"
LOG_SECONDS = 20.0
STATE = "state"
BETAS = (0.9, 0.999)
"""AdamW's (MedSAM-2 v2, section 4)."""


class Trainer:
    """Trains a network from where its folder left off.

    Args:
        config: of the network.
        settings: of the run.
        folder: holds the state, the log and the settings.
        device: cpu or cuda.
        rank: number of this process.
        processes: how many there are; they are expected to have joined a `torch.distributed` group.
        should_stop: asked after each step of the first process; when it says so, the state is saved and all end.
    """

    def __init__(
        self,
        config: NetworkConfig,
        settings: TrainingSettings,
        folder: Path,
        device: torch.device,
        rank: int = 0,
        processes: int = 1,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> None:
        self.settings, self.folder, self.device = settings, folder, device
        self.should_stop = should_stop
        self.rank, self.processes = rank, processes
        torch.manual_seed(settings.seed)
        self.network = initialised(Sam2Network(config)).to(device).train()
        self.average = {name: tensor.clone() for name, tensor in self.network.state_dict().items()}
        self.optimizer = torch.optim.AdamW(
            parameter_groups(self.network, settings.weight_decay), lr=settings.learning_rate, betas=BETAS
        )
        self.steps, self.seconds = 0, 0.0
        self._resume()
        # The data of a resumed run must not repeat: the number of steps made so far goes into the seed.
        self.generator = Generator().manual_seed(settings.seed + 1000 * rank + 7919 * self.steps)
        self.log: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])

    @property
    def progress(self) -> float:
        """Share of the run that is done."""
        return min(self.seconds / (60 * self.settings.minutes), 1.0)

    def train(self) -> None:
        """Go on until the time is up."""
        stage_index = -1
        sources: list[tuple[Task, SyntheticClips]] = []
        saved = logged = time.monotonic()
        stopped = False
        while self.progress < 1 and not stopped:
            began = time.monotonic()
            if (now := self.settings.stage_at(self.progress)) != stage_index:
                stage_index, stage = now, self.settings.stages[now]
                sources = [(task, SyntheticClips(task.batch, self.generator, self.device)) for task in stage.tasks]
            self._step(*sources[self.steps % len(sources)])
            self.seconds, stopped = self._agree(self.seconds + time.monotonic() - began, self.should_stop())
            if self.rank == 0 and time.monotonic() - logged > LOG_SECONDS:
                self._write_log(stage_index)
                logged = time.monotonic()
            if self.rank == 0 and time.monotonic() - saved > 60 * self.settings.save_minutes:
                self.save()
                saved = time.monotonic()
        if self.rank == 0:
            self._write_log(stage_index)
            self.save()

    def _step(self, task: Task, clips: SyntheticClips) -> None:
        for group in self.optimizer.param_groups:
            group["lr"] = self._learning_rate()
        with torch.autocast(self.device.type, torch.bfloat16):
            outcome = clip_loss(self.network, clips.next_batch(), task.clip, self.generator)
        self.optimizer.zero_grad(set_to_none=False)
        if outcome.total.requires_grad:  # single images whose masks were all drawn leave nothing to judge
            outcome.total.backward()
        self._share_gradients()
        norm = torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.settings.clip_norm)
        if torch.isfinite(norm):
            self.optimizer.step()
        self.steps += 1
        self._update_average()
        self._note(outcome, float(norm))

    def _learning_rate(self) -> float:
        settings = self.settings
        rise = min((self.steps + 1) / settings.warm_up_steps, 1.0)
        fall = settings.last_rate + (1 - settings.last_rate) * (1 + math.cos(math.pi * self.progress)) / 2
        return settings.learning_rate * rise * fall

    def _share_gradients(self) -> None:
        """Mean of the gradients over the processes; a parameter that no process has used yet stays without one."""
        if self.processes == 1:
            return
        parameters = list(self.network.parameters())
        # One process may have drawn masks in its batch and another none: all must send the same tensors.
        used = torch.tensor([one.grad is not None for one in parameters], dtype=torch.int32, device=self.device)
        dist.all_reduce(used, dist.ReduceOp.MAX)
        shared = [one for one, is_used in zip(parameters, used.tolist(), strict=True) if is_used]
        for one in shared:
            one.grad = torch.zeros_like(one) if one.grad is None else one.grad
        gradients = [one.grad for one in shared if one.grad is not None]
        flat = torch.cat([one.flatten() for one in gradients])
        dist.all_reduce(flat)
        flat /= self.processes
        for gradient, part in zip(gradients, flat.split([one.numel() for one in gradients]), strict=True):
            gradient.copy_(part.view_as(gradient))

    def _agree(self, seconds: float, stopped: bool) -> tuple[float, bool]:
        """The first process's word counts, so that all change stages and stop together."""
        if self.processes == 1:
            return seconds, stopped
        shared = torch.tensor([seconds, stopped], dtype=torch.float64)
        dist.broadcast(shared, 0)
        return float(shared[0]), bool(shared[1])

    @torch.no_grad()
    def _update_average(self) -> None:
        decay = min(self.settings.average, (1 + self.steps) / (10 + self.steps))
        for name, tensor in self.network.state_dict().items():
            self.average[name].lerp_(tensor, 1 - decay)

    def _note(self, outcome: ClipOutcome, norm: float) -> None:
        for name, (total, count) in outcome.scores.items():
            self.log[name][0] += total
            self.log[name][1] += count
        for name, value in (("loss", float(outcome.total.detach())), ("gradient norm", norm)):
            self.log[name][0] += value
            self.log[name][1] += 1

    def _write_log(self, stage: int) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / LOG
        row = {"steps": self.steps, "seconds": round(self.seconds, 1), "stage": stage}
        names = ["loss", "dice box", "dice click", "dice corrected", "dice tracked", "regret", "iou error"]
        names += ["seen if absent", "seen if present", "gradient norm"]
        scores = {name: round(total / count, 4) if count else "" for name in names for total, count in [self.log[name]]}
        new = not path.exists()
        with path.open("a", newline="") as file:
            writer = csv.DictWriter(file, [*row, *scores])
            if new:
                writer.writeheader()
            writer.writerow({**row, **scores})
        self.log.clear()

    def save(self) -> None:
        """Write the state: weights, their average, the optimiser's moments, the clock."""
        tensors = {f"network.{name}": tensor for name, tensor in self.network.state_dict().items()}
        tensors |= {f"average.{name}": tensor for name, tensor in self.average.items()}
        for name, parameter in self.network.named_parameters():
            for key, value in self.optimizer.state.get(parameter, {}).items():
                tensors[f"optimizer.{name}.{key}"] = torch.as_tensor(value)
        facts: dict[str, Any] = {"steps": self.steps, "seconds": self.seconds, "settings": asdict(self.settings)}
        facts["network"] = self.network.config.to_dict()
        save_state(self.folder / STATE, tensors, facts)

    def _resume(self) -> None:
        found = load_state(self.folder / STATE)
        if found is None:
            return
        tensors, facts = found
        if NetworkConfig.from_dict(facts["network"]) != self.network.config:
            raise CheckpointError(f"{self.folder}: the state there is of another network; choose another folder")
        self.network.load_state_dict(part_of(tensors, "network."))
        self.average = {name: tensor.to(self.device) for name, tensor in part_of(tensors, "average.").items()}
        moments = part_of(tensors, "optimizer.")
        for name, parameter in self.network.named_parameters():
            state = {
                key: moments[f"{name}.{key}"] for key in ("step", "exp_avg", "exp_avg_sq") if f"{name}.{key}" in moments
            }
            if state:
                self.optimizer.state[parameter] = {
                    key: value if key == "step" else value.to(self.device) for key, value in state.items()
                }
                # What has learnt before moves on with its momentum, even in a batch that does not use it.
                parameter.grad = torch.zeros_like(parameter)
        self.steps, self.seconds = facts["steps"], facts["seconds"]


def part_of(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors whose names begin with a prefix, without it."""
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def parameter_groups(network: Sam2Network, weight_decay: float) -> list[dict[str, Any]]:
    """Weight decay on matrices and filters only, not on biases, gains, tokens and embeddings."""
    decayed: list[Tensor] = []
    free: list[Tensor] = []
    for name, parameter in network.named_parameters():
        is_weight = parameter.ndim > 1 and name.endswith("weight") and "token" not in name
        (decayed if is_weight else free).append(parameter)
    return [{"params": decayed, "weight_decay": weight_decay}, {"params": free, "weight_decay": 0.0}]


@torch.no_grad()
def initialised(network: Sam2Network) -> Sam2Network:
    """First values for training from nothing.

    Small normal embeddings where the published files start from zero, and a residual gain that lets the memory encoder
    learn at once.
    """
    for name, parameter in network.named_parameters():
        if name.endswith("gain"):
            parameter.fill_(0.1)
        elif not name.endswith("bias") and not parameter.any():
            parameter.normal_(std=0.02)
    return network
