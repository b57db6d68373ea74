"""REFUGE2: fundus photographs with optic disc and cup (MICCAI 2018 and 2020).

Two layouts are read. The challenge's own: photographs `NAME.jpg` and masks `NAME.bmp` (0 cup, 128 rim of the disc, 255
background) in folders whose names say training, validation or test. And the one of the MedSAM-2 authors' code, with
seven raters: `{Training,Test}-400/CASE/CASE_cropped.jpg` and `CASE_seg_{cup,disc}_{1..7}_cropped.jpg`; where most
raters, four of seven, see cup or disc, there it is.

The disc includes the cup.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from medsam2.datasets.cases import Case, CaseSource
from medsam2.datasets.layout import (
    SEE_THE_TERMS,
    Layout,
    Tree,
    by_case,
    files_below,
    nothing_found,
    split_named,
    unpaired,
)
from medsam2.datasets.pictures import picture_labels, read_black_and_white, read_greys
from medsam2.datasets.structures import Structures, labelled_case
from medsam2.errors import FormatError
from medsam2.io import read_volume

RIM, CUP, CUP_BEYOND_DISC = 1, 2, 3
"""Labels; the last one only where raters' majorities for cup and disc contradict each other."""

DISC_NUMBER, CUP_NUMBER = 1, 2

STRUCTURES = Structures(
    {DISC_NUMBER: "optic disc", CUP_NUMBER: "optic cup"},
    regions={DISC_NUMBER: (RIM, CUP), CUP_NUMBER: (CUP, CUP_BEYOND_DISC)},
)

LABEL_OF_GREY = {255: 0, 128: RIM, 0: CUP}

RATERS = 7

LOOKS_LIKE = (
    "NAME.jpg and NAME.bmp, or {Training,Test}-400/CASE/CASE_cropped.jpg and CASE_seg_{cup,disc}_{1..7}_cropped.jpg"
)


def find(root: Path) -> Tree:
    """Cases of either layout.

    Raises:
        FormatError: there are none.
    """
    cases = [folder for folder in sorted(root.glob("*-400/*")) if any(folder.glob("*_seg_*"))]
    if cases:
        return _find_rated(root, cases)
    return _find_challenge(root)


def _find_challenge(root: Path) -> Tree:
    images, twice = by_case(files_below(root, ".jpg"), lambda file: file.stem)
    labels, labels_twice = by_case(files_below(root, ".bmp"), lambda file: file.stem)
    if not labels:
        raise nothing_found(root, LOOKS_LIKE)
    problems = (*twice, *labels_twice, *unpaired(images, labels, "NAME.jpg and NAME.bmp"))
    sources = (
        CaseSource(name, partial(_read_single, name, images[name], labels[name]), split=split_named(images[name], root))
        for name in sorted(images.keys() & labels.keys())
    )
    return Tree(tuple(sources), problems)


def _read_single(name: str, image: Path, mask: Path) -> Case:
    return labelled_case(name, read_volume(image), picture_labels(read_greys(mask, LABEL_OF_GREY), mask), STRUCTURES)


def _find_rated(root: Path, folders: list[Path]) -> Tree:
    sources, problems = [], []
    for folder in folders:
        faults = [f"{path} is missing; expected the photograph and {RATERS} raters" for path in _missing(folder)]
        problems += faults
        if not faults:
            read = partial(_read_rated, folder)
            sources.append(CaseSource(folder.name, read, split=split_named(folder / "x", root)))
    return Tree(tuple(sources), tuple(problems))


def _missing(folder: Path) -> Iterator[Path]:
    """Files that a case should have."""
    for structure in ("cup", "disc"):
        yield from (path for path in _raters(folder, structure) if not path.is_file())
    if not _photograph(folder).is_file():
        yield _photograph(folder)


def _photograph(folder: Path) -> Path:
    return folder / f"{folder.name}_cropped.jpg"


def _raters(folder: Path, structure: str) -> list[Path]:
    return [folder / f"{folder.name}_seg_{structure}_{rater}_cropped.jpg" for rater in range(1, RATERS + 1)]


def _read_rated(folder: Path) -> Case:
    cup, disc = (_majority(_raters(folder, structure)) for structure in ("cup", "disc"))
    labels = np.where(disc, np.where(cup, CUP, RIM), np.where(cup, CUP_BEYOND_DISC, 0)).astype(np.uint8)
    volume = read_volume(_photograph(folder))
    return labelled_case(folder.name, volume, picture_labels(labels, folder), STRUCTURES)


def _majority(paths: list[Path]) -> NDArray[np.bool_]:
    """Where more than half of the raters' masks are, (R, C)."""
    masks = [read_black_and_white(path) for path in paths]
    for path, mask in zip(paths, masks, strict=True):
        if mask.shape != masks[0].shape:
            raise FormatError(f"{path}: has shape {mask.shape}, the first rater's {masks[0].shape}; expected the same")
    votes = np.sum(masks, axis=0)
    most: NDArray[np.bool_] = 2 * votes > len(paths)
    return most


REFUGE2 = Layout(
    "refuge2",
    "REFUGE2, optic disc and cup",
    "https://refuge.grand-challenge.org",
    SEE_THE_TERMS,
    LOOKS_LIKE,
    find,
)
