"""How long, how much memory, how much arithmetic, and how fast this machine multiplies matrices."""

import ctypes
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TypeVar

import torch
from torch.utils.flop_counter import FlopCounterMode, sdpa_flop_count

Result = TypeVar("Result")
Shape = tuple[int, ...]

MATRIX_SIDE = 2048
MATRIX_REPEATS = 8
PROCESS = Path("/proc/self")
RESET_PEAK = "5"
"""Written to `clear_refs`, makes Linux count the peak anew (proc(5))."""


@dataclass(frozen=True)
class Run:
    """What one run took.

    Attributes:
        seconds: wall clock.
        peak_mb: most resident memory during the run, above what there was before it; None where the system does not
            tell.
    """

    seconds: float
    peak_mb: float | None


def measure(work: Callable[[], Result]) -> tuple[Result, Run]:
    """Do some work once."""
    before = _resident_mb(reset=True)
    began = time.perf_counter()
    result = work()
    seconds = time.perf_counter() - began
    peak = _resident_mb(reset=False)
    return result, Run(seconds, None if before is None or peak is None else peak - before)


def gigaflops(work: Callable[[], object]) -> float:
    """Matrix products, convolutions and attention in some work: 10^9 operations, of which a multiplication is one."""
    # PyTorch's own table lacks the fused attention of the CPU.
    attention = {torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: _attention_flops}
    with FlopCounterMode(display=False, custom_mapping=attention) as counter:
        work()
    return counter.get_total_flops() / 1e9


def _attention_flops(query: Shape, key: Shape, value: Shape, *_: object, **__: object) -> int:
    return sdpa_flop_count(query, key, value)


@cache
def matmul_peak(dtype: torch.dtype) -> float:
    """The best rate of a large matrix product here, 10^9 operations a second."""
    left, right = torch.randn(2, MATRIX_SIDE, MATRIX_SIDE).to(dtype)
    best = min(measure(lambda: left @ right)[1].seconds for _ in range(MATRIX_REPEATS))
    return 2 * MATRIX_SIDE**3 / best / 1e9


def _resident_mb(*, reset: bool) -> float | None:
    """Peak resident memory; with `reset`, what is resident now, and the peak is counted from here."""
    if sys.platform != "linux":
        return None
    if reset:
        ctypes.CDLL(None).malloc_trim(0)  # what earlier runs freed would hide what this one takes
        (PROCESS / "clear_refs").write_text(RESET_PEAK)
    lines = (PROCESS / "status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))
