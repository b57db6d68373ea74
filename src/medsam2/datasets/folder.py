"""A user's own labelled scans: a folder of images, each with a label map on the same grid.

Either `NAME.nii.gz` beside `NAME_label.nii.gz`, or `images/NAME.nii.gz` and `labels/NAME.nii.gz`; any format that
medsam2 reads. `labels.json` in the folder names the structures to score, `{"1": "liver", ...}`, or as the examples do;
without it, every label counts.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from medsam2.errors import ConfigurationError, FormatError, GeometryError
from medsam2.evaluation.cases import Case, CaseSet, CaseSource, labels_present
from medsam2.io import read_label_map, read_volume
from medsam2.io.kinds import SUFFIXES

LABEL_ENDING = "_label"
NAMES_FILE = "labels.json"


@dataclass(frozen=True)
class LabelledFile:
    """One image and its labels.

    Attributes:
        name: file name without suffix.
        image: the image.
        labels: its label map.
    """

    name: str
    image: Path
    labels: Path


def folder_set(folder: Path) -> CaseSet:
    """The cases of a folder. Every file is read and compared before this returns, so that nothing fails midway.

    Raises:
        FormatError: there is no such folder, nothing in it, an image without labels or labels without an image, or a
            file that cannot be read.
        GeometryError: labels lie on another grid than their image.
        ConfigurationError: none of the named labels is in a label map.
    """
    pairs = find_pairs(folder)
    names = _read_names(folder / NAMES_FILE)
    for pair in pairs:
        _load(pair, names)
    sources = tuple(CaseSource(pair.name, partial(_load, pair, names)) for pair in pairs)
    return CaseSet(folder.resolve().name, sources, {})


def find_pairs(folder: Path) -> list[LabelledFile]:
    """Images and labels of a folder that belong together, by name.

    Raises:
        FormatError: see `folder_set`.
    """
    if not folder.is_dir():
        raise FormatError(f"{folder} is no folder; expected 'synthetic', 'examples', or a folder of labelled scans")
    images, labels = _images_and_labels(folder)
    if not images and not labels:
        raise FormatError(
            f"{folder} holds no image; expected NAME.nii.gz and NAME{LABEL_ENDING}.nii.gz, or the same "
            "names in images/ and labels/"
        )
    for name, path in {**labels, **images}.items():
        if name not in images or name not in labels:
            what = "labels" if name in images else "image"
            raise FormatError(f"{path}: has no {what}; expected {_expected(path, name, what)}")
    return [LabelledFile(name, images[name], labels[name]) for name in sorted(images)]


def _images_and_labels(folder: Path) -> tuple[dict[str, Path], dict[str, Path]]:
    """Paths by the name of the case."""
    if (folder / "images").is_dir() and (folder / "labels").is_dir():
        return _by_name(folder / "images"), _by_name(folder / "labels")
    found = _by_name(folder)
    labels = {name.removesuffix(LABEL_ENDING): path for name, path in found.items() if name.endswith(LABEL_ENDING)}
    return {name: path for name, path in found.items() if not name.endswith(LABEL_ENDING)}, labels


def _by_name(folder: Path) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        suffix = next((suffix for suffix in SUFFIXES if path.name.lower().endswith(suffix)), None)
        if suffix is None or path.name.startswith("."):
            continue
        name = path.name[: -len(suffix)]
        if name in found:
            raise FormatError(f"{path} and {found[name]} have one name; expected one file a case")
        found[name] = path
    return found


def _expected(path: Path, name: str, what: str) -> str:
    if path.parent.name in ("images", "labels"):
        return f"a file named {name} in {path.parent.parent / ('labels' if what == 'labels' else 'images')}"
    return f"{name}{LABEL_ENDING if what == 'labels' else ''} with a suffix such as .nii.gz in {path.parent}"


def _load(pair: LabelledFile, names: Mapping[int, str] | None) -> Case:
    volume, reference = read_volume(pair.image), read_label_map(pair.labels)
    present = labels_present(reference)
    chosen = {label: names[label] if names else f"label {label}" for label in present if not names or label in names}
    if not chosen:
        wanted = f"none of the labels that {NAMES_FILE} names" if names else "nothing but background"
        raise ConfigurationError(f"{pair.labels}: holds {wanted}; expected at least one label to score")
    try:
        return Case(pair.name, volume, reference, chosen)
    except GeometryError as error:
        raise GeometryError(f"{pair.labels}: {error}") from error


def _read_names(path: Path) -> dict[int, str] | None:
    """Names by label; None where there is no such file."""
    if not path.exists():
        return None
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        entries = told["labels"] if isinstance(told.get("labels"), dict) else told
        return {int(label): str(one["name"] if isinstance(one, dict) else one) for label, one in entries.items()}
    except (OSError, ValueError, KeyError, AttributeError) as error:
        raise FormatError(f'{path}: expected names by label, as in {{"1": "liver"}} ({error!r})') from error
