"""Trunk scenes: outline, fat, muscle, bones, and organs packed so that they touch."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from medsam2.synthetic.canvas import Canvas, Extent, Packing
from medsam2.synthetic.random_source import RandomSource
from medsam2.synthetic.shapes import Ellipsoid, Point, Tube, paint_tree, random_path, random_point, vessel_tree
from medsam2.synthetic.slab import Slab, Structure

STRUCTURES = (
    Structure("outside", "air"),
    Structure("skin", "skin"),
    Structure("subcutaneous fat", "fat"),
    Structure("muscle", "muscle"),
    Structure("visceral fat", "fat"),
    Structure("bone cortex", "cortex"),
    Structure("bone marrow", "marrow"),
    Structure("spinal canal", "fluid"),
    Structure("liver", "organ"),
    Structure("spleen", "organ"),
    Structure("kidney cortex", "kidney"),
    Structure("kidney medulla", "kidney"),
    Structure("kidney sinus", "fat"),
    Structure("stomach wall", "wall"),
    Structure("stomach content", "content"),
    Structure("bowel wall", "wall"),
    Structure("bowel content", "content"),
    Structure("gas", "gas"),
    Structure("aorta", "vessel"),
    Structure("vein", "vessel"),
    Structure("pancreas", "soft"),
    Structure("gallbladder", "fluid"),
    Structure("bladder", "fluid"),
    Structure("uterus or prostate", "soft"),
    Structure("lesion", "lesion"),
    Structure("cyst", "fluid"),
    Structure("organ vessels", "vessel"),
    Structure("adrenal gland", "soft"),
    Structure("lung", "lung"),
    Structure("airway", "gas"),
    Structure("lung vessels", "soft"),
    Structure("heart muscle", "heart"),
    Structure("heart chamber", "blood"),
    Structure("oesophagus", "wall"),
    Structure("calcification", "calcium"),
    Structure("back muscle", "muscle"),
    Structure("psoas", "muscle"),
    Structure("table", "soft"),
)
_LABEL = {structure.name: label for label, structure in enumerate(STRUCTURES)}


@dataclass(frozen=True)
class Trunk:
    """The painted frame of a trunk.

    Attributes:
        level: (T, S, S) distance-like level of the cavity, negative inside.
        width: Half-width of the cavity, coordinate units.
        height: Half-height of the cavity.
        cavity: Identifier of the visceral-fat instance.
        muscle: Thickness of the muscle layer, coordinate units.
    """

    level: Tensor
    width: float
    height: float
    cavity: int
    muscle: float


def paint_body(extent: Extent, source: RandomSource, region: str | None = None) -> Slab:
    """Paint a chest, an abdomen or a pelvis; by default any of them."""
    canvas = Canvas(extent, source, warp=source.uniform(0.02, 0.06), warp_cells=source.uniform(2.0, 4.5))
    region = region or source.choice(("abdomen", "chest", "pelvis"), (5, 3, 2))
    trunk = _paint_wall(canvas, region)
    if region == "chest":
        _paint_chest(canvas, trunk)
    elif region == "pelvis":
        _paint_pelvis(canvas, trunk)
    else:
        _paint_abdomen(canvas, trunk)
    _paint_spine(canvas, trunk)
    return canvas.finish(STRUCTURES, "body")


def _paint_wall(canvas: Canvas, region: str) -> Trunk:
    source = canvas.source
    width, height = source.uniform(0.72, 0.97), source.uniform(0.5, 0.78)
    outline = Ellipsoid((0, 0, 0), (9.0, height, width), boxiness=source.uniform(0.0, 0.5)).level(canvas)
    skin, fat = source.uniform(0.008, 0.02), source.uniform(0.015, 0.16)
    muscle = source.uniform(0.04, 0.1) * (source.uniform(1.2, 3.0) if region == "pelvis" else 1.0)
    canvas.paint(outline < 0, _LABEL["skin"])
    canvas.paint(outline < -skin, _LABEL["subcutaneous fat"])
    fat_field = fat * (1.0 + 0.3 * canvas.field(2.0)).clamp(min=0.2)
    wall = outline + skin + fat_field
    back = 0.6 * muscle * ((canvas.y / height - 0.35) * 3).clamp(0.0, 1.5)
    ripple = 0.012 * canvas.field(5.0)
    flesh = canvas.paint(wall + ripple < 0, _LABEL["muscle"])
    level = wall + muscle + back + ripple
    cavity = canvas.paint(level < 0, _LABEL["visceral fat"])
    _paint_septa(canvas, flesh, source.uniform(0.0, 0.012))
    if region == "chest" or (region == "abdomen" and source.chance(0.6)):
        _paint_ribs(canvas, wall, muscle)
    if source.chance(0.2):
        _paint_table(canvas, height)
    inset = skin + fat + muscle
    return Trunk(level, width - inset, height - inset - 0.3 * muscle, cavity, muscle)


def _paint_septa(canvas: Canvas, flesh: int, width: float) -> None:
    """Thin sheets of fat between muscles: the zero lines of a field."""
    cells = canvas.source.uniform(3.0, 7.0)
    sheets = canvas.field(cells).abs() * (0.9 / cells) < width
    canvas.paint(canvas.inside(flesh) & sheets, _LABEL["subcutaneous fat"])


def _paint_table(canvas: Canvas, height: float) -> None:
    """The scanner's couch below the patient."""
    line = canvas.y - height - canvas.source.uniform(0.02, 0.1) + 0.1 * canvas.x**2
    canvas.paint((line.abs() < canvas.source.uniform(0.008, 0.02)) & (canvas.instances == 0), _LABEL["table"])


def _paint_ribs(canvas: Canvas, wall: Tensor, muscle: float) -> None:
    """Ribs: slanted rings in mid-wall, cut into pieces by the slices."""
    source = canvas.source
    frequency, slant = source.uniform(4.0, 7.0), source.uniform(0.6, 1.6)
    turns = canvas.z * frequency + slant * canvas.y * frequency / 4 + source.uniform(0, 1)
    turns = turns + 0.25 * (canvas.x > 0) + 0.05 * canvas.field(3.0)
    swell = torch.cos(2 * math.pi * turns) * 0.5 + 0.5
    half = (swell - source.uniform(0.35, 0.6)).clamp(min=0.0) * muscle * 0.8
    distance = (wall + 0.55 * muscle).abs()
    mask = distance < half
    back = canvas.y < source.uniform(0.2, 0.6)
    bones = canvas.paint(mask & back, _LABEL["bone cortex"])
    canvas.paint((distance < half - 0.012) & back, _LABEL["bone marrow"], bones)


def _paint_spine(canvas: Canvas, trunk: Trunk) -> None:
    source = canvas.source
    size = source.uniform(0.1, 0.16)
    middle = trunk.height - size * source.uniform(0.5, 1.2)
    _paint_back(canvas, trunk, middle, size)
    body = Ellipsoid((0, middle, 0), (9.0, size * 0.85, size * 1.1), boxiness=0.25)
    window = body.window(canvas)
    level = body.level(canvas, window) + 0.008 * canvas.field(6.0)[window]
    canal = Ellipsoid((0, middle + size * 1.15, 0), (9.0, size * 0.42, size * 0.5)).level(canvas)
    arch = (canal < size * 0.22) & (canvas.y > middle)
    for side in (-1.0, 1.0):
        tip = (
            source.uniform(-0.1, 0.1),
            middle + size * source.uniform(0.9, 1.5),
            side * size * source.uniform(1.5, 2.2),
        )
        process = Tube(((0.0, middle + size, side * size * 0.5), tip), (size * 0.3, size * 0.18))
        process.paint(canvas, canvas.new_instance(_LABEL["bone cortex"]))
    spike = Tube(((0, middle + size * 1.5, 0), (0.05, middle + size * 2.4, 0)), (size * 0.22, size * 0.15))
    spike.paint(canvas, canvas.new_instance(_LABEL["bone cortex"]))
    vertebra = canvas.paint(arch, _LABEL["bone cortex"])
    canvas.paint_window(window, level < 0, vertebra)
    marrow = canvas.new_instance(_LABEL["bone marrow"], vertebra)
    canvas.paint_window(window, level < -source.uniform(0.008, 0.02), marrow)
    canvas.paint(canal < 0, _LABEL["spinal canal"])


def _paint_back(canvas: Canvas, trunk: Trunk, middle: float, size: float) -> None:
    """The long muscles beside the spine, behind it and in front of its processes."""
    source = canvas.source
    for side in (-1.0, 1.0):
        spot = (0.0, middle + size * 1.5, side * size * 1.5)
        back = Ellipsoid(spot, (9.0, size * source.uniform(0.7, 1.1), size * source.uniform(1.1, 1.6)), boxiness=0.2)
        inner = trunk.level < trunk.muscle + 0.02
        canvas.paint((back.level(canvas) + 0.01 * canvas.field(5.0) < 0) & inner, _LABEL["back muscle"])
    if source.chance(0.7):
        girth = size * source.uniform(0.3, 0.75)
        for side in (-1.0, 1.0):
            spot = (source.uniform(-1, 1) * canvas.depth, middle + size * 0.3, side * (size * 1.2 + girth))
            psoas = Ellipsoid(spot, (source.uniform(0.3, 3.0), girth * 1.2, girth), tilt=(-0.1, side * -0.2))
            window = psoas.window(canvas)
            mask = (psoas.level(canvas, window) < 0) & (canvas.instances[window] == trunk.cavity)
            canvas.paint_window(window, mask, canvas.new_instance(_LABEL["psoas"]))


def _place(canvas: Canvas, trunk: Trunk, spot: tuple[float, float], radii: Point) -> Ellipsoid:
    """An ellipsoid at a spot given as shares of the cavity's half-sizes, jittered."""
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


def _pack(canvas: Canvas, packing: Packing, organ: Ellipsoid, name: str, rough: Tensor) -> int:
    """Enter an organ into the packing, its surface roughened; return its identifier."""
    window = organ.window(canvas)
    instance = canvas.new_instance(_LABEL[name])
    amount = 0.22 * min(organ.radii[1:]) * canvas.source.uniform(0.3, 1.0)
    packing.add(window, organ.level(canvas, window) + amount * rough[window] * canvas.source.sign(), instance)
    return instance


_ABDOMEN: tuple[tuple[str, tuple[float, float], Point], ...] = (  # name, (y, x) share of the cavity, radii
    ("liver", (-0.15, -0.5), (0.55, 0.36, 0.36)),
    ("liver", (-0.4, -0.1), (0.35, 0.2, 0.3)),
    ("spleen", (0.2, 0.72), (0.3, 0.2, 0.13)),
    ("kidney cortex", (0.5, -0.45), (0.3, 0.13, 0.12)),
    ("kidney cortex", (0.5, 0.45), (0.3, 0.13, 0.12)),
    ("stomach wall", (-0.35, 0.45), (0.35, 0.18, 0.25)),
    ("pancreas", (0.0, 0.05), (0.12, 0.06, 0.28)),
    ("gallbladder", (-0.3, -0.35), (0.14, 0.09, 0.08)),
    ("aorta", (0.42, 0.08), (9.0, 0.06, 0.06)),
    ("vein", (0.4, -0.14), (9.0, 0.06, 0.075)),
    ("adrenal gland", (0.3, 0.3), (0.1, 0.05, 0.03)),
    ("adrenal gland", (0.3, -0.3), (0.1, 0.05, 0.03)),
)


def _paint_abdomen(canvas: Canvas, trunk: Trunk) -> None:
    source = canvas.source
    rough = canvas.rough_field(source.uniform(4.0, 8.0))
    _paint_mesentery(canvas, trunk)
    packing = Packing(canvas, source.choice((0.0, 0.004, 0.01, 0.02)))
    placed: list[tuple[str, int]] = []
    for name, spot, radii in _ABDOMEN:
        if source.chance(0.88):
            placed.append((name, _pack(canvas, packing, _place(canvas, trunk, spot, radii), name, rough)))
    placed += _pack_bowel(canvas, trunk, packing, rough, source.integer(5, 22))
    deep = packing.paint(trunk.level < -0.01)
    _fill_organs(canvas, placed, deep)
    if source.chance(0.35):
        _paint_lung_bases(canvas, trunk)


def _paint_mesentery(canvas: Canvas, trunk: Trunk) -> None:
    """Small vessels that run through the fat between the organs."""
    source = canvas.source
    inside = trunk.level < -0.02
    for _ in range(source.integer(0, 4)):
        root = (source.uniform(-1, 1) * canvas.depth, source.uniform(-0.3, 0.4), source.uniform(-0.4, 0.4))
        heading = (source.normal(0, 0.04), source.normal(0, 0.1), source.normal(0, 0.1))
        tubes = vessel_tree(source, root, heading, source.uniform(0.01, 0.022))
        paint_tree(canvas, tubes, _LABEL["vein"], trunk.cavity, inside)


def _pack_bowel(canvas: Canvas, trunk: Trunk, packing: Packing, rough: Tensor, loops: int) -> list[tuple[str, int]]:
    source = canvas.source
    placed = []
    for _ in range(loops):
        spot = (source.uniform(-0.9, 0.35), source.uniform(-0.85, 0.85))
        calibre = source.uniform(0.05, 0.15)
        radii = (source.uniform(0.08, 0.25), calibre, calibre * source.uniform(1.0, 2.2))
        placed.append(("bowel wall", _pack(canvas, packing, _place(canvas, trunk, spot, radii), "bowel wall", rough)))
    return placed


def _fill_organs(canvas: Canvas, placed: list[tuple[str, int]], deep: Tensor) -> None:
    """Paint what is inside the organs: content and gas, medulla and sinus, vessels, lesions."""
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
            root = _inner_point(canvas, inside)
            heading = (source.normal(0, 0.05), source.normal(0, 0.09), source.normal(0, 0.09))
            tubes = vessel_tree(source, root, heading, source.uniform(0.015, 0.035))
            paint_tree(canvas, tubes, _LABEL["organ vessels"], livers[0], inside)
    for part in solid:
        _paint_lesions(canvas, part, deep, source.integer(0, 3))


def _inner_point(canvas: Canvas, inside: Tensor) -> Point:
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


def _fill_hollow(canvas: Canvas, part: int, deep: Tensor, field: Tensor) -> None:
    source = canvas.source
    stomach = canvas.inside(part)
    name = "stomach content" if canvas.label_of(part) == _LABEL["stomach wall"] else "bowel content"
    lumen = stomach & (deep > source.uniform(0.008, 0.03))
    if source.chance(0.2):
        return
    content = canvas.paint(lumen, _LABEL[name], part)
    if source.chance(0.5):
        surface = source.uniform(-0.5, 0.4)
        tilt = canvas.y + 0.05 * field if source.chance(0.3) else canvas.y
        canvas.paint(lumen & (tilt < surface), _LABEL["gas"], content)
    elif source.chance(0.3):
        canvas.paint(lumen & (canvas.field(22.0) > source.uniform(0.5, 1.5)), _LABEL["gas"], content)


def _fill_kidney(canvas: Canvas, part: int, deep: Tensor, fields: tuple[Tensor, Tensor]) -> None:
    source = canvas.source
    kidney = canvas.inside(part)
    if source.chance(0.75):
        canvas.paint(kidney & (deep + 0.02 * fields[1] > source.uniform(0.02, 0.04)), _LABEL["kidney medulla"], part)
    if source.chance(0.8):
        canvas.paint(kidney & (deep + 0.02 * fields[0] > source.uniform(0.045, 0.075)), _LABEL["kidney sinus"], part)


def _paint_lesions(canvas: Canvas, part: int, deep: Tensor, count: int) -> None:
    source = canvas.source
    organ = canvas.inside(part)
    for _ in range(count):
        radius = source.log_uniform(0.02, 0.14)
        centre = _inner_point(canvas, organ)
        blob = Ellipsoid(centre, (radius * source.uniform(0.7, 1.3), radius, radius * source.uniform(0.6, 1.4)))
        window = blob.window(canvas)
        bumpy = blob.level(canvas, window) + 0.25 * radius * canvas.field(8.0)[window]
        lesion = canvas.new_instance(_LABEL[source.choice(("lesion", "cyst"), (3, 1))], part)
        canvas.paint_window(window, (bumpy < 0) & organ[window], lesion)


def _paint_lung_bases(canvas: Canvas, trunk: Trunk) -> None:
    """Lungs above a dome: they sink into the slab from its upper end."""
    source = canvas.source
    dome = 1.0 - 1.3 * (canvas.x / trunk.width) ** 2 - 0.9 * (canvas.y / trunk.height + 0.2) ** 2
    above = canvas.z - source.uniform(-0.5, 0.8) * canvas.depth > 0.35 * dome + 0.03 * canvas.field(4.0)
    near_wall = (
        (trunk.level < -0.01)
        & (trunk.level > -0.35)
        & (canvas.x.abs() > 0.12 + 0.05 * canvas.field(3.0) + 0.2 * (canvas.y / trunk.height).clamp(min=0.0))
    )
    lung = canvas.paint(above & near_wall, _LABEL["lung"])
    _paint_lung_vessels(canvas, [lung], source.integer(2, 5))


def _paint_lung_vessels(canvas: Canvas, lungs: list[int], trees: int) -> None:
    source = canvas.source
    inside = canvas.inside(*lungs)
    for _ in range(trees):
        root = _inner_point(canvas, inside)
        away = math.copysign(1.0, root[2])
        heading = (source.normal(0, 0.06), source.normal(0, 0.1), away * source.uniform(0.03, 0.12))
        tubes = vessel_tree(source, root, heading, source.uniform(0.012, 0.03), 5)
        paint_tree(canvas, tubes, _LABEL["lung vessels"], lungs[0], inside)


def _paint_chest(canvas: Canvas, trunk: Trunk) -> None:
    source = canvas.source
    lungs = _paint_lungs(canvas, trunk)
    _paint_mediastinum(canvas, trunk)
    for lung in lungs:
        if source.chance(0.6):
            inside = canvas.inside(lung)
            for _ in range(source.integer(1, 2)):
                radius = source.log_uniform(0.015, 0.12)
                ball = Ellipsoid(_inner_point(canvas, inside), (radius, radius, radius * source.uniform(0.8, 1.3)))
                window = ball.window(canvas)
                bumpy = ball.level(canvas, window) + 0.3 * radius * canvas.field(12.0)[window]
                lesion = canvas.new_instance(_LABEL["lesion"], lung)
                canvas.paint_window(window, (bumpy < 0) & inside[window], lesion)


def _paint_lungs(canvas: Canvas, trunk: Trunk) -> list[int]:
    source = canvas.source
    gap = source.uniform(0.1, 0.25)
    rough = canvas.field(4.0)
    lungs = []
    for side in (-1.0, 1.0):
        middle = source.uniform(-0.6, 0.6) * canvas.depth if source.chance(0.6) else 0.0
        height = source.uniform(0.25, 0.8) if middle else 9.0
        ball = Ellipsoid(
            (middle, source.uniform(-0.05, 0.05), side * (gap + trunk.width * 0.5)),
            (height, trunk.height * 0.95, trunk.width * source.uniform(0.42, 0.55)),
            boxiness=0.3,
        )
        level = ball.level(canvas) + 0.04 * rough * side
        inside = (level < 0) & (trunk.level < -0.008) & (canvas.x * side > gap * 0.35)
        lungs.append(canvas.paint(inside, _LABEL["lung"]))
    _paint_lung_vessels(canvas, lungs, source.integer(3, 7))
    return lungs


def _paint_mediastinum(canvas: Canvas, trunk: Trunk) -> None:
    source = canvas.source
    rough = canvas.rough_field(5.0)
    packing = Packing(canvas, source.choice((0.0, 0.005, 0.012)))
    parts: list[tuple[str, Ellipsoid]] = []
    if source.chance(0.7):
        centre = (source.uniform(-1, 1) * (canvas.depth + 0.1), source.uniform(-0.35, 0.0) * trunk.height, 0.12)
        heart = Ellipsoid(centre, (0.35, 0.26, 0.28), source.uniform(-0.8, 0.8), boxiness=0.1)
        parts.append(("heart muscle", heart))
    else:
        for name, spot in (("aorta", (-0.2, 0.05)), ("vein", (-0.25, -0.15)), ("vein", (-0.35, 0.2))):
            parts.append((name, Ellipsoid((0, spot[0], spot[1]), (source.uniform(0.2, 2.0), 0.07, 0.08))))
    parts.append(("aorta", Ellipsoid((0, 0.5 * trunk.height, 0.14), (9.0, 0.065, 0.065))))
    parts.append(("oesophagus", Ellipsoid((0, 0.42 * trunk.height, 0.03), (9.0, 0.035, 0.045))))
    placed = [(name, _pack(canvas, packing, organ, name, rough)) for name, organ in parts]
    deep = packing.paint(trunk.level < -0.01)
    for name, part in placed:
        if name == "heart muscle":
            _fill_heart(canvas, part, deep)
    airway = canvas.new_instance(_LABEL["airway"])
    split = source.uniform(-canvas.depth, canvas.depth)
    start = (3.0, 0.15 * trunk.height, 0.0)
    fork = (split, 0.15 * trunk.height, 0.0)
    radius = source.uniform(0.035, 0.055)
    Tube((start, fork), (radius, radius)).paint(canvas, airway)
    for side in (-1.0, 1.0):
        end = (split - 0.3, 0.2 * trunk.height, side * 0.4)
        Tube((fork, end), (radius * 0.8, radius * 0.5)).paint(canvas, airway)


def _fill_heart(canvas: Canvas, part: int, deep: Tensor) -> None:
    source = canvas.source
    field = canvas.field(4.5)
    wall = source.uniform(0.03, 0.06)
    chambers = canvas.inside(part) & (deep > wall) & (field.abs() > 0.2)
    canvas.paint(chambers & (field > 0), _LABEL["heart chamber"], part)
    canvas.paint(chambers & (field < 0), _LABEL["heart chamber"], part)


_PELVIS: tuple[tuple[str, tuple[float, float], Point], ...] = (
    ("bladder", (-0.25, 0.0), (0.28, 0.24, 0.28)),
    ("uterus or prostate", (0.15, 0.0), (0.2, 0.15, 0.2)),
    ("bowel wall", (0.5, 0.0), (9.0, 0.11, 0.12)),
    ("vein", (-0.1, 0.55), (9.0, 0.05, 0.06)),
    ("vein", (-0.1, -0.55), (9.0, 0.05, 0.06)),
    ("aorta", (-0.2, 0.5), (9.0, 0.045, 0.045)),
    ("aorta", (-0.2, -0.5), (9.0, 0.045, 0.045)),
)


def _paint_pelvis(canvas: Canvas, trunk: Trunk) -> None:
    source = canvas.source
    rough = canvas.rough_field(source.uniform(4.0, 7.0))
    packing = Packing(canvas, source.choice((0.0, 0.005, 0.012)))
    placed = []
    for name, spot, radii in _PELVIS:
        if source.chance(0.9):
            placed.append((name, _pack(canvas, packing, _place(canvas, trunk, spot, radii), name, rough)))
    placed += _pack_bowel(canvas, trunk, packing, rough, source.integer(0, 6))
    deep = packing.paint(trunk.level < -0.01)
    _fill_organs(canvas, placed, deep)
    uterus = [part for name, part in placed if name == "uterus or prostate"]
    for part in uterus:
        _paint_lesions(canvas, part, deep, source.integer(0, 2))
    for side in (-1.0, 1.0):
        _paint_hip(canvas, trunk, side)


def _paint_hip(canvas: Canvas, trunk: Trunk, side: float) -> None:
    """Iliac plate or acetabulum with the femoral head."""
    source = canvas.source
    edge = source.uniform(0.012, 0.022)
    field = canvas.field(5.0)
    spot = (source.uniform(-0.6, 0.6) * canvas.depth, source.uniform(-0.1, 0.15), side * (trunk.width - 0.02))
    shape = Ellipsoid(spot, (0.6, 0.25, 0.06), side * source.uniform(0.3, 0.8), boxiness=0.15)
    plate = shape.level(canvas) + 0.012 * field
    bone = canvas.paint(plate < 0, _LABEL["bone cortex"])
    canvas.paint(plate < -edge, _LABEL["bone marrow"], bone)
    if source.chance(0.7):
        radius = source.uniform(0.09, 0.13)
        head = (source.uniform(-1, 1) * canvas.depth, source.uniform(-0.1, 0.1), side * (trunk.width + 0.06))
        ball = Ellipsoid(head, (radius * 1.2, radius, radius)).level(canvas)
        femur = canvas.paint(ball < 0, _LABEL["bone cortex"])
        canvas.paint(ball < -edge, _LABEL["bone marrow"], femur)


def paint_tubes(extent: Extent, source: RandomSource) -> Slab:
    """Paint winding walled tubes in fat: bowel loops or large vessels, close up."""
    canvas = Canvas(extent, source, warp=source.uniform(0.03, 0.08), warp_cells=3.0)
    canvas.paint(torch.ones(canvas.shape, dtype=torch.bool, device=source.device), _LABEL["visceral fat"])
    kinds = (("bowel wall", "bowel content"), ("stomach wall", "stomach content"), ("aorta", "heart chamber"))
    for _ in range(source.integer(2, 6)):
        wall_name, lumen_name = source.choice(kinds)
        radius = source.uniform(0.06, 0.2)
        heading = (source.normal(0, 0.06), source.normal(0, 0.2), source.normal(0, 0.2))
        path = random_path(source, random_point(source, canvas), heading, source.integer(3, 7), 0.7)
        tube = Tube(tuple(path), tuple(radius * source.uniform(0.7, 1.2) for _ in path))
        wall = canvas.new_instance(_LABEL[wall_name])
        tube.paint(canvas, wall)
        lumen = canvas.new_instance(_LABEL[lumen_name], wall)
        tube.paint(canvas, lumen, inset=radius * source.uniform(0.12, 0.4))
    return canvas.finish(STRUCTURES, "body")
