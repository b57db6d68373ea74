"""Head scenes: nested shells, folded cortex, ventricles, deep nuclei, tumours."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from medsam2.synthetic.canvas import Canvas, Extent
from medsam2.synthetic.random_source import RandomSource
from medsam2.synthetic.shapes import Ellipsoid, Tube
from medsam2.synthetic.slab import Slab, Structure

STRUCTURES = (
    Structure("outside", "air"),
    Structure("scalp", "skin"),
    Structure("scalp fat", "fat"),
    Structure("skull", "cortex"),
    Structure("diploe", "marrow"),
    Structure("cerebrospinal fluid", "csf"),
    Structure("cortex", "grey"),
    Structure("white matter", "white"),
    Structure("ventricle", "csf"),
    Structure("thalamus", "grey"),
    Structure("putamen", "grey"),
    Structure("caudate", "grey"),
    Structure("brain stem", "white"),
    Structure("cerebellum", "grey"),
    Structure("eye", "fluid"),
    Structure("sinus", "gas"),
    Structure("oedema", "oedema"),
    Structure("enhancing rim", "enhancing"),
    Structure("necrosis", "necrosis"),
    Structure("white matter lesion", "oedema"),
    Structure("haemorrhage", "enhancing"),
    Structure("hippocampus", "grey"),
    Structure("dural sinus", "vessel"),
)
_LABEL = {structure.name: label for label, structure in enumerate(STRUCTURES)}


@dataclass(frozen=True)
class Brain:
    """The painted brain.

    Attributes:
        level: (T, S, S) level of its surface, negative inside.
        radii: Half-sizes (y, x), coordinate units.
        offset: The slab's middle in the head's own z, coordinate units.
        cortex: Identifier of the cortex.
        white: Identifier of the white matter.
        stripped: Whether skull and scalp were left out.
    """

    level: Tensor
    radii: tuple[float, float]
    offset: float
    cortex: int
    white: int
    stripped: bool


def paint_head(extent: Extent, source: RandomSource) -> Slab:
    """Paint a head, or a brain alone in a share of scenes."""
    canvas = Canvas(extent, source, warp=source.uniform(0.015, 0.04), warp_cells=source.uniform(2.0, 4.0))
    brain = _paint_shells(canvas)
    if brain.offset < 0.05:
        _paint_hindbrain(canvas, brain)
    _paint_inner(canvas, brain)
    _paint_pathology(canvas, brain)
    return canvas.finish(STRUCTURES, "head")


def _paint_shells(canvas: Canvas) -> Brain:
    source = canvas.source
    offset = source.uniform(-0.35, 0.55)
    radii = (source.uniform(0.78, 0.95), source.uniform(0.62, 0.82))
    crop = source.uniform(1.0, 1.25) if source.chance(0.3) else 1.0
    outer = Ellipsoid(
        (-offset, 0, 0), (0.95, radii[0] * crop, radii[1] * crop), boxiness=source.uniform(0.0, 0.2)
    ).level(canvas)
    scalp, skull = source.uniform(0.02, 0.06), source.uniform(0.03, 0.08)
    fluid = source.uniform(0.008, 0.035)
    ripple = 0.008 * canvas.field(5.0)
    stripped = source.chance(0.3)
    if not stripped:
        canvas.paint(outer < 0, _LABEL["scalp"])
        canvas.paint(outer < -0.012, _LABEL["scalp fat"])
        bone = canvas.paint(outer + ripple < -scalp, _LABEL["skull"])
        if source.chance(0.6):
            middle = (outer + ripple + scalp + skull / 2).abs()
            canvas.paint(middle < skull * (0.22 + 0.08 * canvas.field(6.0)), _LABEL["diploe"], bone)
    level = outer + ripple + scalp + skull
    if not stripped or source.chance(0.4):
        canvas.paint(level < 0, _LABEL["cerebrospinal fluid"])
    inset = scalp + skull + fluid
    brain = level + fluid
    cortex, white = _paint_folds(canvas, brain)
    return Brain(brain, (radii[0] * crop - inset, radii[1] * crop - inset), offset, cortex, white, stripped)


def _paint_folds(canvas: Canvas, level: Tensor) -> tuple[int, int]:
    """Paint cortex and white matter.

    Sulci follow the zero lines of a random field; with depth they close, then end. Cortex lines the surface,
    the sulci and the fissure between the halves, as deep as it is thick.
    """
    source = canvas.source
    cells, depth = source.uniform(9.0, 18.0), source.uniform(0.2, 0.6)
    folds = canvas.field(cells) + 0.3 * canvas.field(2.0 * cells)
    gap, thickness = source.uniform(0.001, 0.014), source.uniform(0.022, 0.045)
    closing = 1.1 * (gap + thickness)
    sulcus = folds.abs() * (0.9 / cells) + closing * ((-level) / depth).clamp(0.0, 1.5) ** 1.5
    fissure = (canvas.x + 0.01 * canvas.field(4.0)).abs() + closing * ((-level) / 0.45).clamp(min=0.0) ** 2
    near = torch.minimum(torch.minimum(sulcus, -level), fissure)
    cortex = canvas.paint((level < 0) & (near > gap), _LABEL["cortex"])
    return cortex, canvas.paint((level < 0) & (near > gap + thickness), _LABEL["white matter"], cortex)


def _paint_hindbrain(canvas: Canvas, brain: Brain) -> None:
    source = canvas.source
    low = -brain.offset - source.uniform(0.25, 0.5)
    below = canvas.z < low + 0.25 + 0.1 * canvas.y
    for side in (-1.0, 1.0):
        centre = (low, brain.radii[0] * 0.55, side * brain.radii[1] * 0.35)
        lobe = Ellipsoid(centre, (0.28, 0.3, brain.radii[1] * 0.45)).level(canvas)
        stripes = torch.cos(source.uniform(30, 50) * (canvas.y + 0.02 * canvas.field(4.0)))
        canvas.paint((lobe < 0) & below & (brain.level < 0), _LABEL["cerebrospinal fluid"])
        canvas.paint((lobe + 0.01 * stripes < -0.008) & below & (brain.level < 0), _LABEL["cerebellum"])
        core = (lobe + 0.02 * stripes < -0.1) & below & (brain.level < 0)
        canvas.paint(core, _LABEL["white matter"])
    stem = Ellipsoid((low, brain.radii[0] * 0.2, 0.0), (0.5, 0.14, 0.13), boxiness=-0.2).level(canvas)
    stem = stem + 0.03 * canvas.field(6.0)
    canvas.paint((stem < source.uniform(0.004, 0.02)) & below, _LABEL["cerebrospinal fluid"])
    canvas.paint((stem < 0) & below, _LABEL["brain stem"])
    if not brain.stripped:
        _paint_face(canvas, brain, low)


def _paint_face(canvas: Canvas, brain: Brain, low: float) -> None:
    """Eyes in their fat, and the air of the nose between them."""
    source = canvas.source
    radius = source.uniform(0.09, 0.13)
    for side in (-1.0, 1.0):
        spot = (low + source.uniform(-0.1, 0.15), -brain.radii[0] * 0.82, side * brain.radii[1] * 0.48)
        ball = Ellipsoid(spot, (radius, radius, radius)).level(canvas)
        orbit = Ellipsoid((spot[0], spot[1] + radius * 1.3, spot[2] * 0.8), (radius * 1.3, radius * 2.6, radius * 1.4))
        canvas.paint(orbit.level(canvas) < 0, _LABEL["scalp fat"])
        canvas.paint(ball < 0, _LABEL["eye"])
    nose = Ellipsoid((low - 0.05, -brain.radii[0] * 0.8, 0), (0.25, 0.22, 0.12)).level(canvas)
    bumpy = nose + 0.03 * canvas.field(8.0)
    canvas.paint(bumpy < 0.02, _LABEL["skull"])
    canvas.paint(bumpy < 0, _LABEL["sinus"])


def _paint_inner(canvas: Canvas, brain: Brain) -> None:
    """Paired deep structures, a little unlike left and right."""
    source = canvas.source
    high, wide = brain.radii
    base = -brain.offset
    inside = canvas.inside(brain.cortex, brain.white) | (brain.level < -0.1)
    pairs: list[tuple[str, tuple[float, float, float], tuple[float, float, float], float]] = [
        ("thalamus", (base, 0.08 * high, 0.14 * wide), (0.14, 0.15 * high, 0.1 * wide), 0.3),
        ("putamen", (base, -0.08 * high, 0.34 * wide), (0.15, 0.2 * high, 0.07 * wide), 0.25),
        ("caudate", (base + 0.08, -0.25 * high, 0.17 * wide), (0.16, 0.12 * high, 0.06 * wide), 0.3),
        ("hippocampus", (base - 0.2, 0.15 * high, 0.4 * wide), (0.12, 0.2 * high, 0.06 * wide), -0.3),
    ]
    for name, centre, radii, angle in pairs:
        grow = source.uniform(0.8, 1.3)
        for side in (-1.0, 1.0):
            spot = (centre[0], centre[1] + source.normal(0, 0.01), side * centre[2] * source.uniform(0.95, 1.05))
            size = (radii[0] * grow, radii[1] * grow, radii[2] * grow)
            shape = Ellipsoid(spot, size, side * angle)
            window = shape.window(canvas)
            mask = (shape.level(canvas, window) < 0) & inside[window]
            canvas.paint_window(window, mask, canvas.new_instance(_LABEL[name], brain.white))
    _paint_ventricles(canvas, brain, base)


def _paint_ventricles(canvas: Canvas, brain: Brain, base: float) -> None:
    source = canvas.source
    high, wide = brain.radii
    size = source.log_uniform(0.025, 0.08)
    ventricle = canvas.new_instance(_LABEL["ventricle"], brain.white)
    for side in (-1.0, 1.0):
        horn = [
            (base + 0.12, -0.38 * high, side * 0.16 * wide),
            (base + 0.18, -0.1 * high, side * 0.08 * wide),
            (base + 0.18, 0.2 * high, side * 0.14 * wide),
            (base + 0.08, 0.48 * high, side * 0.28 * wide),
            (base - 0.15, 0.3 * high, side * 0.42 * wide),
            (base - 0.22, 0.05 * high, side * 0.45 * wide),
        ]
        widths = tuple(size * part * source.uniform(0.8, 1.2) for part in (1.1, 1.0, 1.0, 1.2, 0.8, 0.5))
        Tube(tuple(horn), widths).paint(canvas, ventricle)
    third = Ellipsoid((base - 0.02, 0.0, 0.0), (0.12, 0.14 * high, size * 0.4)).level(canvas)
    canvas.paint(third < 0, _LABEL["ventricle"], brain.white)


def _paint_pathology(canvas: Canvas, brain: Brain) -> None:
    source = canvas.source
    inside = brain.level < -0.03
    if source.chance(0.45):
        _paint_tumour(canvas, brain, inside)
    if source.chance(0.35):
        for _ in range(source.integer(1, 8)):
            _paint_spot(canvas, brain, "white matter lesion", source.log_uniform(0.015, 0.06))
    if source.chance(0.2):
        _paint_spot(canvas, brain, "haemorrhage", source.log_uniform(0.04, 0.2))


def _brain_point(canvas: Canvas, brain: Brain) -> tuple[float, float, float]:
    source = canvas.source
    return (
        source.uniform(-1.2, 1.2) * canvas.depth,
        source.uniform(-0.65, 0.65) * brain.radii[0],
        source.uniform(-0.65, 0.65) * brain.radii[1],
    )


def _paint_spot(canvas: Canvas, brain: Brain, name: str, radius: float) -> None:
    source = canvas.source
    shape = Ellipsoid(
        _brain_point(canvas, brain),
        (radius, radius * source.uniform(0.6, 1.5), radius * source.uniform(0.6, 1.5)),
        source.uniform(0, 3),
    )
    window = shape.window(canvas)
    bumpy = shape.level(canvas, window) + 0.3 * radius * canvas.field(12.0)[window]
    spot = canvas.new_instance(_LABEL[name], brain.white)
    canvas.paint_window(window, (bumpy < 0) & (brain.level[window] < 0), spot)


def _paint_tumour(canvas: Canvas, brain: Brain, inside: Tensor) -> None:
    source = canvas.source
    radius = source.log_uniform(0.06, 0.28)
    shape = Ellipsoid(_brain_point(canvas, brain), (radius, radius * source.uniform(0.7, 1.3), radius))
    level = shape.level(canvas)
    smooth, rough = canvas.field(5.0), canvas.field(10.0)
    parent = brain.white
    if source.chance(0.7):
        halo = radius * source.uniform(0.2, 0.8)
        parent = canvas.paint(inside & (level + halo * 0.6 * smooth < halo), _LABEL["oedema"], parent)
    core = level + 0.2 * radius * rough
    rim = canvas.paint(inside & (core < 0), _LABEL["enhancing rim"], parent)
    if source.chance(0.7):
        thickness = radius * source.uniform(0.15, 0.4)
        canvas.paint(inside & (core + 0.1 * radius * smooth < -thickness), _LABEL["necrosis"], rim)
