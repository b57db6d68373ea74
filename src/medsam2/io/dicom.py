"""DICOM: a series as a folder, a zip or a file, with pydicom and highdicom.

The world of DICOM is LPS, as is medsam2's. Messages name files by their names and series by number and UID; nothing of
the patient is read, kept or told.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from medsam2.errors import FormatError, GeometryError, InputError
from medsam2.io.dicom_files import DicomFiles, find_files
from medsam2.io.dicom_frames import DicomFrame, read_frames
from medsam2.io.dicom_geometry import grid
from medsam2.io.dicom_pixels import read_pixels
from medsam2.io.dicom_series import DicomInstance, DicomSeries, SeriesSummary, choose_series, listed
from medsam2.io.dicom_stacks import Stack, divide, without_duplicates
from medsam2.io.selection import ChoiceNeededError
from medsam2.spatial import SourceFile, Volume

FORMAT_NAME = "dicom"


def read(path: Path, volume_index: int | None = None, series: str | None = None) -> Volume:
    """Read one volume.

    Args:
        path: A folder, a zip or a file. Of a file, its own frames only are read.
        volume_index: Which stack of the series, from 0, if it holds several: echoes, time points, ...
        series: Which series: its number, its UID, or the beginning of that. None takes the only volume.

    Raises:
        FormatError: A file is damaged, there is no scan, there are several and none was chosen, or the slices make no
            regular grid.
        GeometryError: The header's directions or spacings are none.
        InputError: There is no such series or stack.
        MissingDependencyError: The package that decompresses the pixels is not installed.
    """
    return read_files(find_files(path), path, volume_index, series)


def read_files(files: DicomFiles, path: Path, volume_index: int | None = None, series: str | None = None) -> Volume:
    """Read one volume of files that have been found.

    Args:
        files: The files.
        path: Where they come from.
        volume_index: As for `read`.
        series: As for `read`.

    Raises:
        FormatError: As for `read`.
        GeometryError: As for `read`.
        InputError: As for `read`.
        MissingDependencyError: As for `read`.
    """
    groups = _frames_by_series(files)
    summaries = [_summary(frames) for frames in groups.values()]
    chosen, notes = choose_series(summaries, series)
    frames, doubled = without_duplicates(groups[chosen.uid])
    _refuse_two_patients(frames)
    stack, others = _chosen_stack(divide(frames), volume_index)
    try:
        geometry, assumed = grid(stack.frames)
    except GeometryError as error:
        raise GeometryError(f"{stack.frames[0].name}: {error}") from error
    array, changed = read_pixels(stack.frames)
    notes += doubled + others + assumed + changed + _alone(path, stack)
    return Volume(array, geometry, SourceFile(path, FORMAT_NAME, _header(stack, files), tuple(notes)))


def list_series(path: Path) -> tuple[SeriesSummary, ...]:
    """List the series of a folder, a zip or a file, by number.

    Raises:
        FormatError: A file is damaged, or there is no scan.
    """
    return tuple(_summary(frames) for frames in _frames_by_series(find_files(path)).values())


def _frames_by_series(files: DicomFiles) -> dict[str, list[DicomFrame]]:
    """Read all headers: the frames of each series, by its number."""
    others: Counter[str] = Counter()
    groups: dict[str, list[DicomFrame]] = {}
    for path in files.paths:
        frames, kind = read_frames(path)
        if not frames:
            others[kind] += 1
        for frame in frames:
            groups.setdefault(frame.series_uid, []).append(frame)
    if not groups:
        found = ", ".join(f"{kind} ({count})" for kind, count in others.items())
        raise FormatError(f"there is no scan among the DICOM files, only: {found}. Expected the slices of a series.")
    return dict(sorted(groups.items(), key=lambda item: (item[1][0].series_number or 0, item[0])))


def _summary(frames: Sequence[DicomFrame]) -> SeriesSummary:
    stacks = divide(without_duplicates(frames)[0])
    return SeriesSummary(
        uid=frames[0].series_uid,
        number=frames[0].series_number,
        modality=frames[0].modality,
        stacks=tuple(stack.describe() for stack in stacks),
        slice_count=sum(len(stack.frames) for stack in stacks),
        is_localiser=all(stack.is_localiser for stack in stacks),
    )


def _refuse_two_patients(frames: Sequence[DicomFrame]) -> None:
    patients: dict[str, DicomFrame] = {}
    for frame in frames:
        patients.setdefault(frame.patient, frame)
    if len(patients) > 1:
        one, other = list(patients.values())[:2]
        raise FormatError(
            f"the series mixes {len(patients)} patients: {one.name} and {other.name} are of different ones. "
            "Expected one; separate them."
        )


def _chosen_stack(stacks: Sequence[Stack], volume_index: int | None) -> tuple[Stack, list[str]]:
    """Choose a stack: the one that was asked for, else the only one that is no overview picture."""
    choices = [f"{index}: {stack.describe()}" for index, stack in enumerate(stacks)]
    if volume_index is not None:
        if not 0 <= volume_index < len(stacks):
            raise InputError(f"volume index {volume_index} is not in the series; expected one of {listed(choices)}.")
        return stacks[volume_index], []
    scans = [stack for stack in stacks if not stack.is_localiser] or list(stacks)
    if len(scans) > 1:
        raise ChoiceNeededError(
            f"the series holds {len(scans)} volumes; expected one. Choose one (volume_index in Python): "
            f"{listed(choices)}."
        )
    left_out = [stack.describe() for stack in stacks if stack is not scans[0]]
    return scans[0], [f"Left out of the series: {listed(left_out)}."] if left_out else []


def _alone(path: Path, stack: Stack) -> list[str]:
    """Remind of the rest of the series if a single slice of it was given."""
    frame = stack.frames[0]
    if path.is_dir() or frame.path != path or frame.number is not None or frame.position is None:
        return []
    return ["One slice was read; give its folder to read the whole series."]


def _header(stack: Stack, files: DicomFiles) -> DicomSeries:
    first = stack.frames[0]
    return DicomSeries(
        study_uid=first.study_uid,
        series_uid=first.series_uid,
        frame_of_reference_uid=first.frame_of_reference_uid,
        modality=first.modality,
        files=tuple(dict.fromkeys(frame.path for frame in stack.frames)),
        instances=tuple(DicomInstance(frame.path, frame.number, frame.uid) for frame in stack.frames),
        unpacked=files,
    )
