"""BTCV: abdominal CT with thirteen organs (MICCAI 2015, "Multi-Atlas Labeling Beyond the Cranial Vault").

Two layouts are read. The challenge's own: `RawData/Training/img/imgNNNN.nii.gz` with `label/labelNNNN.nii.gz`. And the
one of the MedSAM-2 authors' code: `{Training,Test}/image/VOLUME/I.jpg` with `mask/VOLUME/I.npy`, slice by slice; it
knows no spacing, so that its distances are in voxels.

The paper scores twelve structures: both adrenal glands are one.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from medsam2.datasets.cases import Case, CaseSource
from medsam2.datasets.layout import (
    SEE_THE_TERMS,
    TEST,
    TRAINING,
    Layout,
    Tree,
    by_case,
    file_case,
    nothing_found,
    stem,
    unpaired,
    visible_files,
)
from medsam2.datasets.structures import Structures, labelled_case
from medsam2.errors import FormatError
from medsam2.io import read_volume
from medsam2.spatial import Geometry, Segmentation, SourceFile, Volume

ADRENAL_GLANDS = 12

STRUCTURES = Structures(
    {
        1: "spleen",
        2: "right kidney",
        3: "left kidney",
        4: "gallbladder",
        5: "oesophagus",
        6: "liver",
        7: "stomach",
        8: "aorta",
        9: "inferior vena cava",
        10: "portal and splenic veins",
        11: "pancreas",
        ADRENAL_GLANDS: "adrenal glands",
    },
    regions={ADRENAL_GLANDS: (12, 13)},
)

LOOKS_LIKE = (
    "img/imgNNNN.nii.gz and label/labelNNNN.nii.gz, or {Training,Test}/image/VOLUME/I.jpg and mask/VOLUME/I.npy"
)

RELEASED_SPLITS = {"Training": TRAINING, "Test": TEST}


def find(root: Path) -> Tree:
    """Cases of either layout.

    Raises:
        FormatError: there are none.
    """
    released = {split: root / name for name, split in RELEASED_SPLITS.items() if (root / name / "image").is_dir()}
    if released:
        return _find_released(released)
    for folder in (root / "RawData" / "Training", root / "Training", root):
        if (folder / "img").is_dir():
            return _find_challenge(folder)
    raise nothing_found(root, LOOKS_LIKE)


def _find_challenge(folder: Path) -> Tree:
    images, twice = by_case(visible_files(folder / "img", "img*"), lambda file: stem(file).removeprefix("img"))
    labels, labels_twice = by_case(
        visible_files(folder / "label", "label*"), lambda file: stem(file).removeprefix("label")
    )
    problems = (*twice, *labels_twice, *unpaired(images, labels, "img/imgNNNN.nii.gz and label/labelNNNN.nii.gz"))
    sources = (
        CaseSource(number, file_case(number, images[number], labels[number], STRUCTURES), split=TRAINING)
        for number in sorted(images.keys() & labels.keys())
    )
    return Tree(tuple(sources), problems)


def _find_released(folders: dict[str, Path]) -> Tree:
    sources: list[CaseSource] = []
    problems: list[str] = []
    for split, folder in folders.items():
        images, labels = _subfolders(folder / "image"), _subfolders(folder / "mask")
        problems += unpaired(images, labels, "image/VOLUME and mask/VOLUME")
        for name in sorted(images.keys() & labels.keys()):
            faults = list(_slices_missing(images[name], labels[name]))
            problems += faults
            if not faults:
                read = partial(_read_released, name, images[name], labels[name])
                sources.append(CaseSource(name, read, split=split))
    return Tree(tuple(sources), tuple(problems))


def _subfolders(folder: Path) -> dict[str, Path]:
    return {path.name: path for path in sorted(folder.glob("*")) if path.is_dir()}


def _slices_missing(images: Path, labels: Path) -> list[str]:
    """Problems of a volume's slices, which are numbered from 0."""
    shown, drawn = _numbered(images, ".jpg"), _numbered(labels, ".npy")
    problems = [f"{images / f'{n}.jpg'}: has no labels; expected {labels / f'{n}.npy'}" for n in sorted(shown - drawn)]
    problems += [f"{labels / f'{n}.npy'}: has no image; expected {images / f'{n}.jpg'}" for n in sorted(drawn - shown)]
    gaps = sorted(set(range(max(shown | drawn, default=0))) - (shown | drawn))
    return problems + [f"{images}: slice {n} is missing; expected slices from 0 without gaps" for n in gaps]


def _numbered(folder: Path, suffix: str) -> set[int]:
    return {int(path.stem) for path in visible_files(folder, f"*{suffix}") if path.stem.isdecimal()}


def _read_released(name: str, images: Path, labels: Path) -> Case:
    count = len(_numbered(images, ".jpg"))
    pictures = [read_volume(images / f"{n}.jpg").array[0] for n in range(count)]
    masks = [_read_mask(labels / f"{n}.npy") for n in range(count)]
    for number, (picture, mask) in enumerate(zip(pictures, masks, strict=True)):
        if mask.shape != pictures[0].shape[:2] or picture.shape != pictures[0].shape:
            raise FormatError(
                f"{labels / f'{number}.npy'}: the mask has shape {mask.shape}, its image {picture.shape}, the first "
                f"slice {pictures[0].shape}; expected one shape for all slices of a volume"
            )
    geometry = Geometry((count, *masks[0].shape), np.eye(4))
    volume = Volume(_as_grey(np.stack(pictures)), geometry, SourceFile(images, "image"))
    return labelled_case(
        name, volume, Segmentation(np.stack(masks), geometry, source=SourceFile(labels, "numpy")), STRUCTURES
    )


def _read_mask(path: Path) -> NDArray[np.uint8]:
    try:
        mask = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise FormatError(f"{path} cannot be read as a numpy array: {error}") from error
    labels: NDArray[np.uint8] = mask.astype(np.uint8)
    if mask.ndim != 2 or not np.array_equal(labels, mask):
        raise FormatError(f"{path}: holds {mask.dtype} of shape {mask.shape}; expected labels (rows, columns), 0..255")
    return labels


def _as_grey(pictures: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Greys that were saved as colours become greys again."""
    if pictures.ndim == 4 and (pictures == pictures[..., :1]).all():
        return np.ascontiguousarray(pictures[..., 0])
    return pictures


BTCV = Layout(
    "btcv",
    "BTCV (Multi-Atlas Labeling Beyond the Cranial Vault), abdomen",
    "https://www.synapse.org/Synapse:syn3193805",
    SEE_THE_TERMS,
    LOOKS_LIKE,
    find,
)
