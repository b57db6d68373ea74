"""Results as rows: in Markdown, CSV and JSON."""

import csv
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Row:
    """One implementation in one case.

    Attributes:
        size: S, pixels.
        objects: B.
        slices: T.
        precision: see `Case`.
        implementation: name.
        seconds: for all slices.
        ratio: seconds beside those of medsam2 in the same case; above 1 medsam2 is faster.
        differing_pixels: float32 only: pixels in which the masks differ from those of medsam2.
        dice: bfloat16 only: mean Dice with the same implementation's masks in float32, over what either found.
        peak_mb: memory above what was resident before, see `Run`.
        gflop: arithmetic of the case, as medsam2 does it.
        share_of_peak: the same in a second, beside the machine's best matrix product in this precision.
    """

    size: int
    objects: int
    slices: int
    precision: str
    implementation: str
    seconds: float
    ratio: float
    differing_pixels: int | None
    dice: float | None
    peak_mb: float | None
    gflop: float
    share_of_peak: float


COLUMNS = tuple(Row.__dataclass_fields__)

_FORMATS = {
    "seconds": "{:.2f}",
    "ratio": "{:.2f}",
    "dice": "{:.4f}",
    "peak_mb": "{:.0f}",
    "gflop": "{:.0f}",
    "share_of_peak": "{:.0%}",
}


def markdown(rows: list[Row]) -> str:
    """The rows as a Markdown table; what was not measured is left empty."""
    lines = ["| " + " | ".join(COLUMNS) + " |", "|" + "---|" * len(COLUMNS)]
    lines += ["| " + " | ".join(_cells(row)) + " |" for row in rows]
    return "\n".join(lines)


def write(rows: list[Row], machine: dict[str, Any], folder: Path) -> None:
    """Write compare.md, compare.csv and compare.json into a folder.

    Args:
        rows: to write.
        machine: what they were measured on.
        folder: made if need be.
    """
    folder.mkdir(parents=True, exist_ok=True)
    about = "\n".join(f"- {name}: {value}" for name, value in machine.items())
    (folder / "compare.md").write_text(f"{about}\n\n{markdown(rows)}\n", encoding="utf-8")
    plain = [asdict(row) for row in rows]
    (folder / "compare.json").write_text(json.dumps({"machine": machine, "rows": plain}, indent=2), encoding="utf-8")
    with (folder / "compare.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(plain)


def _cells(row: Row) -> list[str]:
    values = asdict(row)
    return ["" if values[name] is None else _FORMATS.get(name, "{}").format(values[name]) for name in COLUMNS]
