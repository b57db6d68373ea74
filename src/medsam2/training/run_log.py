"""The log of a run: means over a few steps, as rows of a table and, if wished, for TensorBoard."""

import csv
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from medsam2.errors import CheckpointError, MissingDependencyError
from medsam2.files import written_whole

PLACE = ("steps", "seconds", "stage", "learning rate")
MEANS = (
    "loss",
    "dice box",
    "dice click",
    "dice corrected",
    "dice tracked",
    "dice likeness",
    "regret",
    "iou error",
    "seen if absent",
    "seen if present",
    "gradient norm",
)
VALIDATION = "validation dice"
COLUMNS = (*PLACE, *MEANS, VALIDATION)

Sums = dict[str, list[float]]
"""By name the sum and the number of what was seen."""


def add_to(sums: Sums, more: Mapping[str, Iterable[float]]) -> None:
    """Add sums and numbers to others."""
    for name, (total, count) in more.items():
        before = sums.setdefault(name, [0.0, 0.0])
        before[0] += total
        before[1] += count


class RunLog:
    """Appends rows; a run that goes on drops what was written after its last saved state.

    Args:
        path: of the table.
        steps: of the saved state.
        boards: folder for TensorBoard; None: the table alone.

    Raises:
        CheckpointError: the table cannot be written.
        MissingDependencyError: TensorBoard is not installed.
    """

    def __init__(self, path: Path, steps: int, boards: Path | None = None) -> None:
        self.path = path
        self._board = None if boards is None else _summary_writer(boards, steps)
        kept = [row for row in self.rows() if int(row["steps"]) <= steps]
        self._rewrite(kept)

    def rows(self) -> list[dict[str, str]]:
        """What is in the table."""
        if not self.path.exists():
            return []
        with self.path.open(newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))

    def write(self, place: Mapping[str, Any], sums: Sums, validation: float | None = None) -> None:
        """Append a row.

        Args:
            place: of `PLACE`.
            sums: since the last row.
            validation: mean Dice of a trial on the validation split, if there was one.
        """
        means = {name: sums[name][0] / sums[name][1] for name in MEANS if name in sums and sums[name][1]}
        if validation is not None:
            means[VALIDATION] = validation
        try:
            with self.path.open("a", newline="", encoding="utf-8") as file:
                csv.DictWriter(file, COLUMNS, restval="").writerow({**place, **means})
        except OSError as error:
            raise CheckpointError(f"{self.path}: the log cannot be written ({error.strerror})") from error
        if self._board is not None:
            for name, mean in means.items():
                self._board.add_scalar(name.replace(" ", "/", 1), mean, place["steps"])
            self._board.flush()

    def _rewrite(self, rows: list[dict[str, str]]) -> None:
        try:
            with written_whole(self.path) as draft, draft.open("w", newline="", encoding="utf-8") as file:
                writer = csv.DictWriter(file, COLUMNS, restval="", extrasaction="ignore")
                writer.writeheader()
                writer.writerows(rows)
        except OSError as error:
            raise CheckpointError(f"{self.path}: the log cannot be written ({error.strerror})") from error


def _summary_writer(folder: Path, steps: int) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ModuleNotFoundError as error:
        raise MissingDependencyError(
            'logging for TensorBoard needs the package "tensorboard", which is not installed; install it with: '
            'pip install "medsam2[train]", or leave --tensorboard out: log.csv has the same numbers'
        ) from error
    return SummaryWriter(str(folder), purge_step=steps + 1)
