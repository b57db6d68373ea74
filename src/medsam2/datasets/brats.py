"""BraTS: brain tumours in four MR images that lie on one grid.

A folder a case. Since 2023 `CASE-t1n.nii.gz`, `-t1c`, `-t2w`, `-t2f` and `-seg`; before, `CASE_t1.nii.gz`, `_t1ce`,
`_t2`, `_flair` and `_seg`. Scored are the challenge's regions: whole tumour, tumour core and enhancing tumour, which
overlap. The enhancing tumour's label is 3 since 2023 and was 4 before; label 4 of the newer files is the resection
cavity, which is in no region here.

The four images of a patient are four cases of one patient, or one of them is chosen.
"""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path

from medsam2.datasets.cases import CaseSource
from medsam2.datasets.layout import (
    SEE_THE_TERMS,
    Layout,
    Tree,
    by_case,
    file_case,
    files_below,
    nothing_found,
    split_named,
)
from medsam2.datasets.structures import Structures

NEW_CHANNELS = ("t1n", "t1c", "t2w", "t2f")
OLD_CHANNELS = ("t1", "t1ce", "t2", "flair")

NAMES = {1: "whole tumour", 2: "tumour core", 3: "enhancing tumour"}
NEW_STRUCTURES = Structures(NAMES, {1: (1, 2, 3), 2: (1, 3), 3: (3,)}, known=(4,))
OLD_STRUCTURES = Structures(NAMES, {1: (1, 2, 4), 2: (1, 4), 3: (4,)})

LOOKS_LIKE = "CASE/CASE-{t1n,t1c,t2w,t2f,seg}.nii.gz, or CASE/CASE_{t1,t1ce,t2,flair,seg}.nii.gz"

_NEW = re.compile(rf"(.+)-({'|'.join(NEW_CHANNELS)}|seg)\.nii(?:\.gz)?", re.IGNORECASE)
_OLD = re.compile(rf"(.+)_({'|'.join(OLD_CHANNELS)}|seg)\.nii(?:\.gz)?", re.IGNORECASE)
_TIMEPOINT = re.compile(r"(BraTS-[A-Za-z]+-\d+)-\d+")
"""Names of cases since 2023: the same patient may have been scanned again."""

Files = dict[str, Path]
"""By channel, "seg" being one."""


def find(root: Path) -> Tree:
    """Cases of both kinds of names, however deep their folders lie.

    Raises:
        FormatError: there are none.
    """
    new, new_twice = _files_by_case(root, _NEW)
    old, old_twice = _files_by_case(root, _OLD)
    if not new and not old:
        raise nothing_found(root, LOOKS_LIKE)
    sources, problems = [], [*new_twice, *old_twice]
    for cases, channels, structures in ((new, NEW_CHANNELS, NEW_STRUCTURES), (old, OLD_CHANNELS, OLD_STRUCTURES)):
        for case, files in cases.items():
            faults = _faults(case, files, channels)
            problems += faults
            if not faults:
                sources += _channels(case, files, channels, structures, root)
    return Tree(tuple(sources), tuple(problems))


def _files_by_case(root: Path, pattern: re.Pattern[str]) -> tuple[dict[str, Files], list[str]]:
    """Files by case and channel, and the problem of each channel of a case that has two."""

    def shown(path: Path) -> str | None:
        match = pattern.fullmatch(path.name)
        return match and f"{match[1]} {match[2].lower()}"

    files, twice = by_case(files_below(root, ".nii", ".nii.gz"), shown)
    cases: dict[str, Files] = defaultdict(dict)
    for name, path in files.items():
        case, _, channel = name.rpartition(" ")
        cases[case][channel] = path
    return dict(sorted(cases.items())), twice


def _faults(case: str, files: Files, channels: tuple[str, ...]) -> list[str]:
    somewhere = next(iter(files.values())).parent
    missing = [channel for channel in channels if channel not in files]
    if len(missing) == len(channels):
        return [f"{files['seg']}: has no image; expected {', '.join(channels)}"]
    problems = [f"{somewhere}: case '{case}' has no image {channel}; expected all four" for channel in missing]
    if "seg" not in files:
        problems.append(f"{somewhere}: case '{case}' has no labels; expected a file that ends in seg.nii.gz")
    return problems


def _channels(
    case: str, files: Files, channels: tuple[str, ...], structures: Structures, root: Path
) -> list[CaseSource]:
    """The four images as cases of one patient."""
    scanned_again = _TIMEPOINT.fullmatch(case)
    patient = scanned_again[1] if scanned_again else case
    found = []
    for channel in channels:
        name = f"{case}-{channel}"
        load = file_case(name, files[channel], files["seg"], structures)
        found.append(CaseSource(name, load, patient, split_named(files[channel], root), channel))
    return found


BRATS = Layout(
    "brats",
    "BraTS, brain tumours",
    "https://www.synapse.org/brats",
    SEE_THE_TERMS,
    LOOKS_LIKE,
    find,
)
