"""Cases of the CVPR 2025 challenge "Interactive 3D Biomedical Image Segmentation": numpy archives, `CASE.npz`.

`imgs` (D, H, W), `gts` of the same shape and `spacing`, three numbers in mm as SimpleITK gives them: (x, y, z), which
is along W, H, D. `labels.json` beside the files names structures; else every label counts. Files are opened without
pickle, so that reading one cannot run code: `boxes` and text prompts, which are stored as Python objects, are not read.
"""

from __future__ import annotations

import zipfile
import zlib
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medsam2.datasets.cases import Case, CaseSource
from medsam2.datasets.layout import SEE_THE_TERMS, Layout, Tree, files_below, nothing_found, split_named
from medsam2.datasets.structures import Structures, labelled_case, read_structures
from medsam2.errors import FormatError
from medsam2.spatial import Geometry, LabelArray, Segmentation, SourceFile, Volume, label_dtype

IMAGE, LABELS, SPACING = "imgs", "gts", "spacing"

LOOKS_LIKE = f"CASE.npz with {IMAGE}, {LABELS} and {SPACING}"


def find(root: Path) -> Tree:
    """The archives of a folder and of those in it, or one archive.

    Raises:
        FormatError: there are none.
    """
    files = [root] if root.is_file() else files_below(root, ".npz")
    if not files:
        raise nothing_found(root, LOOKS_LIKE)
    structures = read_structures(root.parent if root.is_file() else root)
    problems, sources = [], []
    for path in files:
        lacking = [name for name in (IMAGE, LABELS, SPACING) if name not in _names(path)]
        problems += [f"{path}: has no {name}; expected {LOOKS_LIKE}" for name in lacking]
        if not lacking:
            split = None if root.is_file() else split_named(path, root)
            sources.append(CaseSource(path.stem, partial(_read, path, structures), split=split))
    return Tree(tuple(sources), tuple(problems))


def _names(path: Path) -> set[str]:
    """Names of the arrays; none if the file is no archive."""
    if not zipfile.is_zipfile(path):
        return set()
    with zipfile.ZipFile(path) as archive:
        return {name.removesuffix(".npy") for name in archive.namelist()}


def _read(path: Path, structures: Structures) -> Case:
    try:
        with np.load(path, allow_pickle=False) as archive:
            image, labels, spacing = archive[IMAGE], archive[LABELS], archive[SPACING]
    except (OSError, ValueError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        raise FormatError(f"{path} cannot be read: {error}") from error
    if labels.ndim != 3 or image.shape[:3] != labels.shape or np.shape(spacing) != (3,):
        raise FormatError(
            f"{path}: {IMAGE} has shape {image.shape}, {LABELS} {labels.shape}, {SPACING} {np.shape(spacing)}; "
            "expected (D, H, W) twice, and 3"
        )
    depth, height, width = labels.shape
    geometry = Geometry((depth, height, width), np.diag([*map(float, spacing), 1.0]))
    file = SourceFile(path, "npz")
    reference = Segmentation(_labels(labels, path), geometry, source=file)
    return labelled_case(path.stem, Volume(image, geometry, file), reference, structures)


def _labels(array: NDArray[Any], path: Path) -> LabelArray:
    labels: NDArray[np.uint16] = array.astype(np.uint16)
    if not np.array_equal(labels, array):
        raise FormatError(f"{path}: {LABELS} are not whole numbers in 0..65535")
    return labels.astype(np.uint8) if label_dtype(int(labels.max())) is np.uint8 else labels


CVPR2025 = Layout(
    "cvpr2025",
    "CVPR 2025 Interactive 3D Biomedical Image Segmentation",
    "the challenge's files",
    SEE_THE_TERMS,
    LOOKS_LIKE,
    find,
)
