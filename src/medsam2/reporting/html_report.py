"""The HTML report of a segmentation: one file with pictures, statistics, warnings and settings, and no script.

It says what the JSON report says, and shows each object in three planes and on the slices that were prompted. Nothing
is loaded from elsewhere, and the page forbids it.
"""

from __future__ import annotations

import base64
import io
import os
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from PIL import Image

from medsam2.engine.volume_result import ObjectResult, SegmentationResult
from medsam2.io.atomic import written_whole
from medsam2.prompts import ResolvedObject
from medsam2.reporting.confidence_plot import confidence_plot
from medsam2.reporting.object_pictures import MOST_OBJECTS, Picture, object_pictures
from medsam2.reporting.palette import object_colour
from medsam2.reporting.scene import Scene
from medsam2.reporting.statistics import format_ml
from medsam2.spatial import PlaneView, Volume

NOTHING = "-"
"""Stands where there is no number."""

POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
"""What a browser may load: nothing that is not in the file."""

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #1c2126; max-width: 1420px; margin: 2em auto; padding: 0 1.5em; }
h1 { font-size: 1.5em; margin: 0; } h2 { font-size: 1.15em; margin: 2em 0 .5em; } .muted { color: #66707a; }
table { border-collapse: collapse; } th, td { padding: .25em .9em .25em 0; text-align: left; vertical-align: top; }
th { font-weight: 600; color: #66707a; } td.number, th.number { text-align: right; }
.overview { width: 100%; } .overview tr + tr td { border-top: 1px solid #dde2e6; }
.swatch { display: inline-block; width: .8em; height: .8em; border-radius: 2px; margin-right: .5em; }
.warnings { background: #fff4dc; border-left: 4px solid #e69f00; padding: .5em 1em; } .warnings ul { margin: 0; }
.pictures { display: flex; flex-wrap: wrap; gap: 10px; } figure { margin: 0; } figure img { display: block; }
figure img { max-width: 100%; background: #0d0f12; border-radius: 4px; } figcaption { font-size: .85em; }
section { break-inside: avoid; } .plot { width: 100%; max-width: 720px; margin-top: .8em; }
.plot polyline { fill: none; stroke-width: 2; } .plot .grid { stroke: #dde2e6; }
.plot .axis { font-size: 12px; fill: #66707a; } .plot .prompt { stroke: #66707a; stroke-dasharray: 3 3; }
"""

LEGEND = (
    "Coloured: result. White band: drawn mask. Dashes: box. Green and red dots: clicks inside and outside. In the "
    "plot, dashed lines mark prompted slices. Confidence is the network's own estimate of the overlap with the truth."
)


def html_report(
    report: Mapping[str, Any],
    volume: Volume,
    result: SegmentationResult,
    prompts: Sequence[ResolvedObject] | None = None,
) -> str:
    """Write a report as one HTML page.

    Args:
        report: Of `build_report`, with statistics if they are to be shown.
        volume: The scan.
        result: What was found in it.
        prompts: What was prompted, to be drawn, too.

    Raises:
        GeometryError: The result is not on the scan's grid.
    """
    scene = Scene(volume, result, {one.label: one for one in prompts or ()})
    entries = list(zip(report["objects"], result.objects, strict=True))
    sections = [_object(scene, number, entry, one) for number, (entry, one) in enumerate(entries)]
    return "\n".join(
        [
            '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">',
            '<meta name="viewport" content="width=device-width">\n<meta name="robots" content="noindex">',
            f"<title>Segmentation report</title>\n<style>{STYLE}</style>\n</head>\n<body>",
            _head(report),
            _warnings([*report["input"].get("notes", ()), *report["warnings"]]),
            "<h2>Objects</h2>",
            _overview(report["objects"], scene),
            *sections[:MOST_OBJECTS],
            _hidden(len(sections) - MOST_OBJECTS),
            "<h2>Settings</h2>",
            _settings(report),
            f'<p class="muted">{escape(LEGEND)}</p>',
            "</body>\n</html>\n",
        ]
    )


def write_html_report(page: str, path: str | os.PathLike[str]) -> None:
    """Write a page as UTF-8, whole or not at all.

    Raises:
        FormatError: The file cannot be written.
    """
    with written_whole(Path(path)) as draft:
        draft.write_text(page, encoding="utf-8", errors="xmlcharrefreplace")


def _head(report: Mapping[str, Any]) -> str:
    scan = report["input"]
    size = " x ".join(str(n) for n in scan["shape"])
    spacing = " x ".join(f"{value:.3g}" for value in scan["spacing_mm"])
    facts = {
        "Scan": scan["file"] or NOTHING,
        "Grid": f"{size} voxels of {spacing} mm, {scan['orientation']}",
        "Model": report["model"].get("name", NOTHING),
        "medsam2": report["medsam2_version"],
        "Made": report.get("created"),
        "Time": f"{report['seconds']:.1f} s",
        **{_words(key)[0].upper() + _words(key)[1:]: value for key, value in (scan.get("identity") or {}).items()},
    }
    note = "Made by software for research; not a medical device. Check every contour before use."
    return f'<h1>Segmentation report</h1>\n<p class="muted">{note}</p>\n{_facts(facts)}'


def _warnings(warnings: Sequence[str]) -> str:
    items = "".join(f"<li>{escape(warning)}</li>" for warning in warnings)
    return f'<div class="warnings"><ul>{items}</ul></div>' if warnings else ""


def _overview(objects: Iterable[Mapping[str, Any]], scene: Scene) -> str:
    size = "pixels" if scene.is_picture else "volume, mL"
    numbers = (size, "extent i x j x k, mm", "slices", "median confidence", "intensity, mean ± sd")
    head = "<th>object</th><th>label</th>" + "".join(f'<th class="number">{title}</th>' for title in numbers)
    rows = "".join(f"<tr>{_row(number, entry, scene)}</tr>" for number, entry in enumerate(objects))
    return f'<table class="overview"><tr>{head}</tr>{rows}</table>'


def _row(number: int, entry: Mapping[str, Any], scene: Scene) -> str:
    measured = entry["statistics"] or {}
    extent, mean, std = (measured.get(key) for key in ("size_mm", "mean_intensity", "intensity_std"))
    found = entry["first_slice"] is not None
    cells = (
        f"{entry['voxels']:,}" if scene.is_picture else format_ml(entry["volume_ml"]),
        " x ".join(f"{value:.1f}" for value in extent) if extent and not scene.is_picture else NOTHING,
        f"{entry['first_slice']}..{entry['last_slice']}" if found else "not found",
        NOTHING if entry["median_confidence"] is None else f"{entry['median_confidence']:.2f}",
        NOTHING if mean is None else f"{mean:.1f} ± {std:.1f}",
    )
    name = f"{_swatch(number)}{escape(entry['name'])}"
    return f"<td>{name}</td><td>{entry['label']}</td>" + "".join(f'<td class="number">{cell}</td>' for cell in cells)


def _object(scene: Scene, number: int, entry: Mapping[str, Any], one: ObjectResult) -> str:
    axis = "ijk"[PlaneView.of(scene.volume.geometry, one.plane).voxel_axis]
    doubtful = ", ".join(str(slice_["slice"]) for slice_ in entry["next_slices"])
    pictures = object_pictures(scene, number, one) if number < MOST_OBJECTS else []
    parts = [
        f"<section><h2>{_swatch(number)}{escape(one.name)}</h2>",
        f'<div class="pictures">{"".join(map(_figure, pictures))}</div>',
        confidence_plot(one.slices, object_colour(number), axis) if len(one.slices) > 1 else "",
        f"<p>One more prompt would help most on slice {axis} = {doubtful}.</p>" if doubtful else "",
        "</section>",
    ]
    return "\n".join(part for part in parts if part)


def _figure(picture: Picture) -> str:
    caption = escape(picture.caption)
    image = picture.image
    return (
        f'<figure><img src="{_data_url(image)}" width="{image.width}" height="{image.height}" alt="{caption}">'
        f"<figcaption>{caption}</figcaption></figure>"
    )


def _data_url(image: Image.Image) -> str:
    buffer = io.BytesIO()
    image.save(buffer, format="PNG")
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"


def _hidden(count: int) -> str:
    return f'<p class="muted">{count} more objects are in the table only.</p>' if count > 0 else ""


def _settings(report: Mapping[str, Any]) -> str:
    settings = dict(report["settings"])
    window = settings.pop("window")
    shown = {"window": f"{window['name']} ({window['lower']:g} to {window['upper']:g})", **settings}
    others = {f"file: {role}": name for role, name in report["input"]["other_files"].items()}
    return _facts({**{_words(key): _value(value) for key, value in shown.items()}, **others})


def _facts(facts: Mapping[str, Any]) -> str:
    rows = ((escape(str(key)), escape(str(value))) for key, value in facts.items() if value is not None)
    return "<table>" + "".join(f"<tr><th>{key}</th><td>{value}</td></tr>" for key, value in rows) + "</table>"


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return ", ".join(f"{key} = {one}" for key, one in value.items()) or NOTHING
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or NOTHING
    return NOTHING if value is None else str(value)


def _words(key: str) -> str:
    return key.replace("_", " ").replace(" uid", " UID")


def _swatch(number: int) -> str:
    return '<span class="swatch" style="background: rgb({}, {}, {})"></span>'.format(*object_colour(number))
