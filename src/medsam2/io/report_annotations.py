"""Reading coordinates of DICOM structured reports (TID 1500 and the like) as annotations.

What stands in one measurement group (TID 1410, 1411, 1501) is one object; coordinates elsewhere are objects of their
own. An object's name is its tracking identifier, else what it is a finding of.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from pydicom import Dataset

from medsam2.io.annotated_series import AnnotatedSeries, image_reference
from medsam2.io.annotation import Annotation, Drawing
from medsam2.io.drawn_shapes import add_shape

MEASUREMENT_GROUP = ("125007", "DCM")
TRACKING_IDENTIFIER = ("112039", "DCM")
FINDINGS = (("121071", "DCM"), ("276214006", "SCT"), ("363698007", "SCT"))
"""Finding, finding category, finding site."""

IN_IMAGE, IN_PATIENT = "SCOORD", "SCOORD3D"
Place = tuple[int, ...]


def read(dataset: Dataset, series: AnnotatedSeries) -> tuple[list[Annotation], list[str]]:
    """Read each measurement group.

    Args:
        dataset: Of a structured report.
        series: The series that it must belong to.

    Returns:
        The objects, and what to tell the user of what cannot be used.

    Raises:
        FormatError: It belongs to another series.
        GeometryError: An outline lies in no slice of the series.
    """
    items = dict(_items(dataset))
    coordinates = {place: item for place, item in items.items() if item.get("ValueType") in (IN_IMAGE, IN_PATIENT)}
    _check_belongs(dataset, items, coordinates, series)
    groups: dict[Place, list[Place]] = {}
    for place in coordinates:
        groups.setdefault(_group_of(place, items), []).append(place)
    found, notes = [], []
    for group, places in groups.items():
        drawing = Drawing(_name(items[group]), series.geometry)
        reasons = [_draw(drawing, coordinates[place], items, series) for place in dict.fromkeys(places)]
        notes += [f"{drawing.name or 'A measurement'}: a {reason} was left out." for reason in reasons if reason]
        annotation = drawing.finished()
        if annotation is not None:
            found.append(annotation)
    return found, list(dict.fromkeys(notes))


def _items(item: Dataset, place: Place = (1,)) -> Iterator[tuple[Place, Dataset]]:
    """Give each content item with its place: numbers from 1 on each level, as references count (PS3.3, C.17.3.2.5)."""
    yield place, item
    for number, child in enumerate(item.get("ContentSequence") or (), start=1):
        yield from _items(child, (*place, number))


def _check_belongs(
    dataset: Dataset, items: dict[Place, Dataset], coordinates: dict[Place, Dataset], series: AnnotatedSeries
) -> None:
    evidence = ("CurrentRequestedProcedureEvidenceSequence", "PertinentOtherEvidenceSequence")
    studies = [study for keyword in evidence for study in dataset.get(keyword) or ()]
    listed = [one for study in studies for one in study.get("ReferencedSeriesSequence") or ()]
    images = {
        str(image.ReferencedSOPInstanceUID)
        for item in coordinates.values()
        for image in (_image(child) for child in _children(item, items))
        if image is not None
    }
    frames = {str(item.get("ReferencedFrameOfReferenceUID") or "") for item in coordinates.values()} - {""}
    ours = series.series.frame_of_reference_uid
    if frames and not images and ours in frames:
        return  # Places in the patient are true of every series with this frame of reference.
    series.check_belongs({str(one.SeriesInstanceUID) for one in listed}, images, "")


def _group_of(place: Place, items: dict[Place, Dataset]) -> Place:
    """Give the innermost measurement group around an item, else the item's parent."""
    for length in range(len(place) - 1, 0, -1):
        if _code(items[place[:length]]) == MEASUREMENT_GROUP:
            return place[:length]
    return place


def _name(group: Dataset) -> str:
    children = [group, *(group.get("ContentSequence") or ())]
    for child in children:
        if _code(child) == TRACKING_IDENTIFIER and child.get("TextValue"):
            return str(child.TextValue)
    for child in children:
        if _code(child) in FINDINGS and child.get("ConceptCodeSequence"):
            return str(child.ConceptCodeSequence[0].get("CodeMeaning") or "")
    return ""


def _draw(drawing: Drawing, item: Dataset, items: dict[Place, Dataset], series: AnnotatedSeries) -> str:
    """Add coordinates to their object; say what they are if they cannot be used, else ""."""
    kind = str(item.get("GraphicType") or "")
    if item.ValueType == IN_PATIENT:
        if str(item.get("ReferencedFrameOfReferenceUID") or "") != series.series.frame_of_reference_uid:
            return "shape in another frame of reference"
        points = series.lps_to_index(np.array(item.GraphicData, dtype=np.float64).reshape(-1, 3))
        return add_shape(drawing, kind, points)
    images = [image for child in _children(item, items) if (image := _image(child)) is not None]
    k = series.slice_of(image_reference(images[0])) if len(images) == 1 else None
    if k is None or item.get("PixelOriginInterpretation") == "VOLUME":
        return "shape on an image that is no slice of the input"
    pixels = np.array(item.GraphicData, dtype=np.float64).reshape(-1, 2)
    return add_shape(drawing, kind, series.pixels_to_index(pixels, k))


def _children(item: Dataset, items: dict[Place, Dataset]) -> list[Dataset]:
    """Give what an item contains, by value or by reference to another item."""
    children = []
    for child in item.get("ContentSequence") or ():
        target = child.get("ReferencedContentItemIdentifier")
        place = tuple(map(int, (target,) if isinstance(target, int) else target or ()))
        children.append(items.get(place, child))
    return children


def _image(item: Dataset) -> Dataset | None:
    references = item.get("ReferencedSOPSequence") if item.get("ValueType") == "IMAGE" else None
    return references[0] if references else None


def _code(item: Dataset) -> tuple[str, str] | None:
    names = item.get("ConceptNameCodeSequence")
    return (str(names[0].get("CodeValue")), str(names[0].get("CodingSchemeDesignator"))) if names else None
