"""What every region of the trunk has: its table of labels, the wall around the cavity, the spine."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from medsam2.synthetic.canvas import Canvas
from medsam2.synthetic.shapes import Ellipsoid, Tube
from medsam2.synthetic.slab import Structure

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
LABEL = {structure.name: label for label, structure in enumerate(STRUCTURES)}
"""The label of a structure, by its name."""


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


def paint_wall(canvas: Canvas, region: str) -> Trunk:
    """Paint skin, fat, muscle, and ribs where the region has them; return the cavity that they leave."""
    source = canvas.source
    width, height = source.uniform(0.72, 0.97), source.uniform(0.5, 0.78)
    outline = Ellipsoid((0, 0, 0), (9.0, height, width), boxiness=source.uniform(0.0, 0.5)).level(canvas)
    skin, fat = source.uniform(0.008, 0.02), source.uniform(0.015, 0.16)
    muscle = source.uniform(0.04, 0.1) * (source.uniform(1.2, 3.0) if region == "pelvis" else 1.0)
    canvas.paint(outline < 0, LABEL["skin"])
    canvas.paint(outline < -skin, LABEL["subcutaneous fat"])
    fat_field = fat * (1.0 + 0.3 * canvas.field(2.0)).clamp(min=0.2)
    wall = outline + skin + fat_field
    back = 0.6 * muscle * ((canvas.y / height - 0.35) * 3).clamp(0.0, 1.5)
    ripple = 0.012 * canvas.field(5.0)
    flesh = canvas.paint(wall + ripple < 0, LABEL["muscle"])
    level = wall + muscle + back + ripple
    cavity = canvas.paint(level < 0, LABEL["visceral fat"])
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
    canvas.paint(canvas.inside(flesh) & sheets, LABEL["subcutaneous fat"])


def _paint_table(canvas: Canvas, height: float) -> None:
    """The scanner's couch below the patient."""
    line = canvas.y - height - canvas.source.uniform(0.02, 0.1) + 0.1 * canvas.x**2
    canvas.paint((line.abs() < canvas.source.uniform(0.008, 0.02)) & (canvas.instances == 0), LABEL["table"])


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
    bones = canvas.paint(mask & back, LABEL["bone cortex"])
    canvas.paint((distance < half - 0.012) & back, LABEL["bone marrow"], bones)


def paint_spine(canvas: Canvas, trunk: Trunk) -> None:
    """Paint the spine with its canal and processes, and the muscles along it, over what is there."""
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
        process.paint(canvas, canvas.new_instance(LABEL["bone cortex"]))
    spike = Tube(((0, middle + size * 1.5, 0), (0.05, middle + size * 2.4, 0)), (size * 0.22, size * 0.15))
    spike.paint(canvas, canvas.new_instance(LABEL["bone cortex"]))
    vertebra = canvas.paint(arch, LABEL["bone cortex"])
    canvas.paint_window(window, level < 0, vertebra)
    marrow = canvas.new_instance(LABEL["bone marrow"], vertebra)
    canvas.paint_window(window, level < -source.uniform(0.008, 0.02), marrow)
    canvas.paint(canal < 0, LABEL["spinal canal"])


def _paint_back(canvas: Canvas, trunk: Trunk, middle: float, size: float) -> None:
    """The long muscles beside the spine, behind it and in front of its processes."""
    source = canvas.source
    for side in (-1.0, 1.0):
        spot = (0.0, middle + size * 1.5, side * size * 1.5)
        back = Ellipsoid(spot, (9.0, size * source.uniform(0.7, 1.1), size * source.uniform(1.1, 1.6)), boxiness=0.2)
        inner = trunk.level < trunk.muscle + 0.02
        canvas.paint((back.level(canvas) + 0.01 * canvas.field(5.0) < 0) & inner, LABEL["back muscle"])
    if source.chance(0.7):
        girth = size * source.uniform(0.3, 0.75)
        for side in (-1.0, 1.0):
            spot = (source.uniform(-1, 1) * canvas.depth, middle + size * 0.3, side * (size * 1.2 + girth))
            psoas = Ellipsoid(spot, (source.uniform(0.3, 3.0), girth * 1.2, girth), tilt=(-0.1, side * -0.2))
            window = psoas.window(canvas)
            mask = (psoas.level(canvas, window) < 0) & (canvas.instances[window] == trunk.cavity)
            canvas.paint_window(window, mask, canvas.new_instance(LABEL["psoas"]))
