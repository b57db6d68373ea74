"""What protocols leave open: how much is prompted, what is measured, what sets remember, the seed of what is drawn."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np

from medsam2.errors import ConfigurationError
from medsam2.evaluation.volume_metrics import DICE_ALONE, VolumeMetrics

SHARE_OF_SLICES = 0.25
"""Of the slices of a volume that are prompted (MedSAM-2, arXiv 2408.00874 v2: each with this probability)."""

SHARE_OF_PICTURES = 0.3
"""Of two-dimensional pictures, likewise."""


@dataclass(frozen=True)
class ProtocolOptions:
    """Options of all protocols; each takes those that it knows.

    Attributes:
        metrics: of whole volumes.
        share: probability with which a slice or a picture is prompted; None: the paper's.
        templates: runs of one-prompt over a set, each from a template and in an order drawn at random; 1: from the
            picture on which the structure is largest.
        seed: of all draws.
        memory_of_sets: memory policy of unordered sets; None: their own default. That of volumes is in their settings.

    Raises:
        ConfigurationError: an option is out of its range.
    """

    metrics: VolumeMetrics = DICE_ALONE
    share: float | None = None
    templates: int = 1
    seed: int = 0
    memory_of_sets: str | None = None

    def __post_init__(self) -> None:
        if self.share is not None and not 0 < self.share <= 1:
            raise ConfigurationError(f"the share to be prompted is {self.share}; expected more than 0, and up to 1")
        if self.templates < 1:
            raise ConfigurationError(f"{self.templates} templates were asked for; expected at least 1")
        if self.seed < 0:
            raise ConfigurationError(f"the seed is {self.seed}; expected 0 or more")

    def generator(self, name: str, label: int) -> np.random.Generator:
        """Draws for one structure of one case: the same whatever else is evaluated, and in whatever order."""
        told = name.encode(errors="backslashreplace")  # file names need not be Unicode
        return np.random.default_rng([self.seed, zlib.crc32(told), label])


DEFAULT_OPTIONS = ProtocolOptions()
