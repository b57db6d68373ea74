"""How well a mask fits a reference."""

from medsam2.metrics.overlap import dice

__all__ = ["dice"]
