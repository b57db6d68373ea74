"""ISIC: dermoscopic pictures of skin lesions (the segmentation tasks of the challenges of 2016, 2017 and 2018).

`ID.jpg` and `ID_segmentation.png`, in folders whose names say training, validation or test. Patients are not named:
two pictures of one patient cannot be told, and the splits are the challenge's own.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from medsam2.datasets.cases import CaseSource
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
from medsam2.datasets.structures import Structures
from medsam2.datasets.tnscui import read_picture

LESION = Structures({1: "skin lesion"})

ENDING = "_segmentation"
"""Of a mask's name; in 2016 with a capital S."""

LOOKS_LIKE = f"ID.jpg and ID{ENDING}.png"


def find(root: Path) -> Tree:
    """Pictures and masks by their identifier, wherever they lie.

    Raises:
        FormatError: there are none.
    """
    images, twice = by_case(files_below(root, ".jpg"), lambda file: file.stem)
    masks, masks_twice = by_case(files_below(root, ".png"), _identifier)
    if not images or not masks:
        raise nothing_found(root, LOOKS_LIKE)
    problems = (*twice, *masks_twice, *unpaired(images, masks, LOOKS_LIKE))
    sources = (
        CaseSource(
            name, partial(read_picture, name, images[name], masks[name], LESION), split=split_named(images[name], root)
        )
        for name in sorted(images.keys() & masks.keys())
    )
    return Tree(tuple(sources), problems)


def _identifier(mask: Path) -> str | None:
    """None of other pictures, such as the superpixels of 2017."""
    return mask.stem[: -len(ENDING)] if mask.stem.lower().endswith(ENDING) else None


ISIC = Layout(
    "isic",
    "ISIC challenge, skin lesions",
    "https://challenge.isic-archive.com/data",
    f"{SEE_THE_TERMS}, which differ from year to year",
    LOOKS_LIKE,
    find,
)
