"""Reading lines, arrows and outlines of DICOM presentation states (PS3.3, C.10.5) as annotations.

Shapes that share a tracking UID are one object, and so are two lines of an annotation that cross: the diameters of one
lesion. Any other shape is an object of its own. An arrow means what its tip points at. Texts are not read: they may say
anything.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from pydicom import Dataset

from medsam2.io.annotated_series import AnnotatedSeries, ImageReference, image_reference
from medsam2.io.annotation import Annotation, Drawing
from medsam2.io.drawn_shapes import add_shape, cross
from medsam2.spatial import FloatArray

TIP_PIXELS = 1.0
"""An arrow's head and its shaft, or a text's anchor, meet within this distance."""

ARROW, LINE = "ARROW", "POLYLINE"


@dataclass(frozen=True, eq=False)
class _Shape:
    """A shape on a slice: DICOM's graphic type, (N, 3) voxel indices, and the tracking UID and name, "" without."""

    kind: str
    points: FloatArray
    tracking: str = ""
    name: str = ""


def read(dataset: Dataset, series: AnnotatedSeries) -> tuple[list[Annotation], list[str]]:
    """Read what is drawn on the slices of the series.

    Args:
        dataset: Of a presentation state.
        series: The series that it must belong to.

    Returns:
        The objects, and what to tell the user of what cannot be used.

    Raises:
        FormatError: It belongs to another series.
        GeometryError: An outline reaches beyond the image.
    """
    listed = list(dataset.get("ReferencedSeriesSequence") or ())
    images = [image_reference(item) for one in listed for item in one.get("ReferencedImageSequence") or ()]
    series.check_belongs({str(one.SeriesInstanceUID) for one in listed}, {uid for uid, _ in images}, "")
    groups: dict[str, list[_Shape]] = {}
    notes: list[str] = []
    for number, item in enumerate(dataset.get("GraphicAnnotationSequence") or ()):
        k = _slice(item, images, series)
        shapes = list(_shapes(item, series, k or 0, notes))
        if k is None:
            notes += ["A drawing on several images, or on none of the input's, was left out."] if shapes else []
            continue
        for place, group in enumerate(_grouped(shapes)):
            groups.setdefault(group[0].tracking or f"{number}.{place}", []).extend(group)
    objects = [_object(group, series, notes) for group in groups.values()]
    return [one for one in objects if one is not None], list(dict.fromkeys(notes))


def _slice(item: Dataset, images: list[ImageReference], series: AnnotatedSeries) -> int | None:
    """Give the only slice that a drawing applies to: those it names, else all of the presentation state."""
    own = [image_reference(image) for image in item.get("ReferencedImageSequence") or ()] or images
    places = {series.slice_of(reference) for reference in own}
    return places.pop() if len(places) == 1 else None


def _shapes(item: Dataset, series: AnnotatedSeries, k: int, notes: list[str]) -> Iterator[_Shape]:
    anchors = [text for text in item.get("TextObjectSequence") or () if text.get("AnchorPoint")]
    tips = [points for text in anchors if (points := _points(text, "AnchorPoint", series, k)) is not None]
    compounds = list(item.get("CompoundGraphicSequence") or ())
    redrawn = {one.get("CompoundGraphicInstanceID") for one in compounds} - {None}
    simple = [
        one for one in item.get("GraphicObjectSequence") or () if one.get("CompoundGraphicInstanceID") not in redrawn
    ]
    shapes: list[_Shape] = []
    for one in (*compounds, *simple):
        kind = str(one.get("CompoundGraphicType") or one.get("GraphicType") or "")
        points = _points(one, "GraphicData", series, k)
        if points is None or one.get("RotationAngle"):
            notes.append("A shape that is turned, or laid on the screen instead of the image, was left out.")
            continue
        shapes.append(_Shape(kind, points, str(one.get("TrackingUID") or ""), str(one.get("TrackingID") or "")))
    yield from _with_arrows(shapes, tips)
    if not shapes:
        # A text with a line to a place is an arrow, too.
        visible = [text for text in anchors if text.get("AnchorPointVisibility") == "Y"]
        tips = [points for text in visible if (points := _points(text, "AnchorPoint", series, k)) is not None]
        yield from (_Shape("POINT", tip) for tip in tips)


def _points(item: Dataset, keyword: str, series: AnnotatedSeries, k: int) -> FloatArray | None:
    """Read the points of a shape, None if they do not count pixels of the image."""
    units = "AnchorPointAnnotationUnits" if keyword == "AnchorPoint" else "GraphicAnnotationUnits"
    if (item.get(units) or item.get("CompoundGraphicUnits")) != "PIXEL":
        return None
    points = np.array(item.get(keyword) or (), dtype=np.float64).reshape(-1, 2)
    return series.pixels_to_index(points, k)


def _with_arrows(shapes: list[_Shape], tips: list[FloatArray]) -> Iterator[_Shape]:
    """Make arrows to points: of ARROW, the end with a text's anchor, else the second; of lines, the end with a head."""
    heads = [shape for shape in shapes if shape.kind == LINE and len(shape.points) in (3, 4)]
    used: set[int] = set()
    for shape in shapes:
        is_line = shape.kind in (LINE, ARROW) and len(shape.points) == 2
        tip = None
        if is_line and shape.kind == ARROW:
            near = [end for end in shape.points for place in tips if _near(end, place[0])]
            tip = near[0] if len(near) == 1 else shape.points[1]
        elif is_line:
            head = next((one for one in heads if any(_near(end, one.points[1]) for end in shape.points)), None)
            if head is not None:
                used.add(id(head))
                tip = head.points[1]
        if tip is not None:
            used.add(id(shape))
            yield _Shape("POINT", tip[None], shape.tracking, shape.name)
    yield from (shape for shape in shapes if id(shape) not in used)


def _near(one: FloatArray, other: FloatArray) -> bool:
    return bool(np.linalg.norm(one - other) <= TIP_PIXELS)


def _grouped(shapes: list[_Shape]) -> Iterator[list[_Shape]]:
    """Put two lines that cross into one group; anything else stands alone."""
    rest = list(shapes)
    while rest:
        group = [rest.pop(0)]
        first = group[0]
        if first.kind == LINE and len(first.points) == 2:
            lines = [one for one in rest if one.kind == LINE and len(one.points) == 2]
            crossing = [one for one in lines if cross(first.points, one.points) and one.tracking == first.tracking]
            if len(crossing) == 1:
                rest.remove(crossing[0])
                group.append(crossing[0])
        yield group


def _object(group: list[_Shape], series: AnnotatedSeries, notes: list[str]) -> Annotation | None:
    drawing = Drawing(next((shape.name for shape in group if shape.name), ""), series.geometry)
    for shape in group:
        problem = add_shape(drawing, shape.kind, shape.points)
        if problem:
            notes.append(f"A {problem} was left out.")
    return drawing.finished()
