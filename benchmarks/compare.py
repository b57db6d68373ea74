"""`python -m benchmarks.compare`: the same work by every implementation that is installed, side by side in one run."""

import os
import platform
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, get_args
from unittest.mock import patch

import torch
import typer
from torch import Tensor

from benchmarks.cases import Case, Grid
from benchmarks.flags import Model, Output, Precisions, Sizes, Without
from benchmarks.implementations import OURS, Implementation, implementations
from benchmarks.measures import Run, gigaflops, matmul_peak, measure
from benchmarks.table import Row, markdown, write
from medsam2.network import NetworkConfig
from medsam2.network.config import Precision

Masks = dict[str, Tensor]

WARM_UP_SLICES = 2


def compare(config: NetworkConfig, grid: Grid, without: tuple[str, ...] = ()) -> Iterator[Row]:
    """Measure, row by row.

    Args:
        config: the network.
        grid: the cases.
        without: implementations to leave out, of the others.
    """
    precisions = sorted(grid.precisions, reverse=True)  # float32 first: the others are compared with it
    for size in grid.sizes:
        runners = [one for one in implementations(config, size) if one.name not in without]
        for objects in grid.objects:
            work: float | None = None
            precise: Masks = {}
            for precision in precisions:
                case = Case(config, size, grid.slices, objects, precision)
                frames = case.frames()
                work = work or gigaflops(partial(runners[0].segment, case, frames))
                masks, runs = _measure_all(runners, case, frames, grid.rounds)
                precise = masks if precision == "float32" else precise
                for name, run in runs.items():
                    yield _row(case, name, run, runs[OURS], _agreement(case, name, masks, precise), work)


def _measure_all(
    runners: list[Implementation], case: Case, frames: Tensor, rounds: int
) -> tuple[Masks, dict[str, Run]]:
    """Masks and the fastest run of each, in turns: a shared machine is slower at some times than at others."""
    masks: Masks = {}
    runs: dict[str, list[Run]] = {runner.name: [] for runner in runners}
    for runner in runners:
        _warm_up(runner, case, frames)
    for _ in range(rounds):
        for runner in runners:
            with _memories_in(case):
                logits, run = measure(partial(runner.segment, case, frames))
            masks[runner.name] = logits > 0
            runs[runner.name].append(run)
    return masks, {name: min(each, key=lambda run: run.seconds) for name, each in runs.items()}


def _warm_up(runner: Implementation, case: Case, frames: Tensor) -> None:
    """What is done once a process, such as choosing kernels or compiling, is nobody's work here."""
    few = min(case.slices, WARM_UP_SLICES)
    runner.segment(replace(case, slices=few), frames[:few])


def _memories_in(case: Case) -> AbstractContextManager[Any]:
    """In float32 memories too are kept so, by everybody.

    All implementations round memories to bfloat16 and name it when they do. That turns a difference in the last bit of
    a float32 into one of 1/256, in either direction, and no two implementations would have the same masks.
    """
    return patch.object(torch, "bfloat16", torch.float32) if case.precision == "float32" else nullcontext()


def _agreement(case: Case, name: str, masks: Masks, precise: Masks) -> dict[str, Any]:
    if case.precision == "float32":
        return {"differing_pixels": int((masks[name] != masks[OURS]).sum()), "dice": None}
    return {"differing_pixels": None, "dice": mean_dice(masks[name], precise[name]) if precise else None}


def mean_dice(found: Tensor, truth: Tensor) -> float:
    """Mean Dice of masks (T, B, h, w), over the slices and objects of which either has anything."""
    both = (found & truth).sum((2, 3))
    sizes = found.sum((2, 3)) + truth.sum((2, 3))
    return float((2 * both[sizes > 0] / sizes[sizes > 0]).mean())


def _row(case: Case, name: str, run: Run, ours: Run, agreement: dict[str, Any], work: float) -> Row:
    return Row(
        size=case.size,
        objects=case.objects,
        slices=case.slices,
        precision=case.precision,
        implementation=name,
        seconds=run.seconds,
        ratio=run.seconds / ours.seconds,
        peak_mb=run.peak_mb,
        gflop=work,
        share_of_peak=work / run.seconds / matmul_peak(getattr(torch, case.precision)),
        **agreement,
    )


def machine() -> dict[str, Any]:
    """What the numbers depend on; not what the machine is called."""
    return {
        "processor": _processor(),
        "threads": torch.get_num_threads(),
        "system": f"{platform.system()}, Python {platform.python_version()}",
        "torch": torch.__version__,
        "transformers": version("transformers"),
        "matmul float32, GFLOP/s": round(matmul_peak(torch.float32)),
        "matmul bfloat16, GFLOP/s": round(matmul_peak(torch.bfloat16)),
    }


def _processor() -> str:
    capability = torch.backends.cpu.get_cpu_capability()
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return f"{platform.machine()}, {capability}"
    name = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    return f"{name or platform.machine()}, {capability}, {os.cpu_count()} cores"


def main(
    model: Model = "sam2.1-hiera-tiny",
    size: Sizes = None,
    objects: Annotated[list[int] | None, typer.Option(min=1, help="How many objects; may be repeated.")] = None,
    slices: Annotated[int, typer.Option(min=1, help="How many slices.")] = 32,
    precision: Precisions = None,
    rounds: Annotated[int, typer.Option(min=1, help="How often each works, in turns; the fastest counts.")] = 3,
    without: Without = None,
    output: Output = Path("compare-output"),
) -> None:
    """Compare medsam2 with the other implementations of SAM 2 that are installed.

    Writes compare.md, .csv and .json.
    The whole grid takes hours; `--size 256 --objects 1 --slices 8` takes about a minute.
    OMP_NUM_THREADS sets the number of threads.
    """
    chosen: list[Precision] = [one for one in get_args(Precision) if not precision or one in precision]
    grid = Grid(tuple(size or (256, 512, 1024)), tuple(objects or (1, 8)), slices, tuple(chosen), rounds)
    rows: list[Row] = []
    for row in compare(NetworkConfig.preset(model), grid, tuple(without or ())):
        rows.append(row)
        typer.echo(markdown(rows).splitlines()[-1], err=True)
        write(rows, machine(), output)  # a run that is broken off keeps what it has
    typer.echo(markdown(rows))


if __name__ == "__main__":
    typer.run(main)
