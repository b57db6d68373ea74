"""How well a mask fits a reference."""

from medsam2.metrics.overlap import dice, iou
from medsam2.metrics.slice_overlap import SliceOverlap

__all__ = ["SliceOverlap", "dice", "iou"]
