"""What is said of a segmented set: the JSON report, the table of images and the table for the terminal.

docs/oneprompt.md describes the fields.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from medsam2 import __version__
from medsam2.engine.set_result import ImageMask, ImageObject, SetResult, SetSettings
from medsam2.frames import IntensityWindow
from medsam2.io.atomic import written_whole
from medsam2.reporting.palette import object_colour
from medsam2.reporting.report import CONFIDENCE_DECIMALS, SECONDS_DECIMALS
from medsam2.reporting.table import NOTHING

SET_REPORT_VERSION = 1
"""Raised when a field is renamed, removed or changes its meaning; new fields do not raise it."""

COLUMNS = (
    "image",
    "label_map",
    "object",
    "label",
    "confidence",
    "object_score",
    "area_px",
    "instances",
    "in_memory",
    "prompted",
    "status",
)
"""Of the table of images, one row an image and object."""

FOUND, NOT_FOUND, LOST, FAILED = "found", "not found", "lost to others", "could not be used"


def build_set_report(
    result: SetResult,
    model: Mapping[str, Any],
    templates: Mapping[str, Mapping[str, Any]] | None = None,
    label_maps: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Say what was done and found, for `write_report`.

    Args:
        result: what was found.
        model: what the caller knows of the weights.
        templates: what was prompted on each template, as `prompts_to_json` gives it.
        label_maps: names of the label maps' files, by image.
    """
    return {
        "report_version": SET_REPORT_VERSION,
        "medsam2_version": __version__,
        "model": model,
        "settings": _settings(result.settings),
        "templates": [{"image": name, "prompts": (templates or {}).get(name)} for name in result.templates],
        "seconds": round(result.seconds, SECONDS_DECIMALS),
        "warnings": result.warnings,
        "objects": [_object(result, label, name) for label, name in result.names.items()],
        "images": [_image(image, (label_maps or {}).get(image.name)) for image in result.images],
    }


def write_image_table(
    result: SetResult, path: str | os.PathLike[str], label_maps: Mapping[str, str] | None = None
) -> None:
    """Write a table with one row an image and object as CSV (UTF-8), whole or not at all.

    Args:
        result: what was found.
        path: the file.
        label_maps: names of the label maps' files, by image.

    Raises:
        FormatError: the file cannot be written.
    """
    rows = [row for image in result.images for row in _rows(image, (label_maps or {}).get(image.name))]
    # Half a surrogate pair, as in file names that are no UTF-8, cannot be written otherwise.
    with (
        written_whole(Path(path)) as draft,
        draft.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file,
    ):
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)


def set_table(result: SetResult) -> Table:
    """Tabulate what was found, one row an object; the confidence is the median over the images on which it was found.

    Args:
        result: what was found.
    """
    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("object", min_width=10)
    for heading in ("label", "found on", "not found on", "in memory", "confidence"):
        table.add_column(heading, justify="right", no_wrap=True)
    for number, (label, name) in enumerate(result.names.items()):
        looks = _looks(result, label)
        found = [one for one in looks if one.area_px]
        red, green, blue = object_colour(number)
        table.add_row(
            Text(name, style=f"rgb({red},{green},{blue})"),
            str(label),
            f"{len(found):,} of {len(result.images):,}",
            f"{len(looks) - len(found):,}",
            f"{sum(one.in_memory for one in looks):,}",
            f"{median(one.confidence for one in found):.2f}" if found else NOTHING,
        )
    return table


def status(one: ImageObject) -> str:
    """Say in a word what became of an object on an image."""
    if one.area_px:
        return FOUND
    return LOST if one.confidence > 0 else NOT_FOUND


def _looks(result: SetResult, label: int) -> Sequence[ImageObject]:
    return [one for image in result.images for one in image.objects if one.label == label]


def _settings(settings: SetSettings) -> dict[str, Any]:
    window = settings.window
    if isinstance(window, IntensityWindow):
        window = (window.lower, window.upper)
    return {
        "memory": settings.memory,
        "memory_options": settings.memory_options.given(),
        "memory_seed": settings.memory_seed,
        "window": window,
        "size": settings.size,
        "instances": settings.instances,
        "least_confidence": settings.least_confidence,
    }


def _object(result: SetResult, label: int, name: str) -> dict[str, Any]:
    looks = _looks(result, label)
    found = [one for one in looks if one.area_px]
    return {
        "name": name,
        "label": label,
        "images_found": len(found),
        "images_not_found": len(looks) - len(found),
        "median_confidence": round(median(one.confidence for one in found), CONFIDENCE_DECIMALS) if found else None,
    }


def _image(image: ImageMask, label_map: str | None) -> dict[str, Any]:
    window = image.window
    return {
        "image": image.name,
        "label_map": label_map if image.failure is None else None,
        "failure": image.failure,
        "window": None if window is None else {"name": window.name, "lower": window.lower, "upper": window.upper},
        "objects": [
            {
                "label": one.label,
                "status": status(one),
                "confidence": round(one.confidence, CONFIDENCE_DECIMALS),
                "object_score": round(one.object_score, CONFIDENCE_DECIMALS),
                "area_px": one.area_px,
                "instances": one.instances,
                "in_memory": one.in_memory,
                "prompted": one.prompted,
            }
            for one in image.objects
        ],
    }


def _rows(image: ImageMask, label_map: str | None) -> list[dict[str, Any]]:
    if image.failure is not None:
        return [{"image": image.name, "status": f"{FAILED}: {image.failure}"}]
    return [
        {
            "image": image.name,
            "label_map": label_map,
            "object": one.name,
            "label": one.label,
            "confidence": f"{one.confidence:.{CONFIDENCE_DECIMALS}f}",
            "object_score": f"{one.object_score:.{CONFIDENCE_DECIMALS}f}",
            "area_px": one.area_px,
            "instances": one.instances,
            "in_memory": str(one.in_memory).lower(),
            "prompted": str(one.prompted).lower(),
            "status": status(one),
        }
        for one in image.objects
    ]
