"""The table of CVPR 2025's "Interactive 3D Biomedical Image Segmentation": a row a case, the challenge's columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

from scipy.integrate import trapezoid

from medsam2.errors import FormatError
from medsam2.evaluation.corrective_clicks import CLICKS, COLUMN
from medsam2.evaluation.csv_tables import write_csv
from medsam2.evaluation.run_log import ScoredCase
from medsam2.evaluation.scores import is_known
from medsam2.evaluation.volume_judging import seconds_of_case

LEAST_DSC = 0.2
"""Where the mean Dice of a case's structures is no more than this, its NSD counts as 0."""

ANSWERS = range(1, CLICKS + 2)
"""The box's, and that after each click."""

HEADINGS = (
    "CaseName",
    "TotalRunningTime",
    "DSC_AUC",
    "NSD_AUC",
    "DSC_Final",
    "NSD_Final",
    *(f"{measure}_{number}" for measure in ("DSC", "NSD") for number in ANSWERS),
    "num_class",
)


@dataclass(frozen=True)
class ChallengeRow:
    """One case; what follows is over its structures.

    Attributes:
        case: its name.
        seconds: of all answers, for all structures.
        dsc: mean Dice of each answer.
        nsd: mean normalised surface Dice of each answer, at 2 mm.
        structures: how many.
    """

    case: str
    seconds: float
    dsc: tuple[float, ...]
    nsd: tuple[float, ...]
    structures: int

    @property
    def dsc_auc(self) -> float:
        """Area under the Dice of the answers after the clicks, 0 to 4; the box's is left out."""
        return float(trapezoid(self.dsc[-CLICKS:]))

    @property
    def nsd_auc(self) -> float:
        """The same of NSD."""
        return float(trapezoid(self.nsd[-CLICKS:]))

    def values(self) -> tuple[float, ...]:
        """By `HEADINGS`, but for the name and the number of structures."""
        return (self.seconds, self.dsc_auc, self.nsd_auc, self.dsc[-1], self.nsd[-1], *self.dsc, *self.nsd)


def challenge_rows(scored: Sequence[ScoredCase]) -> list[ChallengeRow]:
    """The cases that were scored by the protocol `clicks5-volume`."""
    return [row for case in scored if (row := _row(case)) is not None]


def _row(case: ScoredCase) -> ChallengeRow | None:
    values = [one.values for one in case.scores if is_known(one.values, COLUMN)]
    if not values:
        return None
    dsc = tuple(mean(one[f"{COLUMN}_dsc_{number}"] for one in values) for number in ANSWERS)
    nsd = tuple(mean(one[f"{COLUMN}_nsd_{number}"] for one in values) for number in ANSWERS)
    kept = tuple(surface if volume > LEAST_DSC else 0.0 for volume, surface in zip(dsc, nsd, strict=True))
    seconds = seconds_of_case([one[f"{COLUMN}_seconds"] for one in values])
    return ChallengeRow(case.name, seconds, dsc, kept, len(values))


def write_challenge_table(rows: Sequence[ChallengeRow], path: Path) -> None:
    """Write the table as CSV, whole or not at all.

    Raises:
        FormatError: it cannot be written.
    """
    try:
        write_csv(path, HEADINGS, map(_csv_row, rows))
    except OSError as error:
        raise FormatError(f"{path}: cannot be written ({error.strerror})") from error


def _csv_row(row: ChallengeRow) -> list[str | int]:
    return [row.case, *(f"{value:.5f}" for value in row.values()), row.structures]
