"""What an adapter gives: how a data set lies on disk, and the cases and faults that were found there."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from medsam2.datasets.cases import Case, CaseSource
from medsam2.datasets.structures import Structures, labelled_case
from medsam2.errors import FormatError
from medsam2.io import read_label_map, read_volume
from medsam2.io.kinds import SUFFIXES

TRAINING, VALIDATION, TEST = "training", "validation", "test"

SEE_THE_TERMS = "see the challenge's terms"
"""The licence of data whose terms are not known for certain here."""

OWN_TERMS = "that of the data"

SPLIT_WORDS = {"train": TRAINING, "val": VALIDATION, "test": TEST}
_SPLIT = re.compile(rf"(?<![a-z])({'|'.join(SPLIT_WORDS)})", re.IGNORECASE)
"""At the beginning of a word: not in "latest" or "interval"."""


@dataclass(frozen=True)
class Tree:
    """What was found of a data set, by names alone; nothing was read yet but lists and tables.

    Attributes:
        sources: its cases.
        problems: what is missing or does not fit, one sentence each, naming the file.
        facts: what its own description says of it, to state in reports, e.g. its licence.
    """

    sources: tuple[CaseSource, ...]
    problems: tuple[str, ...] = ()
    facts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Layout:
    """A public layout of labelled images on disk.

    Attributes:
        name: what `--on NAME:PATH` calls it.
        title: the data set's own name.
        origin: where it comes from.
        licence: its terms, as far as they are known for certain.
        looks_like: its files, in one line, for messages and the documentation.
        find: the cases of a folder (or file). It names every problem, and raises only where nothing like it is there.
    """

    name: str
    title: str
    origin: str
    licence: str
    looks_like: str
    find: Callable[[Path], Tree]


def nothing_found(path: Path, expected: str) -> FormatError:
    """The error of a place that does not look like the layout at all."""
    what = "holds no such files" if path.exists() else "does not exist"
    return FormatError(f"{path} {what}; expected {expected}")


def file_case(
    name: str, image: Path, labels: Path, structures: Structures, channel: int | None = None
) -> Callable[[], Case]:
    """What reads a case of two files.

    Args:
        name: of the case.
        image: scan or picture.
        labels: its label map.
        structures: what the labels mean.
        channel: of a 4-D image, from 0.
    """
    return partial(_read_case, name, image, labels, structures, channel)


def _read_case(name: str, image: Path, labels: Path, structures: Structures, channel: int | None) -> Case:
    return labelled_case(name, read_volume(image, channel), read_label_map(labels), structures)


def visible_files(folder: Path, pattern: str = "*") -> list[Path]:
    """Files of a folder in order of their names, hidden ones and what macOS leaves in archives (`._x`) left out."""
    return sorted(path for path in folder.glob(pattern) if path.is_file() and not path.name.startswith("."))


def files_below(root: Path, *suffixes: str) -> list[Path]:
    """Visible files in all folders below one, by their suffix, small letters or capitals."""
    return [path for path in visible_files(root, "**/*") if path.name.lower().endswith(suffixes)]


def stem(path: Path) -> str:
    """The file's name without its suffix, `.nii.gz` being one; all of the name where the suffix is unknown."""
    suffix = next((suffix for suffix in SUFFIXES if path.name.lower().endswith(suffix)), "")
    return path.name[: len(path.name) - len(suffix)]


def by_case(files: Iterable[Path], case_of: Callable[[Path], str | None]) -> tuple[dict[str, Path], list[str]]:
    """Files by the case that they belong to, and the problem of each case that has two.

    Args:
        files: any.
        case_of: the case of a file; None: the file is no matter here.
    """
    found: dict[str, Path] = {}
    problems = []
    for path in files:
        case = case_of(path)
        if case is None:
            continue
        if case in found:
            problems.append(f"{path} and {found[case]} are of one case, '{case}'; expected one file a case")
        found.setdefault(case, path)
    return found, problems


def unpaired(images: Mapping[str, Path], labels: Mapping[str, Path], expected: str) -> Iterator[str]:
    """The problem of each image without labels, and of each label map without an image.

    Args:
        images: by case.
        labels: by case.
        expected: how the two belong together, for the messages.
    """
    for case in sorted(images.keys() - labels.keys()):
        yield f"{images[case]}: has no labels; expected {expected}"
    for case in sorted(labels.keys() - images.keys()):
        yield f"{labels[case]}: has no image; expected {expected}"


def split_named(path: Path, root: Path) -> str | None:
    """The split that the folders between a file and the root of its data set are named for, the innermost first."""
    for part in reversed(path.relative_to(root).parent.parts):
        if match := _SPLIT.search(part):
            return SPLIT_WORDS[match[1].lower()]
    return None
