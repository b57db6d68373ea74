"""Organs in the cavity of a trunk, whatever its region: placed, packed so that they touch, and filled."""

from __future__ import annotations

from torch import Tensor

from medsam2.synthetic.canvas import Canvas, Packing
from medsam2.synthetic.shapes import Ellipsoid, Point, paint_tree, vessel_tree
from medsam2.synthetic.trunk import LABEL, Trunk


def place_organ(canvas: Canvas, trunk: Trunk, spot: tuple[float, float], radii: Point) -> Ellipsoid:
    """An ellipsoid in the cavity, jittered.

    Args:
        canvas: Where it will be painted.
        trunk: Whose cavity it is.
        spot: (y, x) of its centre, as shares of the cavity's half-sizes, -1..1.
        radii: (z, y, x), coordinate units, in a cavity of middling size; y and x grow with the cavity.
    """
    source = canvas.source
    grow = source.uniform(0.85, 1.45)
    centre = (
        source.uniform(-1.0, 1.0) * (canvas.depth + 0.3 * radii[0]),
        (spot[0] + source.normal(0, 0.07)) * trunk.height,
        (spot[1] + source.normal(0, 0.07)) * trunk.width,
    )
    scaled = (
        radii[0] * grow,
        radii[1] * grow * trunk.height / 0.55 * source.uniform(0.8, 1.2),
        radii[2] * grow * trunk.width / 0.7 * source.uniform(0.8, 1.2),
    )
    tilt = (source.normal(0, 0.3), source.normal(0, 0.3))
    return Ellipsoid(centre, scaled, source.uniform(-0.5, 0.5), tilt, source.uniform(-0.15, 0.4))


def pack_organ(canvas: Canvas, packing: Packing, organ: Ellipsoid, name: str, rough: Tensor) -> int:
    """Enter an organ into the packing, its surface roughened by a field (T, S, S); return its identifier."""
    window = organ.window(canvas)
    instance = canvas.new_instance(LABEL[name])
    amount = 0.22 * min(organ.radii[1:]) * canvas.source.uniform(0.3, 1.0)
    packing.add(window, organ.level(canvas, window) + amount * rough[window] * canvas.source.sign(), instance)
    return instance


def pack_bowel(canvas: Canvas, trunk: Trunk, packing: Packing, rough: Tensor, loops: int) -> list[tuple[str, int]]:
    """Enter loops of bowel into the packing, anywhere but far behind; return name and identifier of each."""
    source = canvas.source
    placed = []
    for _ in range(loops):
        spot = (source.uniform(-0.9, 0.35), source.uniform(-0.85, 0.85))
        calibre = source.uniform(0.05, 0.15)
        radii = (source.uniform(0.08, 0.25), calibre, calibre * source.uniform(1.0, 2.2))
        loop = place_organ(canvas, trunk, spot, radii)
        placed.append(("bowel wall", pack_organ(canvas, packing, loop, "bowel wall", rough)))
    return placed


def fill_organs(canvas: Canvas, placed: list[tuple[str, int]], deep: Tensor) -> None:
    """Paint what is inside the organs: content and gas, medulla and sinus, vessels, lesions.

    Args:
        canvas: Where the organs were painted.
        placed: Name and identifier of each.
        deep: (T, S, S) how deep each voxel lies inside its organ, as `Packing.paint` returns it.
    """
    source = canvas.source
    hollow = [part for name, part in placed if name in ("stomach wall", "bowel wall")]
    kidneys = [part for name, part in placed if name == "kidney cortex"]
    solid = [part for name, part in placed if name in ("liver", "spleen", "pancreas", "kidney cortex")]
    fields = canvas.field(5.0), canvas.field(9.0)
    for part in hollow:
        _fill_hollow(canvas, part, deep, fields[0])
    for part in kidneys:
        _fill_kidney(canvas, part, deep, fields)
    livers = [part for name, part in placed if name == "liver"]
    if livers and source.chance(0.8):
        inside = canvas.inside(*livers) & (deep > 0.02)
        for _ in range(source.integer(1, 3)):
            root = inner_point(canvas, inside)
            heading = (source.normal(0, 0.05), source.normal(0, 0.09), source.normal(0, 0.09))
            tubes = vessel_tree(source, root, heading, source.uniform(0.015, 0.035))
            paint_tree(canvas, tubes, LABEL["organ vessels"], livers[0], inside)
    for part in solid:
        paint_lesions(canvas, part, source.integer(0, 3))


def _fill_hollow(canvas: Canvas, part: int, deep: Tensor, field: Tensor) -> None:
    source = canvas.source
    stomach = canvas.inside(part)
    name = "stomach content" if canvas.label_of(part) == LABEL["stomach wall"] else "bowel content"
    lumen = stomach & (deep > source.uniform(0.008, 0.03))
    if source.chance(0.2):
        return
    content = canvas.paint(lumen, LABEL[name], part)
    if source.chance(0.5):
        surface = source.uniform(-0.5, 0.4)
        tilt = canvas.y + 0.05 * field if source.chance(0.3) else canvas.y
        canvas.paint(lumen & (tilt < surface), LABEL["gas"], content)
    elif source.chance(0.3):
        canvas.paint(lumen & (canvas.field(22.0) > source.uniform(0.5, 1.5)), LABEL["gas"], content)


def _fill_kidney(canvas: Canvas, part: int, deep: Tensor, fields: tuple[Tensor, Tensor]) -> None:
    source = canvas.source
    kidney = canvas.inside(part)
    if source.chance(0.75):
        canvas.paint(kidney & (deep + 0.02 * fields[1] > source.uniform(0.02, 0.04)), LABEL["kidney medulla"], part)
    if source.chance(0.8):
        canvas.paint(kidney & (deep + 0.02 * fields[0] > source.uniform(0.045, 0.075)), LABEL["kidney sinus"], part)


def paint_lesions(canvas: Canvas, part: int, count: int) -> None:
    """Paint `count` bumpy lesions or cysts in an organ (`part`), cut off at its outline."""
    source = canvas.source
    organ = canvas.inside(part)
    for _ in range(count):
        radius = source.log_uniform(0.02, 0.14)
        centre = inner_point(canvas, organ)
        blob = Ellipsoid(centre, (radius * source.uniform(0.7, 1.3), radius, radius * source.uniform(0.6, 1.4)))
        window = blob.window(canvas)
        bumpy = blob.level(canvas, window) + 0.25 * radius * canvas.field(8.0)[window]
        lesion = canvas.new_instance(LABEL[source.choice(("lesion", "cyst"), (3, 1))], part)
        canvas.paint_window(window, (bumpy < 0) & organ[window], lesion)


def inner_point(canvas: Canvas, inside: Tensor) -> Point:
    """A random voxel of a mask, as a point; mid-slab where the mask is empty."""
    voxels = inside.flatten().nonzero()[:, 0]
    if len(voxels) == 0:
        return (0.0, 0.0, 0.0)
    chosen = voxels[canvas.source.integer(0, len(voxels) - 1)]
    return (
        float(canvas.z.flatten()[chosen]),
        float(canvas.y.flatten()[chosen]),
        float(canvas.x.flatten()[chosen]),
    )
