"""The colours of pictures and tables."""

from __future__ import annotations

from medsam2.io.segments import PALETTE, Colour

__all__ = [
    "ALERT",
    "BLACK",
    "CARD",
    "MUTED",
    "NEGATIVE",
    "PAGE",
    "PALETTE",
    "POSITIVE",
    "TEXT",
    "WHITE",
    "Colour",
    "object_colour",
]

PAGE: Colour = (13, 15, 18)
CARD: Colour = (24, 27, 32)
BLACK: Colour = (0, 0, 0)
WHITE: Colour = (255, 255, 255)
TEXT: Colour = (236, 239, 242)
MUTED: Colour = (150, 158, 168)
ALERT: Colour = (255, 176, 64)
POSITIVE: Colour = (40, 214, 130)
NEGATIVE: Colour = (255, 64, 80)


def object_colour(number: int) -> Colour:
    """Give the colour of the object of this number in the result, from 0; after the last the first comes again."""
    return PALETTE[number % len(PALETTE)]
