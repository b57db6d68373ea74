"""Limb and joint scenes: bones in muscle groups with thin septa; and the heart, close up."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from medsam2.synthetic.canvas import Canvas, Extent, Packing
from medsam2.synthetic.random_source import RandomSource
from medsam2.synthetic.shapes import Ellipsoid, paint_tree, random_point, vessel_tree
from medsam2.synthetic.slab import Slab, Structure

STRUCTURES = (
    Structure("outside", "air"),
    Structure("skin", "skin"),
    Structure("fat", "fat"),
    *(Structure(f"muscle group {group}", "muscle") for group in range(1, 6)),
    Structure("bone cortex", "cortex"),
    Structure("bone marrow", "marrow"),
    Structure("cartilage", "cartilage"),
    Structure("joint fluid", "fluid"),
    Structure("artery", "vessel"),
    Structure("vein", "vessel"),
    Structure("tumour", "lesion"),
    Structure("ligament", "muscle"),
)
_LABEL = {structure.name: label for label, structure in enumerate(STRUCTURES)}

HEART_STRUCTURES = (
    Structure("around", "lung"),
    Structure("body wall", "muscle"),
    Structure("fat", "fat"),
    Structure("left ventricle wall", "heart"),
    Structure("left ventricle", "blood"),
    Structure("right ventricle wall", "heart"),
    Structure("right ventricle", "blood"),
    Structure("left atrium", "blood"),
    Structure("right atrium", "blood"),
    Structure("aorta", "blood"),
    Structure("scar", "enhancing"),
    Structure("liver", "organ"),
    Structure("lung", "lung"),
    Structure("papillary muscle", "heart"),
)
_HEART = {structure.name: label for label, structure in enumerate(HEART_STRUCTURES)}


def paint_limb(extent: Extent, source: RandomSource) -> Slab:
    """Paint one or two limbs, or a joint."""
    canvas = Canvas(extent, source, warp=source.uniform(0.02, 0.06), warp_cells=source.uniform(2.0, 4.0))
    if source.chance(0.25):
        for side in (-0.5, 0.5):
            _paint_one_limb(canvas, side, source.uniform(0.36, 0.46))
    else:
        _paint_one_limb(canvas, 0.0, source.uniform(0.65, 0.95))
    return canvas.finish(STRUCTURES, "limb")


def _paint_one_limb(canvas: Canvas, middle: float, radius: float) -> None:
    source = canvas.source
    radii = (9.0, radius * source.uniform(0.85, 1.05), radius)
    outline = Ellipsoid((0, 0, middle), radii, tilt=(source.normal(0, 0.05), source.normal(0, 0.05))).level(canvas)
    canvas.paint(outline < 0, _LABEL["skin"])
    canvas.paint(outline < -source.uniform(0.008, 0.02), _LABEL["fat"])
    inner = outline + radius * source.uniform(0.05, 0.3) + 0.02 * canvas.field(3.0)
    _paint_muscles(canvas, inner, (middle, radius))
    if source.chance(0.35):
        _paint_joint(canvas, middle, radius)
    else:
        for _ in range(source.integer(1, 2)):
            _paint_shaft(canvas, middle, radius)
    for name in ("artery", "vein", "vein"):
        heading = (0.25, source.normal(0, 0.03), source.normal(0, 0.03))
        spot = (-0.8, source.uniform(-0.5, 0.5) * radius, middle + source.uniform(-0.5, 0.5) * radius)
        paint_tree(canvas, vessel_tree(source, spot, heading, source.uniform(0.015, 0.04), 2), _LABEL[name])
    if source.chance(0.35):
        _paint_mass(canvas, inner, middle, radius)


def _paint_muscles(canvas: Canvas, inner: Tensor, place: tuple[float, float]) -> None:
    source = canvas.source
    middle, radius = place
    packing = Packing(canvas, source.uniform(0.002, 0.014))
    rough = canvas.field(4.0)
    for index in range(source.integer(6, 14)):
        angle, reach = source.uniform(0, 2 * math.pi), radius * source.uniform(0.1, 0.75)
        centre = (0.0, reach * math.sin(angle), middle + reach * math.cos(angle))
        size = radius * source.uniform(0.25, 0.5)
        radii = (source.uniform(0.5, 3.0), size, size * source.uniform(0.6, 1.4))
        tilt = (source.normal(0, 0.25), source.normal(0, 0.25))
        shape = Ellipsoid(centre, radii, source.uniform(0, 3), tilt)
        level = shape.level(canvas) + 0.1 * size * rough * source.sign()
        packing.add((slice(None), slice(None), slice(None)), level, canvas.new_instance(3 + index % 5))
    packing.paint(inner < 0)


def _paint_shaft(canvas: Canvas, middle: float, radius: float) -> None:
    source = canvas.source
    size = radius * source.uniform(0.12, 0.24)
    spot = (0.0, source.uniform(-0.3, 0.3) * radius, middle + source.uniform(-0.3, 0.3) * radius)
    shape = Ellipsoid(spot, (9.0, size, size * source.uniform(0.8, 1.3)), source.uniform(0, 3), boxiness=0.2)
    level = shape.level(canvas) + 0.1 * size * canvas.field(4.0)
    bone = canvas.paint(level < 0, _LABEL["bone cortex"])
    canvas.paint(level < -size * source.uniform(0.15, 0.5), _LABEL["bone marrow"], bone)


def _paint_joint(canvas: Canvas, middle: float, radius: float) -> None:
    """Two or three bone ends that face each other, lined by cartilage, with fluid between."""
    source = canvas.source
    gap = source.uniform(0.01, 0.03)
    cartilage, cortex = source.uniform(0.01, 0.035), source.uniform(0.008, 0.02)
    packing = Packing(canvas, gap)
    rough = canvas.field(3.5)
    bones = []
    for index in range(source.integer(2, 3)):
        size = radius * source.uniform(0.3, 0.5)
        turn = math.pi * (index + source.uniform(-0.15, 0.15)) + source.uniform(-0.2, 0.2)
        centre = (source.uniform(-0.2, 0.2), math.cos(turn) * size * 0.95, middle + math.sin(turn) * size * 0.95)
        shape = Ellipsoid(centre, (source.uniform(0.3, 1.5), size, size * source.uniform(0.8, 1.2)), boxiness=0.3)
        bones.append(canvas.new_instance(_LABEL["cartilage"]))
        packing.add((slice(None), slice(None), slice(None)), shape.level(canvas) + 0.12 * size * rough, bones[-1])
    capsule = Ellipsoid((0, 0, middle), (0.5, radius * 0.5, radius * 0.55)).level(canvas)
    canvas.paint(capsule < 0, _LABEL["joint fluid"])
    deep = packing.paint()
    for bone in bones:
        inside = canvas.inside(bone)
        shell = canvas.paint(inside & (deep > cartilage), _LABEL["bone cortex"], bone)
        canvas.paint(inside & (deep > cartilage + cortex), _LABEL["bone marrow"], shell)


def _paint_mass(canvas: Canvas, inner: Tensor, middle: float, radius: float) -> None:
    source = canvas.source
    size = radius * source.log_uniform(0.06, 0.35)
    z, y, x = random_point(source, canvas, 0.6 * radius)
    level = Ellipsoid((z, y, x + middle), (size, size * source.uniform(0.7, 1.3), size)).level(canvas)
    canvas.paint((level + 0.25 * size * canvas.rough_field(6.0) < 0) & (inner < 0), _LABEL["tumour"])


def paint_heart(extent: Extent, source: RandomSource) -> Slab:
    """Paint a heart in short axis, or nearly so: a ring, a crescent, atria beyond the base."""
    canvas = Canvas(extent, source, warp=source.uniform(0.02, 0.07), warp_cells=source.uniform(2.0, 4.0))
    _paint_heart_surroundings(canvas)
    scale = source.uniform(0.85, 1.7)
    spot = (source.uniform(-0.3, 0.3), source.uniform(-0.2, 0.2), source.uniform(-0.1, 0.25))
    length = source.uniform(0.45, 1.1)
    base = source.uniform(-0.2, 0.8) * length
    sack = Ellipsoid(spot, (length * 1.2, 0.45 * scale, 0.55 * scale)).level(canvas)
    canvas.paint(sack + 0.03 * canvas.field(4.0) < 0, _HEART["fat"])
    _paint_right(canvas, spot, (length, scale, base))
    _paint_left(canvas, spot, (length, scale, base))
    if source.chance(0.7):
        _paint_atria(canvas, spot, (length, scale, base))
    return canvas.finish(HEART_STRUCTURES, "heart")


def _paint_heart_surroundings(canvas: Canvas) -> None:
    source = canvas.source
    wall = -(Ellipsoid((0, 0, 0), (9.0, 0.85, 1.0), boxiness=0.25).level(canvas)) + 0.05 * canvas.field(2.0)
    canvas.paint(torch.ones_like(wall, dtype=torch.bool), _HEART["lung"])
    canvas.paint(wall < source.uniform(-0.1, 0.2), _HEART["body wall"])
    if source.chance(0.6):
        side = canvas.y - canvas.z * source.uniform(-0.5, 0.5) + 0.1 * canvas.field(2.0) - 0.2 * canvas.x
        canvas.paint(side > source.uniform(0.4, 0.8), _HEART["liver"])


def _paint_left(canvas: Canvas, spot: tuple[float, float, float], sizes: tuple[float, float, float]) -> None:
    source = canvas.source
    length, scale, base = sizes
    outer, wall = scale * source.uniform(0.24, 0.32), scale * source.uniform(0.05, 0.12)
    centre = (spot[0], spot[1] + 0.02, spot[2] + 0.14 * scale)
    level = Ellipsoid(centre, (length, outer, outer * source.uniform(0.9, 1.15))).level(canvas)
    below = canvas.z < spot[0] + base
    muscle = canvas.paint((level < 0) & below, _HEART["left ventricle wall"])
    trabecular = 0.012 * scale * canvas.field(10.0)
    blood = canvas.paint((level + trabecular < -wall) & below, _HEART["left ventricle"], muscle)
    for _ in range(source.integer(0, 2)):
        turn, size = source.uniform(0, 6.3), scale * source.uniform(0.025, 0.05)
        reach = (outer - wall) * 0.6
        knob = (spot[0], centre[1] + reach * math.sin(turn), centre[2] + reach * math.cos(turn))
        mask = Ellipsoid(knob, (length * 0.4, size, size)).level(canvas) < 0
        canvas.paint(mask & canvas.inside(blood), _HEART["papillary muscle"], blood)
    if source.chance(0.4):
        sector = torch.cos(torch.atan2(canvas.y - centre[1], canvas.x - centre[2]) - source.uniform(0, 6.3))
        scar = canvas.inside(muscle) & (sector > source.uniform(0.3, 0.9)) & (level > -wall * 1.1 + wall * 0.4)
        canvas.paint(scar, _HEART["scar"], muscle)


def _paint_right(canvas: Canvas, spot: tuple[float, float, float], sizes: tuple[float, float, float]) -> None:
    source = canvas.source
    length, scale, base = sizes
    centre = (spot[0] + 0.1 * length, spot[1] - 0.03, spot[2] - 0.1 * scale)
    radii = (length * source.uniform(0.7, 0.95), scale * source.uniform(0.26, 0.36), scale * source.uniform(0.28, 0.4))
    level = Ellipsoid(centre, radii, source.uniform(-0.3, 0.3)).level(canvas) + 0.02 * canvas.field(5.0)
    below = canvas.z < spot[0] + base
    wall = canvas.paint((level < 0) & below, _HEART["right ventricle wall"])
    canvas.paint((level < -scale * source.uniform(0.01, 0.03)) & below, _HEART["right ventricle"], wall)


def _paint_atria(canvas: Canvas, spot: tuple[float, float, float], sizes: tuple[float, float, float]) -> None:
    source = canvas.source
    length, scale, base = sizes
    packing = Packing(canvas, 0.01)
    above = canvas.z >= spot[0] + base
    rough = canvas.field(4.0)
    for name, shift in (("left atrium", (0.15, 0.15)), ("right atrium", (0.0, -0.25)), ("aorta", (-0.1, 0.02))):
        size = scale * (source.uniform(0.16, 0.26) if name != "aorta" else source.uniform(0.08, 0.12))
        centre = (spot[0] + base + 0.1, spot[1] + shift[0] * scale, spot[2] + shift[1] * scale)
        radii = (length * (source.uniform(0.3, 0.8) if name != "aorta" else 3.0), size, size * 1.2)
        level = Ellipsoid(centre, radii).level(canvas) + 0.1 * size * rough
        packing.add((slice(None), slice(None), slice(None)), level, canvas.new_instance(_HEART[name]))
    packing.paint(above)
