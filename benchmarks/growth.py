"""`python -m benchmarks.growth`: how time and memory of medsam2 grow with slices, objects and size, as a plot."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import typer
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from benchmarks.cases import Case
from benchmarks.flags import Model, Output
from benchmarks.implementations import OURS, implementations
from benchmarks.measures import measure
from medsam2.network import NetworkConfig

Varied = dict[str, tuple[int, ...]]

VARIED: Varied = {"slices": (4, 8, 16, 32), "objects": (1, 2, 4, 8), "size": (128, 256, 512, 1024)}
SLICES, OBJECTS, SIZE = 8, 1, 256
"""Of what does not vary."""

LEAST = 2
"""Slices of the run before the clock starts."""


@dataclass(frozen=True)
class Growth:
    """One case.

    Attributes:
        along: what varies: "slices", "objects" or "size" (pixels).
        value: of it.
        seconds: wall clock, all slices.
        peak_mb: memory above what was resident before, see `benchmarks.measures.Run`.
    """

    along: str
    value: int
    seconds: float
    peak_mb: float | None


def growth(config: NetworkConfig, base: Case, varied: Varied) -> Iterator[Growth]:
    """Measure medsam2 along one axis after the other.

    Args:
        config: the network.
        base: the case from which one number at a time is changed.
        varied: the numbers, by the name of the `Case`'s attribute.
    """
    for along, values in varied.items():
        for value in values:
            case = replace(base, **{along: value})  # type: ignore[arg-type]
            (ours,) = (one for one in implementations(config, case.size) if one.name == OURS)
            frames = case.frames()
            ours.segment(replace(case, slices=LEAST), frames[:LEAST])
            _, run = measure(partial(ours.segment, case, frames))
            yield Growth(along, value, run.seconds, run.peak_mb)


def plot(measured: list[Growth], base: Case) -> Figure:
    """Seconds above, memory below, one column for each of what varies."""
    axes_names = list(dict.fromkeys(one.along for one in measured))
    figure = Figure(figsize=(3.4 * len(axes_names), 5), layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.subplots(2, len(axes_names), squeeze=False)
    for column, along in enumerate(axes_names):
        points = [one for one in measured if one.along == along]
        values = [one.value for one in points]
        fixed = ", ".join(f"{name} {getattr(base, name)}" for name in VARIED if name != along)
        seconds, memory = grid[:, column]
        seconds.set_title(fixed, fontsize=9)
        seconds.plot(values, [one.seconds for one in points], marker="o")
        memory.plot(values, [one.peak_mb or 0.0 for one in points], marker="o", color="tab:orange")
        memory.set_xlabel("side of the input, pixels" if along == "size" else along)
        for axes in (seconds, memory):
            axes.set_xticks(values)
            axes.set_ylim(bottom=0)
            axes.grid(alpha=0.3)
    grid[0, 0].set_ylabel("seconds")
    grid[1, 0].set_ylabel("peak memory above idle, MB")
    return figure


def main(
    model: Model = "sam2.1-hiera-tiny",
    output: Output = Path("compare-output"),
) -> None:
    """Measure how time and memory grow with slices, objects and size: about two minutes on two cores.

    Writes growth.csv and growth.png.
    """
    config = NetworkConfig.preset(model)
    base = Case(config, SIZE, SLICES, OBJECTS, "float32")
    measured = []
    for one in growth(config, base, VARIED):
        measured.append(one)
        typer.echo(f"{one.along} {one.value}: {one.seconds:.2f} s, {one.peak_mb or 0:.0f} MB")
    output.mkdir(parents=True, exist_ok=True)
    with (output / "growth.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("along", "value", "seconds", "peak_mb"))
        writer.writerows((one.along, one.value, one.seconds, one.peak_mb) for one in measured)
    plot(measured, base).savefig(output / "growth.png", dpi=110)


if __name__ == "__main__":
    typer.run(main)
