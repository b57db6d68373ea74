"""How well a mask fits a reference: overlap, and distances of surfaces."""

from medsam2.metrics.overlap import dice, iou
from medsam2.metrics.slice_overlap import SliceOverlap
from medsam2.metrics.surface import SurfaceDistances, normalized_surface_dice, require_monai

__all__ = ["SliceOverlap", "SurfaceDistances", "dice", "iou", "normalized_surface_dice", "require_monai"]
