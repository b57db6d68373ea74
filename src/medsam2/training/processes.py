"""The processes that train as one: this one alone, or several that Hugging Face Accelerate brings together."""

import os
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from medsam2.errors import MissingDependencyError

LONGEST_WAIT = timedelta(hours=6)
"""For another process, which may be reading cases or trying weights."""


class Processes(Protocol):
    """What a process must know of the others.

    Attributes:
        rank: number of this one, from 0.
        count: how many there are.
        device: where this one computes.
    """

    rank: int
    count: int
    device: torch.device

    def share_gradients(self, parameters: Sequence[nn.Parameter]) -> None:
        """Replace each gradient by its mean; one that no process has stays away."""

    def first_says(self, values: list[float]) -> list[float]:
        """The first process's values."""

    def everyone_s(self, one: Any) -> list[Any]:
        """What each process has, in order of rank."""


class Alone:
    """The only process."""

    rank, count = 0, 1

    def __init__(self, device: torch.device) -> None:
        self.device = device

    def share_gradients(self, parameters: Sequence[nn.Parameter]) -> None:
        """Its own gradients are the mean."""

    def first_says(self, values: list[float]) -> list[float]:
        """Its own values."""
        return values

    def everyone_s(self, one: Any) -> list[Any]:
        """What it has."""
        return [one]


class Together:
    """One of several processes, started by `accelerate launch` or `torchrun`.

    Args:
        on_cpu: compute on the CPU, whatever else there is.

    Raises:
        MissingDependencyError: Accelerate is not installed.
    """

    def __init__(self, on_cpu: bool) -> None:
        try:
            from accelerate import Accelerator, InitProcessGroupKwargs
        except ModuleNotFoundError as error:
            raise MissingDependencyError(
                'training in several processes needs the package "accelerate", which is not installed; install it '
                'with: pip install "medsam2[train]"'
            ) from error
        waits = InitProcessGroupKwargs(timeout=LONGEST_WAIT)
        self._accelerator = Accelerator(cpu=on_cpu, kwargs_handlers=[waits])
        self.rank: int = self._accelerator.process_index
        self.count: int = self._accelerator.num_processes
        self.device: torch.device = self._accelerator.device

    def share_gradients(self, parameters: Sequence[nn.Parameter]) -> None:
        """Replace each gradient by its mean over the processes."""
        # One process may have drawn masks in its batch and another none: all must send the same tensors.
        used = torch.tensor([one.grad is not None for one in parameters], dtype=torch.int32, device=self.device)
        used = self._accelerator.reduce(used, "sum")
        shared = [one for one, is_used in zip(parameters, used.tolist(), strict=True) if is_used]
        gradients = [torch.zeros_like(one) if one.grad is None else one.grad for one in shared]
        if not shared:
            return
        mean: Tensor = self._accelerator.reduce(torch.cat([one.flatten() for one in gradients]), "mean")
        for one, part in zip(shared, mean.split([one.numel() for one in shared]), strict=True):
            one.grad = part.view_as(one).clone()

    def first_says(self, values: list[float]) -> list[float]:
        """The first process's values."""
        from accelerate.utils import broadcast

        said: list[float] = broadcast(torch.tensor(values, dtype=torch.float64, device=self.device)).tolist()
        return said

    def everyone_s(self, one: Any) -> list[Any]:
        """What each process has, in order of rank; anything that can be pickled."""
        from accelerate.utils import gather_object

        gathered: list[Any] = gather_object([one])
        return gathered


def join_processes(device: str) -> Processes:
    """The processes of this run: several where a launcher has started several, else this one.

    Args:
        device: "cpu", "cuda", ... ; of several processes each gets its own of the kind.

    Raises:
        MissingDependencyError: there are several, and Accelerate is not installed.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        return Together(on_cpu=device == "cpu")
    return Alone(torch.device(device))
