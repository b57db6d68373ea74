"""All layouts, and opening a data set: found, narrowed, read once and checked, before anything runs on it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from medsam2.datasets.brats import BRATS
from medsam2.datasets.btcv import BTCV
from medsam2.datasets.cases import CaseSet, CaseSource
from medsam2.datasets.cvpr2025 import CVPR2025
from medsam2.datasets.ddti import DDTI
from medsam2.datasets.decathlon import DECATHLON
from medsam2.datasets.folder import FOLDER
from medsam2.datasets.isic import ISIC
from medsam2.datasets.layout import Layout
from medsam2.datasets.manifest import MANIFEST
from medsam2.datasets.nnunet import NNUNET
from medsam2.datasets.refuge2 import REFUGE2
from medsam2.datasets.splits import cases_of_split, patients_in_two_splits, read_splits, split_facts
from medsam2.datasets.tnscui import TNSCUI
from medsam2.errors import ConfigurationError, FormatError, InputError

LAYOUTS: Mapping[str, Layout] = {
    layout.name: layout
    for layout in (
        BTCV,
        REFUGE2,
        BRATS,
        TNSCUI,
        DDTI,
        ISIC,
        NNUNET,
        DECATHLON,
        CVPR2025,
        MANIFEST,
        FOLDER,
    )
}
"""By the name that `--on NAME:PATH` takes."""


Progress = Callable[[int, int], None]
"""Told (cases read, cases in all)."""


@dataclass(frozen=True)
class Choice:
    """Which cases of a data set are wanted.

    Attributes:
        split: of this split only.
        channel: only images of this channel, where a case has several.
        count: so many, spread over the rest.
        splits: a file of patients by split that takes the place of the data set's own splits.
    """

    split: str | None = None
    channel: str | None = None
    count: int | None = None
    splits: Path | None = None


def layout_at(place: str) -> tuple[Layout, Path]:
    """The layout and the path that `NAME:PATH`, `TABLE.csv` or `FOLDER` mean.

    Example:
        >>> layout, path = layout_at("btcv:data/btcv")
        >>> layout.name, path.name
        ('btcv', 'btcv')

    Raises:
        ConfigurationError: the name before the colon is no layout, nor is the whole a path.
    """
    name, colon, rest = place.partition(":")
    if colon and name in LAYOUTS:
        return LAYOUTS[name], Path(rest)
    path = Path(place)
    if colon and not path.exists():
        near = get_close_matches(name, LAYOUTS, 1)
        hint = f" Did you mean '{near[0]}'?" if near else ""
        raise ConfigurationError(f"'{name}' is no layout; expected one of {', '.join(LAYOUTS)}, or a path.{hint}")
    return (MANIFEST if path.suffix.lower() == ".csv" else FOLDER), path


def open_dataset(layout: Layout, path: Path, choice: Choice | None = None, progress: Progress | None = None) -> CaseSet:
    """Find the cases of a data set and check them.

    The whole tree is checked by names; the chosen cases are read, too, one at a time, so that nothing fails midway.

    Args:
        layout: how the data set lies on disk.
        path: where it lies.
        choice: which of its cases are wanted; all by default.
        progress: told how many cases were read.

    Returns:
        The cases, to be read again when they are wanted. Its facts state origin, licence, and the hash of each split.

    Raises:
        FormatError: something is missing, does not fit or cannot be read; every such problem is named.
        ConfigurationError: the choice leaves nothing, or is unknown here.
    """
    wanted = choice or Choice()
    tree = layout.find(path)
    cases = read_splits(tree.sources, wanted.splits) if wanted.splits else tree.sources
    problems = [*tree.problems, *_named_twice(cases), *patients_in_two_splits(cases)]
    chosen = _narrowed(cases, wanted) if cases else cases
    facts = {
        "layout": layout.name,
        "title": layout.title,
        "origin": layout.origin,
        "licence": layout.licence,
        **tree.facts,
        "splits": split_facts(cases),
        "split": wanted.split,
        "channel": wanted.channel,
    }
    found = CaseSet(path.resolve().name, chosen, facts).spread(wanted.count)
    _refuse(path, [*problems, *_unreadable(found.sources, progress)])
    return found


def _narrowed(cases: Sequence[CaseSource], wanted: Choice) -> tuple[CaseSource, ...]:
    chosen = cases_of_split(cases, wanted.split) if wanted.split else tuple(cases)
    if wanted.channel is None:
        return chosen
    shown = tuple(case for case in chosen if case.channel == wanted.channel)
    if not shown:
        known = sorted({case.channel for case in cases if case.channel is not None})
        there = f"there are {', '.join(known)}" if known else "its cases have one channel each"
        raise ConfigurationError(f"no case has a channel '{wanted.channel}'; {there}")
    return shown


def _named_twice(cases: Iterable[CaseSource]) -> list[str]:
    count = Counter(case.name for case in cases)
    return [f"{number} cases are called '{name}'" for name, number in count.items() if number > 1]


def _unreadable(cases: Sequence[CaseSource], progress: Progress | None) -> list[str]:
    """Read every case: the problem of each that cannot be one."""
    problems = []
    for done, case in enumerate(cases, start=1):
        try:
            case.load()
        except (FormatError, InputError) as error:
            problems.append(str(error))
        if progress:
            progress(done, len(cases))
    return list(dict.fromkeys(problems))


def _refuse(path: Path, problems: Sequence[str]) -> None:
    if len(problems) == 1:
        raise FormatError(problems[0])
    if problems:
        lines = "\n".join(f"  - {problem}" for problem in problems)
        raise FormatError(f"{path}: {len(problems)} problems, to be mended, or left out by a manifest:\n{lines}")
