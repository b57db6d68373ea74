"""The public face: a network with its weights, ready to segment."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import torch

from medsam2.engine.volume_run import Progress, SegmentationResult, SegmentSettings, SliceMask, VolumeRun
from medsam2.errors import ConfigurationError
from medsam2.network import Sam2Network
from medsam2.prompts import PromptSet
from medsam2.spatial import Volume
from medsam2.weights import WeightsCard, load_network

DEFAULT_MODEL = "starter"


class Segmenter:
    """Segments volumes from prompts.

    Example:
        >>> import numpy as np
        >>> from medsam2 import BoxPrompt, Geometry, ObjectPrompts, PromptSet, Segmenter, Volume
        >>> ball = np.linalg.norm(np.indices((9, 64, 64)) - np.array([4, 32, 32])[:, None, None, None], axis=0) < 12
        >>> volume = Volume(ball.astype(np.float32), Geometry(ball.shape, np.eye(4)))
        >>> prompts = PromptSet((ObjectPrompts("ball", 1, boxes=(BoxPrompt(21, 21, 4, 43, 43, 4),)),))
        >>> result = Segmenter.from_pretrained("starter").segment(volume, prompts)
        >>> result.segmentation.labels.shape
        (9, 64, 64)
    """

    def __init__(self, network: Sam2Network, card: WeightsCard, sha256: str | None = None) -> None:
        self.network, self.card, self.sha256 = network.eval(), card, sha256

    @classmethod
    def from_pretrained(cls, model: str | Path = DEFAULT_MODEL, device: str = "auto") -> Self:
        """Load weights.

        Args:
            model: a name that `medsam2 weights list` knows, or a file.
            device: "cpu", "cuda", "mps", or "auto" for the best there is.

        Raises:
            CheckpointError: the weights are missing, damaged or of another network.
            ConfigurationError: there is no such device.
        """
        loaded = load_network(model, device=choose_device(device))
        return cls(loaded.network, loaded.card, loaded.sha256)

    def describe(self) -> dict[str, Any]:
        """The model, for a report."""
        return {
            "name": self.card.name,
            "sha256": self.sha256,
            "licence": self.card.licence,
            "device": str(self.network.device),
            "precision": str(self.network.dtype).removeprefix("torch."),
            "network": self.card.config.to_dict(),
        }

    def segment(
        self,
        volume: Volume,
        prompts: PromptSet,
        settings: SegmentSettings | None = None,
        progress: Progress | None = None,
    ) -> SegmentationResult:
        """Find the prompted objects in all slices.

        Args:
            volume: to segment.
            prompts: of all objects, in the volume's voxel indices.
            settings: how; the defaults are right for most scans.
            progress: told (slices done, slices in all); what it raises ends the run.

        Raises:
            PromptError: the prompts do not fit the volume.
            ConfigurationError: a setting does not fit.
        """
        run = VolumeRun(self.network, volume, prompts, settings or SegmentSettings())
        for _ in run.stream(progress):
            pass
        return run.result()

    def stream(
        self, volume: Volume, prompts: PromptSet, settings: SegmentSettings | None = None
    ) -> Iterator[SliceMask]:
        """The same, slice by slice as they are found, outward from the prompted ones; close it to cancel.

        Raises:
            PromptError: the prompts do not fit the volume.
            ConfigurationError: a setting does not fit.
        """
        return VolumeRun(self.network, volume, prompts, settings or SegmentSettings()).stream()


def choose_device(name: str) -> str:
    """The device to compute on: `name`, or the best there is for "auto".

    Raises:
        ConfigurationError: there is no such device here.
    """
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        return next(device for device in ("cuda", "mps", "cpu") if there[device])
    kind = name.partition(":")[0]
    if not there.get(kind, False):
        usable = ", ".join(device for device, usable in there.items() if usable)
        raise ConfigurationError(f"device '{name}' is not available here; usable: {usable}")
    return name
