"""A user's own labelled scans: a folder of images, each with a label map on the same grid.

Either `NAME.nii.gz` beside `NAME_label.nii.gz`, or `images/NAME.nii.gz` and `labels/NAME.nii.gz`; any format that
medsam2 reads. `labels.json` in the folder names the structures to score, `{"1": "liver", ...}`, or as the examples do;
without it, every label counts.
"""

from __future__ import annotations

from pathlib import Path

from medsam2.datasets.cases import CaseSource
from medsam2.datasets.layout import OWN_TERMS, Layout, Tree, by_case, file_case, nothing_found, unpaired, visible_files
from medsam2.datasets.layout import stem as stem_of
from medsam2.datasets.structures import read_structures
from medsam2.io.kinds import SUFFIXES

LABEL_ENDING = "_label"

LOOKS_LIKE = f"NAME.nii.gz and NAME{LABEL_ENDING}.nii.gz, or images/NAME.nii.gz and labels/NAME.nii.gz"


def find(folder: Path) -> Tree:
    """Images and labels that belong together by name.

    Raises:
        FormatError: there is no such folder, or no image in it; `labels.json` cannot be read.
    """
    if not folder.is_dir():
        raise nothing_found(folder, f"a folder of {LOOKS_LIKE}")
    two_folders = (folder / "images").is_dir() and (folder / "labels").is_dir()
    images, labels, problems = _two_folders(folder) if two_folders else _one_folder(folder)
    if not images and not labels:
        raise nothing_found(folder, LOOKS_LIKE)
    structures = read_structures(folder)
    problems += unpaired(images, labels, LOOKS_LIKE)
    paired = sorted(images.keys() & labels.keys())
    sources = (CaseSource(name, file_case(name, images[name], labels[name], structures)) for name in paired)
    return Tree(tuple(sources), tuple(problems))


Found = tuple[dict[str, Path], dict[str, Path], list[str]]
"""Images and labels by case, and problems."""


def _two_folders(folder: Path) -> Found:
    images, twice = by_case(_pictures(folder / "images"), stem_of)
    labels, labels_twice = by_case(_pictures(folder / "labels"), stem_of)
    return images, labels, twice + labels_twice


def _one_folder(folder: Path) -> Found:
    files = _pictures(folder)
    images, twice = by_case((file for file in files if not _is_label(file)), stem_of)
    labels, labels_twice = by_case(filter(_is_label, files), lambda file: stem_of(file).removesuffix(LABEL_ENDING))
    return images, labels, twice + labels_twice


def _pictures(folder: Path) -> list[Path]:
    return [file for file in visible_files(folder) if file.name.lower().endswith(tuple(SUFFIXES))]


def _is_label(file: Path) -> bool:
    return stem_of(file).endswith(LABEL_ENDING)


FOLDER = Layout("folder", "a folder of labelled scans", "the user's own", OWN_TERMS, LOOKS_LIKE, find)
