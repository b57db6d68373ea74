"""Draw the learning curve of a run to docs/images/starter_learning.png: `make_learning_curve.py RUN/log.csv`.

The Dice of what was trained on, by kind of prompt: synthetic scenes, new ones all the time, with the weights of the
moment (not the average that is kept). Each point is the mean of the rows around it, as single rows scatter.
"""

import csv
import math
import sys
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

TARGET = Path(__file__).parent / "images" / "starter_learning.png"
SHOWN = {
    "dice box": "one slice, box",
    "dice click": "one slice, click",
    "dice corrected": "one slice, corrected by clicks",
    "dice tracked": "next slices and images, not prompted",
}
AROUND = 7
"""Rows before and after that a point is the mean of."""


def smoothed(values: list[float]) -> list[float]:
    """Means of what is known around each value; NaN where nothing is."""
    windows = [values[max(0, place - AROUND) : place + AROUND + 1] for place in range(len(values))]
    known = [[value for value in window if not math.isnan(value)] for window in windows]
    return [sum(window) / len(window) if window else math.nan for window in known]


def draw(rows: list[dict[str, str]]) -> Figure:
    """Dice beside minutes."""
    figure = Figure(figsize=(6.4, 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    minutes = [float(row["seconds"]) / 60 for row in rows]
    for column, name in SHOWN.items():
        axes.plot(minutes, smoothed([float(row[column] or "nan") for row in rows]), label=name)
    begins = next((minute for minute, row in zip(minutes, rows, strict=True) if row["stage"] != "0"), None)
    if begins is not None:
        axes.axvline(begins, color="grey", linestyle=":", label="clips begin")
    axes.set(xlabel="minutes", ylabel="Dice while training", ylim=(0, 1))
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8, loc="lower right")
    return figure


if __name__ == "__main__":
    with Path(sys.argv[1]).open(encoding="utf-8", newline="") as log:
        draw(list(csv.DictReader(log))).savefig(TARGET, dpi=110)
