"""DICOM series: how one is chosen, and what is kept of it. Nothing of the patient is; pydicom is not needed here."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from medsam2.errors import InputError
from medsam2.io.selection import ChoiceNeededError

SHOWN_CHOICES = 20
"""A list in a message ends after this many."""

UID_FORM = re.compile(r"[0-9.]{1,64}")
VALUE_FORM = re.compile(r"[A-Z0-9_ .+e\\-]{1,120}")
"""What values that are told may look like. In a damaged file, anything may stand anywhere: even a name."""


class DicomInstance(NamedTuple):
    """Where one slice comes from.

    Attributes:
        path: Its file.
        frame: Its number in a multi-frame file, from 1 as DICOM counts; None in a file of one frame.
        uid: The SOP instance UID of the file.
    """

    path: Path
    frame: int | None
    uid: str


@dataclass(frozen=True)
class DicomSeries:
    """The series that a volume was read from: the `SourceFile.header` of the format "dicom".

    Attributes:
        study_uid: Study instance UID.
        series_uid: Series instance UID.
        frame_of_reference_uid: What the positions refer to; "" in a series without.
        modality: "CT", "MR", ...
        files: The files that were read, each once.
        instances: The source of slice k of the volume's array, for each k.
        unpacked: Keeps the files of a zip, which are unpacked in a folder that is removed when nothing holds this.
    """

    study_uid: str
    series_uid: str
    frame_of_reference_uid: str
    modality: str
    files: tuple[Path, ...]
    instances: tuple[DicomInstance, ...]
    unpacked: object = field(default=None, repr=False, compare=False)


@dataclass(frozen=True)
class SeriesSummary:
    """What can be chosen from.

    Attributes:
        uid: Series instance UID.
        number: What viewers show; None if not said.
        modality: "CT", "MR", ...
        stacks: Its volumes: how many slices of what size, and what tells them apart.
        slice_count: Slices of all of them.
        is_localiser: Whether all of them are overview pictures.
    """

    uid: str
    number: int | None
    modality: str
    stacks: tuple[str, ...]
    slice_count: int
    is_localiser: bool

    def describe(self, with_uid: bool = True) -> str:
        """Give the series in one line, with nothing of the patient; the UID only where one has to choose by it."""
        number = "without number" if self.number is None else str(self.number)
        uid = f" ({shown(self.uid, UID_FORM)})" if with_uid else ""
        return f"series {number}: {self.modality}, {'; '.join(self.stacks)}{uid}"


def choose_series(series: Sequence[SeriesSummary], wanted: str | None) -> tuple[SeriesSummary, list[str]]:
    """Choose the series to read: the one that was asked for, else the only one, else the only proper volume.

    Args:
        series: All of them, at least one.
        wanted: A series number, a UID, or the beginning of one; None if nothing was asked for.

    Returns:
        The series, and what is to be said of the others.

    Raises:
        ChoiceNeededError: There are several and none was asked for.
        InputError: None, or more than one, is as asked for.
    """
    if wanted is not None:
        return _wanted(series, wanted), []
    proper = _proper_volumes(series)
    if len(proper) > 1:
        raise ChoiceNeededError(
            f"there are {len(proper)} series to choose from; choose one by its number or UID (series in Python): "
            f"{listed([one.describe() for one in series])}.",
            "series",
        )
    others = [one.describe(with_uid=False) for one in series if one is not proper[0]]
    read = proper[0].describe(with_uid=False)
    told = f"Of {len(series)} series, the only volume was read: {read}. Left out: {listed(others)}."
    return proper[0], [told] if others else []


def shown(value: str, form: re.Pattern[str] = VALUE_FORM) -> str:
    """Give a value of a header as messages may tell it."""
    return value if form.fullmatch(value) else "unreadable"


def listed(words: Sequence[str]) -> str:
    """Join what can be chosen from, in a message."""
    more = [f"and {len(words) - SHOWN_CHOICES} more"] if len(words) > SHOWN_CHOICES else []
    return "; ".join([*words[:SHOWN_CHOICES], *more])


def _wanted(series: Sequence[SeriesSummary], wanted: str) -> SeriesSummary:
    numbered = [one for one in series if one.number is not None and str(one.number) == wanted.strip()]
    exact = [one for one in series if one.uid == wanted.strip()]
    found = exact or numbered or [one for one in series if one.uid.startswith(wanted.strip())]
    if len(found) == 1:
        return found[0]
    problem = "no series" if not found else f"{len(found)} series"
    raise InputError(
        f'{problem} with the number or UID "{wanted}"; expected one of: {listed([one.describe() for one in series])}.'
    )


def _proper_volumes(series: Sequence[SeriesSummary]) -> list[SeriesSummary]:
    """Leave out overview pictures, then single pictures, as long as something stays."""
    scans = [one for one in series if not one.is_localiser] or list(series)
    return [one for one in scans if one.slice_count > 1] or scans
