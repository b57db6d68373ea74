"""DDTI: ultrasound pictures of the thyroid with outlined nodules (Pedraza et al. 2015, SPIE 9287).

`N.xml` describes patient N, `N_K.jpg` is the K-th picture. A mark of the XML file holds the number of its picture, and
as `svg` a JSON list of regions, each with the points of a polygon.
"""

from __future__ import annotations

import json
import re
from functools import partial
from pathlib import Path
from xml.etree import ElementTree

from medsam2.datasets.cases import Case, CaseSource
from medsam2.datasets.layout import SEE_THE_TERMS, Layout, Tree, by_case, files_below, nothing_found, split_named
from medsam2.datasets.pictures import filled, picture_labels
from medsam2.datasets.structures import labelled_case
from medsam2.datasets.tnscui import NODULE
from medsam2.errors import FormatError
from medsam2.io import read_volume

LOOKS_LIKE = "N.xml and N_K.jpg"

Outlines = list[list[tuple[float, float]]]
"""Polygons of (x, y), pixels."""

_PICTURE = re.compile(r"\d+_\d+\.jpe?g", re.IGNORECASE)


def find(root: Path) -> Tree:
    """Pictures with at least one outline.

    Raises:
        FormatError: there are none.
    """
    tables, problems = by_case(files_below(root, ".xml"), lambda file: file.stem)
    files, twice = by_case(files_below(root, ".jpg", ".jpeg"), _numbered)
    if not tables or not files:
        raise nothing_found(root, LOOKS_LIKE)
    pictures = {(patient, k): file for name, file in files.items() for patient, _, k in [name.partition("_")]}
    problems += twice
    outlines: dict[tuple[str, str], Outlines] = {}
    for patient, table in tables.items():
        try:
            outlines |= {(patient, number): found for number, found in _outlines(table).items()}
        except FormatError as error:
            problems.append(str(error))
    problems += _unpaired(pictures, outlines, tables)
    sources = tuple(
        CaseSource(path.stem, partial(_read, path, outlines[key]), patient=key[0], split=split_named(path, root))
        for key, path in sorted(pictures.items(), key=lambda one: (int(one[0][0]), int(one[0][1])))
        if outlines.get(key)
    )
    return Tree(sources, tuple(problems))


def _numbered(picture: Path) -> str | None:
    return picture.stem if _PICTURE.fullmatch(picture.name) else None


def _unpaired(
    pictures: dict[tuple[str, str], Path], outlines: dict[tuple[str, str], Outlines], tables: dict[str, Path]
) -> list[str]:
    problems = []
    for (patient, number), path in sorted(pictures.items()):
        if not outlines.get((patient, number)):
            problems.append(f"{path}: has no labels; expected an outline in {patient}.xml, image {number}")
    for patient, number in sorted(outlines.keys() - pictures.keys()):
        problems.append(f"{tables[patient]}: has no image; expected {patient}_{number}.jpg")
    return problems


def _outlines(table: Path) -> dict[str, Outlines]:
    """Outlines by the number of the picture.

    Raises:
        FormatError: the file cannot be read, or is something else.
    """
    found: dict[str, Outlines] = {}
    try:
        for mark in ElementTree.parse(table).getroot().iter("mark"):
            number, drawn = (mark.findtext("image") or "").strip(), mark.findtext("svg")
            regions = json.loads(drawn) if drawn and drawn.strip() else []
            polygons = [[(float(point["x"]), float(point["y"])) for point in one["points"]] for one in regions]
            found.setdefault(number, []).extend(polygons)
    except (OSError, ElementTree.ParseError, ValueError, KeyError, TypeError) as error:
        raise FormatError(f"{table}: expected marks with an image and an svg of JSON polygons ({error!r})") from error
    return found


def _read(picture: Path, outlines: Outlines) -> Case:
    volume = read_volume(picture)
    labels = filled(outlines, volume.geometry.shape[1:]).astype("uint8")
    return labelled_case(picture.stem, volume, picture_labels(labels, picture), NODULE)


DDTI = Layout(
    "ddti",
    "DDTI (Digital Database of Thyroid Ultrasound Images)",
    "Pedraza et al. 2015, An open access thyroid ultrasound image database, SPIE 9287",
    SEE_THE_TERMS,
    LOOKS_LIKE,
    find,
)
