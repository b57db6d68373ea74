"""Splits by patient: what a model is trained on, what it is chosen by, and what it is judged on."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from medsam2.datasets.cases import CaseSource
from medsam2.errors import ConfigurationError, FormatError


def split_by_patient(
    cases: Iterable[CaseSource], shares: Mapping[str, float], seed: int
) -> dict[str, tuple[CaseSource, ...]]:
    """Deal cases out to splits; all cases of a patient go to one.

    Patients are put in the order of the SHA-256 of seed and name: the order of files on disk does not matter, nor does
    the version of any generator of random numbers.

    Args:
        cases: of any number of patients.
        shares: of the patients, by split; they sum to 1.
        seed: another one gives another order.

    Returns:
        The cases by split, each with its split noted, in their order.

    Raises:
        ConfigurationError: the shares are negative or do not sum to 1, or a split would get no patient.
    """
    if abs(sum(shares.values()) - 1) > 1e-9 or min(shares.values(), default=0) < 0:
        raise ConfigurationError(f"the shares are {dict(shares)}; expected none below 0, and a sum of 1")
    known = list(cases)
    patients = sorted({case.whose for case in known}, key=lambda name: names_sha256([f"{seed} {name}"]))
    dealt: dict[str, set[str]] = {}
    begin, reach = 0, 0.0
    for split, share in shares.items():
        reach += share
        end = round(reach * len(patients))
        dealt[split] = set(patients[begin:end])
        begin = end
    if empty := [split for split, share in shares.items() if share and not dealt[split]]:
        raise ConfigurationError(f"split '{empty[0]}' gets none of {len(patients)} patients; give it a larger share")
    return {
        split: tuple(replace(case, split=split) for case in known if case.whose in chosen)
        for split, chosen in dealt.items()
    }


def patients_in_two_splits(cases: Iterable[CaseSource]) -> list[str]:
    """The problem of each patient whose cases are in more than one split."""
    splits: dict[str, set[str]] = defaultdict(set)
    for case in cases:
        if case.split is not None:
            splits[case.whose].add(case.split)
    return [
        f"patient '{patient}' is in the splits {' and '.join(sorted(found))}; expected one split a patient"
        for patient, found in sorted(splits.items())
        if len(found) > 1
    ]


def split_facts(cases: Sequence[CaseSource]) -> dict[str, dict[str, Any]]:
    """Of each split the number of its cases and patients, and the SHA-256 of its sorted case names.

    Cases that belong to no split are counted as "unsplit".
    """
    by_split: dict[str, list[CaseSource]] = defaultdict(list)
    for case in cases:
        by_split[case.split or "unsplit"].append(case)
    return {
        split: {
            "cases": len(members),
            "patients": len({case.whose for case in members}),
            "sha256": names_sha256(case.name for case in members),
        }
        for split, members in sorted(by_split.items())
    }


def names_sha256(names: Iterable[str]) -> str:
    """SHA-256 of names, sorted, one a line in UTF-8: the same set of cases gives the same hash everywhere.

    Names that are no Unicode, as file names may be, are taken with a backslash.
    """
    return hashlib.sha256("\n".join(sorted(names)).encode(errors="backslashreplace")).hexdigest()


def cases_of_split(cases: Sequence[CaseSource], split: str) -> tuple[CaseSource, ...]:
    """The cases of one split.

    Raises:
        ConfigurationError: there is none.
    """
    chosen = tuple(case for case in cases if case.split == split)
    if not chosen:
        known = sorted({case.split for case in cases if case.split is not None})
        there = f"its splits are {', '.join(known)}" if known else "its cases belong to no split"
        raise ConfigurationError(f"the set has no split '{split}'; {there}")
    return chosen


def write_splits(splits: Mapping[str, Iterable[CaseSource]], path: Path) -> None:
    """Write which patients are in which split, as `read_splits` reads it.

    Raises:
        OSError: the file cannot be written.
    """
    told = {split: sorted({case.whose for case in cases}) for split, cases in splits.items()}
    path.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")


def read_splits(cases: Sequence[CaseSource], path: Path) -> tuple[CaseSource, ...]:
    """Cases with the splits of a file, `{"training": ["patient", ...], "test": [...]}`, instead of their own.

    Raises:
        FormatError: the file cannot be read as that; it names a patient twice or one that is not there, or leaves one
            out.
    """
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        pairs = [(str(patient), str(split)) for split, patients in told.items() for patient in patients]
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise FormatError(f'{path}: expected patients by split, as in {{"test": ["p1"]}} ({error!r})') from error
    split_of = dict(pairs)
    named, known = [patient for patient, _ in pairs], {case.whose for case in cases}
    faults = [f"names '{patient}' twice" for patient in sorted(split_of) if named.count(patient) > 1]
    faults += [f"names '{patient}', who is not in the set" for patient in sorted(split_of.keys() - known)]
    faults += [f"leaves out '{patient}'" for patient in sorted(known - split_of.keys())]
    if faults:
        raise FormatError(f"{path}: expected every patient of the set once, but it {'; it '.join(faults)}")
    return tuple(replace(case, split=split_of[case.whose]) for case in cases)
