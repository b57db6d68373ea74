"""What `dataset.json` says: of the Medical Segmentation Decathlon, and of nnU-Net, which took it over."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from medsam2.datasets.structures import Structures
from medsam2.errors import FormatError

BACKGROUND, IGNORE = "background", "ignore"
"""Names of labels that are no structures."""

FILE = "dataset.json"


def read_description(folder: Path) -> dict[str, Any]:
    """The file's content.

    Raises:
        FormatError: it cannot be read, or is no object with labels.
    """
    path = folder / FILE
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise FormatError(f"{path} cannot be read as JSON: {error}") from error
    if not isinstance(told, dict) or not isinstance(told.get("labels"), dict):
        raise FormatError(f"{path}: expected an object with 'labels'")
    return told


def structures_of(description: dict[str, Any], path: Path) -> Structures:
    """The structures of `labels`, `{"0": "background", "1": "liver"}`.

    nnU-Net writes it the other way round, with a list of labels for a region.

    Raises:
        FormatError: they are something else.
    """
    try:
        named = [_numbered(key, value) for key, value in description["labels"].items()]
    except (TypeError, ValueError) as error:
        raise FormatError(f"{path}: labels are {description['labels']!r}; expected numbers and names") from error
    scored = [(name, labels) for name, labels in named if name not in (BACKGROUND, IGNORE) and labels != (0,)]
    names = {labels[0]: name for name, labels in scored if len(labels) == 1}
    regions: dict[int, tuple[int, ...]] = {}
    beyond = max((label for _, labels in named for label in labels), default=0) + 1
    for number, (name, labels) in enumerate(((n, one) for n, one in scored if len(one) > 1), start=beyond):
        names[number], regions[number] = name, labels
    ignored = tuple(label for name, labels in named if name in (BACKGROUND, IGNORE) for label in labels)
    return Structures(names, regions, known=ignored)


def _numbered(key: str, value: Any) -> tuple[str, tuple[int, ...]]:
    """A structure's name and its labels."""
    if isinstance(value, list):
        return key, tuple(int(label) for label in value)
    return (str(value), (int(key),)) if key.isdecimal() else (key, (int(value),))


def channels_of(description: dict[str, Any]) -> list[str]:
    """Names of the channels in their order: `channel_names`, in older files `modality`; none if there is neither."""
    told = description.get("channel_names") or description.get("modality") or {}
    return [str(told[number]) for number in sorted(told, key=int)] if isinstance(told, dict) else []


def terms_of(description: dict[str, Any]) -> dict[str, str]:
    """What the file states of name, licence and origin."""
    wanted = {"title": "name", "licence": "licence", "origin": "reference"}
    found = {
        fact: description.get(key) or description.get(key.replace("licence", "license")) for fact, key in wanted.items()
    }
    return {fact: str(value) for fact, value in found.items() if value}
