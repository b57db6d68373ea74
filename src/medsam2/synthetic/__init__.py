"""Synthetic anatomy to train and test on: painted label slabs, random contrasts, objects to prompt.

RandomSource -> make_scene -> Slab -> render -> Clip -> sample_targets -> Targets
"""

from medsam2.synthetic.augmentation import augment_slab
from medsam2.synthetic.clips import FAMILIES, ClipRecipe, make_clip, make_scene
from medsam2.synthetic.contact_sheet import contact_sheet, draw_clip
from medsam2.synthetic.random_source import RandomSource
from medsam2.synthetic.rendering import render
from medsam2.synthetic.slab import Clip, Slab, Structure
from medsam2.synthetic.targets import Targets, sample_targets

__all__ = [
    "FAMILIES",
    "Clip",
    "ClipRecipe",
    "RandomSource",
    "Slab",
    "Structure",
    "Targets",
    "augment_slab",
    "contact_sheet",
    "draw_clip",
    "make_clip",
    "make_scene",
    "render",
    "sample_targets",
]
