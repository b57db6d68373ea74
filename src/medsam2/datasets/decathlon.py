"""Medical Segmentation Decathlon: `dataset.json` with a list `training` of images and labels (Antonelli et al. 2022).

Images of several channels are 4-D files; their channels are cases of one patient. The images of the `test` list come
without labels and cannot be scored.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from medsam2.datasets.cases import CaseSource
from medsam2.datasets.dataset_json import FILE, channels_of, read_description, structures_of, terms_of
from medsam2.datasets.layout import TRAINING, Layout, Tree, file_case, nothing_found, stem, visible_files
from medsam2.datasets.structures import Structures
from medsam2.errors import FormatError

LOOKS_LIKE = 'dataset.json with "training": [{"image": "./imagesTr/NAME.nii.gz", "label": "./labelsTr/NAME.nii.gz"}]'


def find(root: Path) -> Tree:
    """The cases of the training list.

    Raises:
        FormatError: it is no such folder, or `dataset.json` cannot be read.
    """
    if not (root / FILE).is_file():
        raise nothing_found(root, LOOKS_LIKE)
    told = read_description(root)
    structures, channels = structures_of(told, root / FILE), channels_of(told)
    pairs = _pairs(told, root)
    problems = [f"{path} is missing; {FILE} lists it" for pair in pairs for path in pair if not path.is_file()]
    problems += _unlisted(root, pairs)
    sources = [
        source
        for image, labels in pairs
        if image.is_file() and labels.is_file()
        for source in _channels(image, labels, structures, channels)
    ]
    return Tree(tuple(sources), tuple(problems), terms_of(told))


def _pairs(told: dict[str, Any], root: Path) -> list[tuple[Path, Path]]:
    """Image and labels of each training case.

    Raises:
        FormatError: the list is missing or something else.
    """
    try:
        return [(root / one["image"], root / one["label"]) for one in told["training"]]
    except (KeyError, TypeError) as error:
        raise FormatError(f"{root / FILE}: expected a list 'training' of images and labels ({error!r})") from error


def _unlisted(root: Path, pairs: list[tuple[Path, Path]]) -> list[str]:
    """Problems of label maps beside the listed ones that are not listed themselves."""
    listed = {labels.resolve() for _, labels in pairs}
    folders = sorted({labels.parent for labels in listed})
    beside = (path for folder in folders for path in visible_files(folder, "*.nii*"))
    return [f"{path}: has no image; {FILE} does not list it" for path in beside if path not in listed]


def _channels(image: Path, labels: Path, structures: Structures, channels: list[str]) -> list[CaseSource]:
    """One case a channel, all of one patient; a single channel has no name of its own."""
    patient = stem(image)
    if len(channels) < 2:
        return [CaseSource(patient, file_case(patient, image, labels, structures), split=TRAINING)]
    return [
        CaseSource(
            f"{patient}-{channel}",
            file_case(f"{patient}-{channel}", image, labels, structures, number),
            patient,
            TRAINING,
            channel,
        )
        for number, channel in enumerate(channels)
    ]


DECATHLON = Layout(
    "decathlon",
    "Medical Segmentation Decathlon",
    "http://medicaldecathlon.com",
    "CC BY-SA 4.0",
    LOOKS_LIKE,
    find,
)
