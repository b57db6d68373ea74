"""TN-SCUI 2020: ultrasound pictures of thyroid nodules.

`image/NAME` and `mask/NAME` of equal names, black and white masks; a table such as `train.csv` (columns ID and CATE,
the file's name and its category) may list them.
"""

from __future__ import annotations

import csv
from functools import partial
from pathlib import Path

from medsam2.datasets.cases import Case, CaseSource
from medsam2.datasets.layout import (
    SEE_THE_TERMS,
    Layout,
    Tree,
    by_case,
    nothing_found,
    split_named,
    stem,
    unpaired,
    visible_files,
)
from medsam2.datasets.pictures import picture_labels, read_black_and_white
from medsam2.datasets.structures import Structures, labelled_case
from medsam2.errors import FormatError
from medsam2.io import read_volume

NODULE = Structures({1: "thyroid nodule"})

LOOKS_LIKE = "image/NAME.PNG and mask/NAME.PNG"

LISTED = "ID"
"""Column of the table that holds the file's name."""


def find(root: Path) -> Tree:
    """Pictures with masks of the same name.

    Raises:
        FormatError: there are none, or the table cannot be read.
    """
    folders = [folder.parent for folder in [root / "image", *sorted(root.glob("*/image"))] if folder.is_dir()]
    if not folders:
        raise nothing_found(root, LOOKS_LIKE)
    trees = [_find_in(folder, root) for folder in folders]
    return Tree(
        tuple(source for tree in trees for source in tree.sources),
        tuple(problem for tree in trees for problem in tree.problems),
    )


def _find_in(folder: Path, root: Path) -> Tree:
    images, twice = by_case(visible_files(folder / "image"), stem)
    masks, masks_twice = by_case(visible_files(folder / "mask"), stem)
    problems = [*twice, *masks_twice, *unpaired(images, masks, LOOKS_LIKE)]
    for table in visible_files(folder, "*.csv"):
        problems += (
            f"{table}: lists '{name}'; no such picture is in {folder / 'image'}" for name in _listed(table, images)
        )
    sources = (
        CaseSource(
            name, partial(read_picture, name, images[name], masks[name], NODULE), split=split_named(images[name], root)
        )
        for name in sorted(images.keys() & masks.keys())
    )
    return Tree(tuple(sources), tuple(problems))


def _listed(table: Path, images: dict[str, Path]) -> list[str]:
    """Names that a table lists and the folder lacks; none of a table of other columns."""
    try:
        with table.open(newline="", encoding="utf-8-sig") as file:
            names = [row[LISTED] for row in csv.DictReader(file) if row.get(LISTED)]
    except (OSError, ValueError, csv.Error) as error:
        raise FormatError(f"{table} cannot be read as a table: {error}") from error
    return [name for name in names if stem(Path(name)) not in images]


def read_picture(name: str, image: Path, mask: Path, structures: Structures) -> Case:
    """A picture and its black and white mask, which becomes label 1."""
    labels = read_black_and_white(mask).astype("uint8")
    return labelled_case(name, read_volume(image), picture_labels(labels, mask), structures)


TNSCUI = Layout(
    "tnscui",
    "TN-SCUI 2020, thyroid nodules",
    "https://tn-scui2020.grand-challenge.org",
    SEE_THE_TERMS,
    LOOKS_LIKE,
    find,
)
