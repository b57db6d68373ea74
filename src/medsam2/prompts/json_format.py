"""Prompts as JSON.

    {"space": "voxel",
     "objects": [{"name": "liver", "label": 1,
                  "points": [[30, 40, 7, 1]],
                  "boxes": [[10, 20, 7, 40, 50, 7]],
                  "masks": ["liver-slices.nii.gz"]}]}

`space` is "voxel" (if left out), "ras" or "lps". A label left out is the next free one, a name left out is
"object" and the label. The rows of numbers are those of `coordinates`; the last number of a point is 1 inside
the object and 0 outside.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import count
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medsam2.errors import PromptError
from medsam2.prompts.coordinates import CoordinateSpace, box_from_numbers, point_from_numbers
from medsam2.prompts.prompt_set import PromptSet
from medsam2.prompts.prompt_types import MaskPrompt, ObjectPrompts
from medsam2.spatial import Geometry

FILE_KEYS = ("space", "objects")
OBJECT_KEYS = ("name", "label", "points", "boxes", "masks")

JSON_TYPES = {
    bool: "a boolean",
    dict: "an object",
    float: "a number",
    int: "a number",
    list: "a list",
    str: "a text",
}
LONGEST_SHOWN = 40
"""Characters of a wrong value that a message shows."""

LoadMask = Callable[[str], NDArray[Any]]
SaveMask = Callable[[ObjectPrompts, int], str]


def prompts_from_json(content: object, geometry: Geometry, load_mask: LoadMask) -> PromptSet:
    """Read prompts from what a JSON parser returned.

    Args:
        content: The parsed JSON.
        geometry: The grid of the volume.
        load_mask: Reads the file that a mask names into an array (D, H, W) in the axes of the volume's array;
            voxels above 0 belong to the mask.

    Raises:
        PromptError: Something is missing, unknown or of the wrong type; the message names the place, e.g.
            "objects[2].points[0]".
    """
    mapping = _mapping(content, "the prompts", FILE_KEYS)
    space = _space(mapping.get("space", CoordinateSpace.VOXEL.value))
    if "objects" not in mapping:
        raise PromptError('the prompts have no "objects"; expected {"objects": [{"points": [[i, j, k, 1]]}]}.')
    places = _places(mapping["objects"], "objects")
    items = [(place, _mapping(item, place, OBJECT_KEYS)) for place, item in places]
    free = _free_labels(item for _, item in items)
    objects: list[ObjectPrompts] = []
    for place, item in items:
        label = _label(item["label"], f"{place}.label") if "label" in item else next(free)
        name = _text(item.get("name", f"object {label}"), f"{place}.name")
        points = [point_from_numbers(row, geometry, space, at) for at, row in _rows(item, "points", place)]
        boxes = [box_from_numbers(row, geometry, space, at) for at, row in _rows(item, "boxes", place)]
        masks = [MaskPrompt(load_mask(file) > 0) for file in _files(item, place)]
        objects.append(ObjectPrompts(name, label, tuple(points), tuple(boxes), tuple(masks)))
    return PromptSet(tuple(objects))


def prompts_to_json(prompts: PromptSet, save_mask: SaveMask | None = None) -> dict[str, Any]:
    """Write prompts as what a JSON writer takes, in voxel indices.

    Args:
        prompts: The prompts.
        save_mask: Writes the object's mask of this number in `ObjectPrompts.masks`, and returns the file's
            name.

    Raises:
        PromptError: There is a mask and no `save_mask`.
    """
    objects = [_object_to_json(item, save_mask) for item in prompts.objects]
    return {"space": CoordinateSpace.VOXEL.value, "objects": objects}


def _object_to_json(prompts: ObjectPrompts, save_mask: SaveMask | None) -> dict[str, Any]:
    item: dict[str, Any] = {"name": prompts.name, "label": int(prompts.label)}
    if prompts.points:
        item["points"] = [[*point.index, int(point.positive)] for point in prompts.points]
    if prompts.boxes:
        item["boxes"] = [[number for corner in box.corners for number in corner] for box in prompts.boxes]
    if prompts.masks:
        if save_mask is None:
            raise PromptError(f"{prompts.title} has a mask, which JSON names by its file; give `save_mask`.")
        item["masks"] = [save_mask(prompts, number) for number in range(len(prompts.masks))]
    return item


def _free_labels(items: Iterable[Mapping[str, Any]]) -> Iterator[int]:
    taken = [item["label"] for item in items if "label" in item]
    return (label for label in count(1) if label not in taken)


def _space(value: object) -> CoordinateSpace:
    for space in CoordinateSpace:
        if value == space:
            return space
    raise PromptError(f"space: {_kind(value)}; expected one of {_quoted(CoordinateSpace)}.")


def _mapping(value: object, place: str, known: tuple[str, ...]) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise PromptError(f"{place}: {_kind(value)}; expected a JSON object with {_quoted(known)}.")
    for key in value:
        if key not in known:
            nearest = difflib.get_close_matches(str(key), known, n=1)
            hint = f'; did you mean "{nearest[0]}"?' if nearest else f"; known are {_quoted(known)}."
            raise PromptError(f'{place}: unknown key "{key}"{hint}')
    return value


def _places(value: object, place: str) -> list[tuple[str, Any]]:
    """Give each item of a list with its place, e.g. "objects[2]"."""
    if not isinstance(value, list | tuple):
        raise PromptError(f"{place}: {_kind(value)}; expected a list.")
    return [(f"{place}[{number}]", item) for number, item in enumerate(value)]


def _rows(item: Mapping[str, Any], key: str, place: str) -> list[tuple[str, list[float]]]:
    """Give each row of an object's numbers with its place, e.g. "objects[2].points[0] of 'liver'"."""
    owner = f" of {item['name']!r}" if "name" in item else ""
    rows = _places(item.get(key, []), f"{place}.{key}")
    return [(at + owner, [_number(n, there) for there, n in _places(row, at)]) for at, row in rows]


def _files(item: Mapping[str, Any], place: str) -> list[str]:
    return [_text(file, at) for at, file in _places(item.get("masks", []), f"{place}.masks")]


def _number(value: object, place: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise PromptError(f"{place}: {_kind(value)}; expected a number.")
    if not math.isfinite(value):
        raise PromptError(f"{place}: {value}; expected a finite number.")
    return value


def _label(value: object, place: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise PromptError(f"{place}: {_kind(value)}; expected an integer.")
    return int(value)


def _text(value: object, place: str) -> str:
    if not isinstance(value, str):
        raise PromptError(f"{place}: {_kind(value)}; expected a text.")
    return value


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)


def _kind(value: object) -> str:
    """Show a wrong value and its JSON type, e.g. "true (a boolean)"."""
    if value is None:
        return "null"
    shown = str(value).lower() if isinstance(value, bool) else repr(value)
    short = shown if len(shown) <= LONGEST_SHOWN else f"{shown[:LONGEST_SHOWN]}..."
    return f"{short} ({JSON_TYPES.get(type(value), type(value).__name__)})"
