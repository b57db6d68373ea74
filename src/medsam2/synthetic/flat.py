"""Scenes that only exist in two dimensions: eye fundus, skin lesion, ultrasound, X-ray-like projection."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from medsam2.synthetic.canvas import Canvas, Extent
from medsam2.synthetic.random_source import RandomSource
from medsam2.synthetic.shapes import Ellipsoid, Tube, random_path, vessel_tree
from medsam2.synthetic.slab import Slab, Structure

FUNDUS_STRUCTURES = (
    Structure("outside", "dark field"),
    Structure("retina", "retina"),
    Structure("optic disc", "optic disc"),
    Structure("optic cup", "optic cup"),
    Structure("vessels", "retinal vessel"),
    Structure("macula", "macula"),
    Structure("exudate", "exudate"),
    Structure("haemorrhage", "bleeding"),
)
_FUNDUS = {structure.name: label for label, structure in enumerate(FUNDUS_STRUCTURES)}

SKIN_STRUCTURES = (
    Structure("skin", "bare skin"),
    Structure("lesion", "mole"),
    Structure("dark part", "dark mole"),
    Structure("pale part", "pale mole"),
    Structure("hair", "hair"),
    Structure("dark corner", "dark field"),
)
_SKIN = {structure.name: label for label, structure in enumerate(SKIN_STRUCTURES)}

ULTRASOUND_STRUCTURES = (
    Structure("outside the sector", "air"),
    Structure("tissue", "soft"),
    Structure("fat layer", "fat"),
    Structure("muscle layer", "muscle"),
    Structure("nodule", "lesion"),
    Structure("cyst", "fluid"),
    Structure("shadow", "gas"),
    Structure("organ", "organ"),
    Structure("bright interface", "calcium"),
    Structure("vessel", "fluid"),
    Structure("wall", "cortex"),
)
_ECHO = {structure.name: label for label, structure in enumerate(ULTRASOUND_STRUCTURES)}

PROJECTION_STRUCTURES = (
    Structure("outside", "dark field"),
    Structure("soft tissue", "film soft"),
    Structure("left lung", "film lung"),
    Structure("right lung", "film lung"),
    Structure("heart", "film heart"),
    Structure("bone", "film bone"),
    Structure("mass", "film soft"),
    Structure("bone overlap", "film overlap"),
)
_PROJECTION = {structure.name: label for label, structure in enumerate(PROJECTION_STRUCTURES)}


def _everywhere(canvas: Canvas) -> Tensor:
    return torch.ones(canvas.shape, dtype=torch.bool, device=canvas.source.device)


def _blob(canvas: Canvas, spot: tuple[float, float], radius: float, rough: float) -> Tensor:
    """Level of an irregular round blob."""
    source = canvas.source
    shape = Ellipsoid((0, *spot), (9.0, radius, radius * source.uniform(0.7, 1.4)), source.uniform(0, 3))
    return shape.level(canvas) + rough * radius * canvas.rough_field(source.uniform(4.0, 9.0))


def paint_fundus(extent: Extent, source: RandomSource) -> Slab:
    """Paint a retina with disc, cup, macula and vessel arcades."""
    canvas = Canvas(extent, source, warp=0.015, warp_cells=3.0)
    field_radius = source.uniform(0.85, 1.5)
    canvas.paint(canvas.y**2 + canvas.x**2 < field_radius**2, _FUNDUS["retina"])
    side, radius = source.sign(), source.uniform(0.1, 0.3)
    disc_at = (source.uniform(-0.2, 0.2), side * source.uniform(0.0, 0.55))
    if source.chance(0.8):
        macula = (disc_at[0] + source.uniform(0, 0.15), disc_at[1] - side * radius * source.uniform(3.5, 5))
        canvas.paint(_blob(canvas, macula, radius * source.uniform(0.6, 1.1), 0.15) < 0, _FUNDUS["macula"])
    for name in ("exudate", "haemorrhage"):
        if source.chance(0.35):
            _scatter(canvas, _FUNDUS[name])
    disc_level = Ellipsoid((0, *disc_at), (9.0, radius * source.uniform(1, 1.2), radius)).level(canvas)
    disc = canvas.paint(disc_level < 0, _FUNDUS["optic disc"])
    share = source.uniform(0.25, 0.75)
    shift = source.uniform(-0.15, 0.15) * radius
    cup_radii = (9.0, radius * share * source.uniform(0.9, 1.15), radius * share)
    cup = Ellipsoid((0, disc_at[0], disc_at[1] + shift), cup_radii).level(canvas)
    hosts = disc, canvas.paint(cup < 0, _FUNDUS["optic cup"], disc)
    canvas.overlay(_arcades(canvas, disc_at, radius, field_radius), _FUNDUS["vessels"], hosts)
    return canvas.finish(FUNDUS_STRUCTURES, "fundus")


def _scatter(canvas: Canvas, label: int) -> None:
    source = canvas.source
    for _ in range(source.integer(1, 10)):
        spot, radius = (source.uniform(-0.8, 0.8), source.uniform(-0.8, 0.8)), source.log_uniform(0.01, 0.1)
        shape = Ellipsoid((0, *spot), (9.0, radius, radius * source.uniform(0.5, 2)), source.uniform(0, 3))
        canvas.paint(shape.level(canvas) < 0, label)


def _arcades(canvas: Canvas, disc: tuple[float, float], radius: float, field: float) -> Tensor:
    """Mask of the vessels that leave the disc in all directions."""
    source = canvas.source
    tubes: list[Tube] = []
    for quarter in range(source.integer(5, 8)):
        angle = quarter * math.pi / 3 + source.normal(0, 0.25)
        heading = (0.0, math.sin(angle) * 0.2, math.cos(angle) * 0.2)
        tubes += vessel_tree(source, (0.0, *disc), heading, radius * source.uniform(0.05, 0.13), 4, 0.25)
    flat = [Tube(tuple((0.0, y, x) for _, y, x in tube.points), tube.radii) for tube in tubes]
    return _tube_mask(canvas, flat) & (canvas.y**2 + canvas.x**2 < field**2)


def _tube_mask(canvas: Canvas, tubes: list[Tube]) -> Tensor:
    """Where any of the tubes runs; the canvas itself stays as it was."""
    before = canvas.instances.clone()
    trace = canvas.new_instance(0)
    for tube in tubes:
        tube.paint(canvas, trace)
    mask = canvas.inside(trace)
    canvas.instances = before
    return mask


def paint_skin(extent: Extent, source: RandomSource) -> Slab:
    """Paint skin with an irregular blotch, hairs and dark corners."""
    canvas = Canvas(extent, source, warp=source.uniform(0.02, 0.08), warp_cells=4.0)
    spot = (source.uniform(-0.25, 0.25), source.uniform(-0.25, 0.25))
    radius = source.log_uniform(0.15, 0.7)
    level = _blob(canvas, spot, radius, source.uniform(0.03, 0.3))
    hosts = [canvas.paint(level < 0, _SKIN["lesion"])]
    for name in ("dark part", "pale part"):
        if source.chance(0.5):
            patch = canvas.rough_field(source.uniform(3, 10)) > source.uniform(0.4, 1.2)
            hosts.append(canvas.paint(patch & (level < -0.1 * radius), _SKIN[name], hosts[0]))
    if source.chance(0.5):
        canvas.overlay(_hairs(canvas), _SKIN["hair"], tuple(hosts))
    if source.chance(0.3):
        canvas.paint(canvas.y**2 + canvas.x**2 > source.uniform(0.95, 1.3) ** 2, _SKIN["dark corner"])
    return canvas.finish(SKIN_STRUCTURES, "skin")


def _hairs(canvas: Canvas) -> Tensor:
    """Mask of long thin curves that mostly run one way."""
    source = canvas.source
    main, tubes = source.uniform(0, math.pi), []
    for _ in range(source.integer(2, 16)):
        angle = main + source.normal(0, 0.5)
        start = (0.0, source.uniform(-1.1, 1.1), source.uniform(-1.1, 1.1))
        path = random_path(source, start, (0.0, 0.25 * math.sin(angle), 0.25 * math.cos(angle)), 4, 0.08)
        flat = tuple((0.0, y, x) for _, y, x in path)
        tubes.append(Tube(flat, (source.uniform(0.006, 0.015),) * len(flat)))
    return _tube_mask(canvas, tubes)


def paint_ultrasound(extent: Extent, source: RandomSource) -> Slab:
    """Paint layers of tissue with a nodule, cyst, organ or ring, inside a sector or a box."""
    canvas = Canvas(extent, source, warp=source.uniform(0.03, 0.09), warp_cells=3.0)
    canvas.paint(_everywhere(canvas), _ECHO["tissue"])
    _paint_layers(canvas)
    kind = source.choice(("nodule", "cyst", "organ", "ring"), (5, 2, 2, 2))
    spot, radius = (source.uniform(-0.25, 0.4), source.uniform(-0.4, 0.4)), source.log_uniform(0.12, 0.5)
    level = _blob(canvas, spot, radius, source.uniform(0.02, 0.25))
    if kind == "ring":
        outer = canvas.paint(level < 0, _ECHO["wall"])
        canvas.paint(level < -radius * source.uniform(0.05, 0.3), _ECHO[source.choice(("vessel", "organ"))], outer)
    else:
        main = canvas.paint(level < 0, _ECHO[kind])
        if source.chance(0.3):
            canvas.paint((level < -0.4 * radius) & (canvas.field(6.0) > 0.3), _ECHO["cyst"], main)
    if source.chance(0.4):
        _paint_shadow(canvas, spot, radius)
    if source.chance(0.7):
        _mask_sector(canvas)
    return canvas.finish(ULTRASOUND_STRUCTURES, "ultrasound")


def _paint_layers(canvas: Canvas) -> None:
    source = canvas.source
    height = canvas.y + 0.05 * canvas.rough_field(2.0)
    level = -0.95
    for name in ("fat layer", "muscle layer", "bright interface", "fat layer"):
        thick = source.uniform(0.01, 0.03) if name == "bright interface" else source.uniform(0.05, 0.35)
        if source.chance(0.6):
            canvas.paint((height > level) & (height < level + thick), _ECHO[name])
        level += thick


def _paint_shadow(canvas: Canvas, spot: tuple[float, float], radius: float) -> None:
    """A bright cap and a dark cone below it; the shadow stays out of the labels of the target it hides."""
    source = canvas.source
    middle = spot[1] + source.uniform(-0.5, 0.5) * radius
    half = radius * source.uniform(0.1, 0.4)
    column = (canvas.x - middle * (1 + 0.2 * (canvas.y + 1))).abs() < half * (1 + 0.2 * (canvas.y + 1))
    top = spot[0] + radius * source.uniform(0.8, 1.2)
    canvas.paint(column & (canvas.y > top), _ECHO["shadow"])
    canvas.paint(column & ((canvas.y - top).abs() < 0.02), _ECHO["bright interface"])


def _mask_sector(canvas: Canvas) -> None:
    source = canvas.source
    apex, opening = source.uniform(-2.2, -1.05), source.uniform(0.45, 0.85)
    angle = torch.atan2(canvas.x, canvas.y - apex).abs()
    reach = torch.hypot(canvas.x, canvas.y - apex)
    near, far = max(-0.95 - apex, 0.05), source.uniform(0.8, 1.1) - apex
    canvas.instances.masked_fill_((angle > opening) | (reach > far) | (reach < near), 0)


def paint_projection(extent: Extent, source: RandomSource) -> Slab:
    """Paint a chest film: lung fields, heart shadow, a mass at times."""
    canvas = Canvas(extent, source, warp=source.uniform(0.02, 0.06), warp_cells=3.0)
    _paint_thorax(canvas)
    return canvas.finish(PROJECTION_STRUCTURES, "projection")


def paint_bones(extent: Extent, source: RandomSource) -> Slab:
    """Paint a film of long bones that overlap."""
    canvas = Canvas(extent, source, warp=source.uniform(0.02, 0.06), warp_cells=3.0)
    _paint_long_bones(canvas)
    return canvas.finish(PROJECTION_STRUCTURES, "bones")


def _paint_thorax(canvas: Canvas) -> None:
    source = canvas.source
    wide, high = source.uniform(0.85, 1.2), source.uniform(0.7, 0.95)
    trunk = Ellipsoid((0, 0.2, 0), (9.0, 1.3, wide), boxiness=0.75).level(canvas)
    canvas.paint(trunk < 0, _PROJECTION["soft tissue"])
    for name, side in (("left lung", 1.0), ("right lung", -1.0)):
        centre = (0.0, source.uniform(-0.1, 0.05), side * wide * 0.43)
        lung = Ellipsoid(centre, (9.0, high, wide * 0.36), side * 0.12, boxiness=0.2).level(canvas)
        dome = canvas.y < high * 0.75 + 0.2 * (canvas.x - centre[2]).abs() + 0.02 * side
        canvas.paint((lung < 0) & dome, _PROJECTION[name])
    heart = Ellipsoid((0, 0.3, 0.13), (9.0, 0.32, source.uniform(0.25, 0.45)), -0.6).level(canvas)
    canvas.paint(heart < 0, _PROJECTION["heart"])
    if source.chance(0.5):
        spot = (source.uniform(-0.5, 0.4), source.sign() * source.uniform(0.25, 0.5))
        canvas.paint(_blob(canvas, spot, source.log_uniform(0.05, 0.2), 0.2) < 0, _PROJECTION["mass"])


def _paint_long_bones(canvas: Canvas) -> None:
    source = canvas.source
    canvas.paint(canvas.x.abs() < source.uniform(0.5, 0.9), _PROJECTION["soft tissue"])
    painted: Tensor | None = None
    for _ in range(source.integer(2, 5)):
        start = (0.0, source.uniform(-1.2, 0.2), source.uniform(-0.5, 0.5))
        stop = (0.0, source.uniform(0.2, 1.2), source.uniform(-0.5, 0.5))
        width = source.uniform(0.07, 0.2)
        before = canvas.instances.clone()
        bone = canvas.new_instance(_PROJECTION["bone"])
        Tube((start, _between(start, stop), stop), (width * 1.4, width, width * 1.3)).paint(canvas, bone)
        own = canvas.inside(bone)
        if painted is not None:
            canvas.instances = torch.where(own & painted, before, canvas.instances)
            canvas.paint(own & painted, _PROJECTION["bone overlap"], bone)
        painted = own if painted is None else painted | own


def _between(start: tuple[float, float, float], stop: tuple[float, float, float]) -> tuple[float, float, float]:
    return (0.0, (start[1] + stop[1]) / 2, (start[2] + stop[2]) / 2)
