"""The colours of pictures and tables."""

from __future__ import annotations

Colour = tuple[int, int, int]

PALETTE: tuple[Colour, ...] = (
    (230, 159, 0),
    (86, 180, 233),
    (0, 192, 139),
    (240, 228, 66),
    (255, 110, 58),
    (221, 128, 192),
    (180, 30, 255),
    (120, 240, 210),
    (240, 0, 75),
    (210, 45, 180),
    (165, 120, 240),
    (165, 210, 120),
    (150, 210, 255),
    (165, 255, 150),
    (75, 210, 195),
    (60, 165, 165),
    (225, 195, 45),
    (255, 165, 180),
    (210, 90, 120),
    (135, 165, 90),
)
"""Colours of objects, on dark and on grey. The first six are near those of Okabe and Ito ("Color universal design",
2008); each further one is the colour farthest, in OKLab, from all before it, from white and from grey, as seen with
normal vision and with each kind of colour blindness (simulated after Machado et al. 2009)."""

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
