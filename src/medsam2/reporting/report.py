"""The JSON report of a segmentation; docs/report.md describes its fields."""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath
from statistics import median
from typing import Any

import numpy as np

from medsam2 import __version__
from medsam2.engine.next_slices import NextSlice, next_slices
from medsam2.engine.volume_result import ObjectResult, SegmentationResult, SliceConfidence
from medsam2.errors import ConfigurationError
from medsam2.io import DicomSeries
from medsam2.io.atomic import written_whole
from medsam2.reporting.statistics import ObjectStatistics, found_slices
from medsam2.spatial import Geometry, Plane, PlaneView, Volume

REPORT_VERSION = 1
"""Raised when a field is renamed, removed or changes its meaning; new fields do not raise it."""

LINE_LENGTH = 120
"""Lists and objects without others inside stand on one line up to this many characters."""

CONFIDENCE_DECIMALS = 4
SECONDS_DECIMALS = 3

_INNERMOST = re.compile(r"[\[{][^\[\]{}]*[\]}]")
_LINE_BREAK = re.compile(r"\n\s*")
_BESIDE_BRACKET = re.compile(r"(?<=[\[{])\n\s*|\n\s*(?=[\]}])")
_OPPOSITE = {"L": "R", "P": "A", "S": "I"}


def build_report(
    result: SegmentationResult,
    volume: Volume,
    model: Mapping[str, Any],
    prompts: Mapping[str, Any] | None = None,
    statistics: Sequence[ObjectStatistics] | None = None,
    inputs: Mapping[str, str | os.PathLike[str]] | None = None,
    created: str | None = None,
) -> dict[str, Any]:
    """Say what was done and found, in what a JSON writer takes.

    Of files, only the names are given, never the folders; nothing is taken from the scan's header but its grid. The
    same run gives the same report, but for the seconds.

    Args:
        result: What was found.
        volume: The scan.
        model: What the caller knows of the weights, e.g. name, hash and licence.
        prompts: What was prompted, as `prompts_to_json` gives it.
        statistics: More measures of the objects, of `object_statistics`.
        inputs: Further files that were read, by the role they played, e.g. {"reference": path}.
        created: Date and time to note, e.g. in ISO 8601.

    Raises:
        ConfigurationError: The model or the prompts hold something that JSON cannot.
    """
    measured = {one.label: one for one in statistics or ()}
    report: dict[str, Any] = {
        "report_version": REPORT_VERSION,
        "medsam2_version": __version__,
        **({} if created is None else {"created": created}),
        "model": model,
        "input": _input(volume, inputs or {}),
        "settings": _settings(result),
        "prompts": prompts,
        "seconds": round(result.seconds, SECONDS_DECIMALS),
        "warnings": result.warnings,
        "objects": [_object(one, measured.get(one.label), volume.geometry) for one in result.objects],
    }
    plain: dict[str, Any] = _plain(report, "report")
    return plain


def identified(report: Mapping[str, Any], volume: Volume) -> dict[str, Any]:
    """Give a report that also says which DICOM series was segmented, for an archive to find it again.

    Args:
        report: Of `build_report`.
        volume: The scan.

    Returns:
        The report with the UIDs in `input.identity`; None there if the scan was not DICOM.
    """
    header = volume.source.header if volume.source is not None else None
    identity = None
    if isinstance(header, DicomSeries):
        identity = {
            "study_uid": header.study_uid,
            "series_uid": header.series_uid,
            "frame_of_reference_uid": header.frame_of_reference_uid,
        }
    return {**report, "input": {**report["input"], "identity": identity}}


def write_report(report: Mapping[str, Any], path: str | os.PathLike[str]) -> None:
    """Write a report as UTF-8 JSON, whole or not at all; one slice of an object stands on one line.

    Raises:
        FormatError: The file cannot be written.
        ConfigurationError: The report holds something that JSON cannot.
    """
    text = json.dumps(_plain(report, "report"), indent=2, ensure_ascii=False, allow_nan=False)
    with written_whole(Path(path)) as draft:
        # Half a surrogate pair, as in file names that are no UTF-8, is written as JSON's own escape.
        draft.write_text(_INNERMOST.sub(_on_one_line, text) + "\n", encoding="utf-8", errors="backslashreplace")


def orientation(geometry: Geometry) -> str:
    """Give the direction of the patient towards which each voxel axis (i, j, k) runs, e.g. "RAS".

    The letters are those of nibabel: R right, L left, A anterior, P posterior, S superior, I inferior. Of an oblique
    grid, those nearest.
    """
    view = PlaneView.of(geometry, Plane.AXIAL)
    # Frames of the axial view run to S, its rows to P, its columns to L.
    letters = {
        axis: _OPPOSITE[letter] if flipped else letter
        for axis, flipped, letter in zip(view.voxel_axes, view.flipped, "SPL", strict=True)
    }
    return "".join(letters[axis] for axis in range(3))


def _input(volume: Volume, inputs: Mapping[str, str | os.PathLike[str]]) -> dict[str, Any]:
    geometry = volume.geometry
    return {
        "file": volume.source.name if volume.source is not None else None,
        "shape": geometry.size_ijk,
        "spacing_mm": geometry.spacing_mm,
        "orientation": orientation(geometry),
        "rgb": volume.is_rgb,
        "notes": volume.source.notes if volume.source is not None else (),
        "other_files": {role: PurePath(path).name for role, path in inputs.items()},
    }


def _settings(result: SegmentationResult) -> dict[str, Any]:
    settings, window = result.settings, result.window
    return {
        "memory": settings.memory,
        "memory_options": settings.memory_options.given(),
        "memory_seed": settings.memory_seed,
        "plane": settings.plane,
        "window": {"name": window.name, "lower": window.lower, "upper": window.upper},
        "size": settings.size,
        "patience": settings.patience,
        "orientations": settings.orientations,
        "fusion": settings.fusion,
        "interpolate": settings.interpolate,
        "largest_component": settings.largest_component,
        "fill_holes": settings.fill_holes,
    }


def _object(one: ObjectResult, measured: ObjectStatistics | None, geometry: Geometry) -> dict[str, Any]:
    found = set(found_slices(one))
    spacing_mm = geometry.spacing_mm[PlaneView.of(geometry, one.plane).voxel_axis]
    confidences = [slice_.confidence for slice_ in one.slices if slice_.slice_index in found]
    return {
        "name": one.name,
        "label": one.label,
        "plane": one.plane,
        "prompted_slices": one.prompted_slices,
        "first_slice": min(found, default=None),
        "last_slice": max(found, default=None),
        "voxels": one.voxels,
        "volume_ml": one.volume_ml,
        "median_confidence": round(median(confidences), CONFIDENCE_DECIMALS) if confidences else None,
        "next_slices": [_next(slice_) for slice_ in next_slices(one, spacing_mm)],
        "seconds": round(one.seconds, SECONDS_DECIMALS),
        "statistics": None if measured is None else _statistics(measured),
        "slices": [_slice(slice_) for slice_ in one.slices],
    }


def _statistics(measured: ObjectStatistics) -> dict[str, Any]:
    return {
        "mean_intensity": measured.mean_intensity,
        "intensity_std": measured.intensity_std,
        "first_voxel": measured.first_voxel,
        "last_voxel": measured.last_voxel,
        "size_mm": measured.size_mm,
    }


def _slice(one: SliceConfidence) -> dict[str, Any]:
    return {
        "slice": one.slice_index,
        "confidence": round(one.confidence, CONFIDENCE_DECIMALS),
        "object_score": round(one.object_score, CONFIDENCE_DECIMALS),
        "prompted": one.prompted,
    }


def _next(one: NextSlice) -> dict[str, Any]:
    return {"slice": one.slice_index, "doubt": round(one.doubt, CONFIDENCE_DECIMALS)}


def _plain(value: Any, place: str) -> Any:
    """Turn numpy's numbers, tuples and mappings into what JSON knows; numbers that are not finite become None."""
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, str):
        return str(value)  # the text of an enumeration, too
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {_key(key, place): _plain(item, f"{place}.{key}") for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, f"{place}[{number}]") for number, item in enumerate(value)]
    raise ConfigurationError(
        f"{place} is a {type(value).__name__}, which JSON cannot hold; expected text, numbers, lists and dictionaries."
    )


def _key(key: object, place: str) -> str:
    if not isinstance(key, str):
        raise ConfigurationError(f"{place} has the key {key!r}; expected texts as keys, as JSON has no other.")
    return key


def _on_one_line(found: re.Match[str]) -> str:
    # JSON writes line breaks inside texts as \n, so that those found here are only its own.
    line = _LINE_BREAK.sub(" ", _BESIDE_BRACKET.sub("", found[0]))
    return line if len(line) <= LINE_LENGTH else found[0]
