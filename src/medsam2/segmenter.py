"""The public face: a network with its weights, ready to segment."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, Self, get_args

import torch

from medsam2.engine.orientation_run import OrientationRun
from medsam2.engine.set_result import ImageMask, SetResult, SetSettings
from medsam2.engine.set_run import SetRun, pair_templates
from medsam2.engine.template_run import TemplateRun
from medsam2.engine.volume_result import Progress, SegmentationResult, SegmentSettings, SliceMask
from medsam2.engine.volume_run import VolumeRun
from medsam2.errors import ConfigurationError
from medsam2.frames import SetImage
from medsam2.network import Sam2Network
from medsam2.prompts import PromptSet
from medsam2.spatial import Volume
from medsam2.weights import LoadedNetwork, WeightsCard, load_network
from medsam2.weights.openvino_encoder import OpenVinoEncoder, openvino_is_installed

DEFAULT_MODEL = "starter"

Encoder = Literal["auto", "torch", "openvino"]

PrecisionChoice = Literal["auto", "float32", "bfloat16"]

MULTIPLIES_IN_BFLOAT16 = ("amx_bf16", "avx512_bf16")
"""Processors that were measured, or belong to those; ARM's were not."""


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
    def from_pretrained(
        cls,
        model: str | Path = DEFAULT_MODEL,
        device: str = "auto",
        precision: PrecisionChoice = "auto",
        encoder: Encoder = "auto",
    ) -> Self:
        """Load weights.

        Args:
            model: a name that `medsam2 weights list` knows, or a file.
            device: "cpu", "cuda", "mps", or "auto" for the best there is.
            precision: of encoder and memory attention. "float32" gives the same masks everywhere, but for last bits;
                "bfloat16" moves them a little (see docs/performance.md), and is faster with the published networks
                where the device multiplies in it, which is where "auto" takes it.
            encoder: what computes the image encoder: "torch"; "openvino", faster on most CPUs, with the extra
                `medsam2[openvino]`; or "auto" for the faster one that is installed.

        Raises:
            CheckpointError: the weights are missing, damaged or of another network.
            ConfigurationError: there is no such device, precision or encoder, or not on this device.
            MissingDependencyError: the encoder's package is not installed.
        """
        loaded = load_network(model, choose_device(device))
        loaded.network.in_precision(choose_precision(loaded.network, precision))
        loaded.network.compiled_maps = choose_encoder(loaded, encoder)
        return cls(loaded.network, loaded.card, loaded.sha256)

    def describe(self) -> dict[str, Any]:
        """The model, for a report."""
        return {
            "name": self.card.name,
            "sha256": self.sha256,
            "licence": self.card.licence,
            "device": str(self.network.device),
            "precision": str(self.network.precision).removeprefix("torch."),
            "encoder": "torch" if self.network.compiled_maps is None else "openvino",
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
        run = self._run(volume, prompts, settings or SegmentSettings())
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
        return self._run(volume, prompts, settings or SegmentSettings()).stream()

    def _run(self, volume: Volume, prompts: PromptSet, settings: SegmentSettings) -> VolumeRun | OrientationRun:
        if settings.orientations:
            return OrientationRun(self.network, volume, prompts, settings)
        return VolumeRun.of_prompts(self.network, volume, prompts, settings)

    def segment_like(
        self,
        volume: Volume,
        template: Volume,
        prompts: PromptSet,
        settings: SegmentSettings | None = None,
        progress: Progress | None = None,
    ) -> SegmentationResult:
        """Find in a volume what is prompted in another one, say of another patient.

        Args:
            volume: to segment.
            template: the prompted volume.
            prompts: of all objects, in the template's voxel indices.
            settings: how.
            progress: told (slices done, slices in all), first of the search, then of the segmentation.

        Raises:
            PromptError: the prompts do not fit the template, or nothing like it is seen in the volume.
            ConfigurationError: a setting does not fit.
        """
        run = TemplateRun(self.network, volume, template, prompts, settings or SegmentSettings())
        for _ in run.stream(progress):
            pass
        return run.result()

    def segment_set(
        self,
        images: Sequence[SetImage],
        template: str | Sequence[str],
        prompts: PromptSet | Sequence[PromptSet],
        settings: SetSettings | None = None,
        progress: Progress | None = None,
    ) -> SetResult:
        """Find what is prompted on one image of an unordered set on all the others; their order changes nothing.

        All label maps are in the result; for a large set, take `stream_set`.

        Args:
            images: the set, with the template: `medsam2.io.find_images`, or `medsam2.frames.NamedVolume` in memory.
            template: name of the prompted image, or names of several.
            prompts: of the template, in its voxel indices, or one set for each of several.
            settings: how.
            progress: told (images read, images to read in both passes); what it raises ends the run.

        Raises:
            PromptError: the prompts do not fit a template, or contradict each other.
            InputError: a template is not in the set, or two images share a name.
            FormatError: a template cannot be read; of any other image that cannot, the result tells.
            ConfigurationError: a setting does not fit.
        """
        run = SetRun(self.network, images, pair_templates(template, prompts), settings or SetSettings())
        masks = [replace(mask, volume=None) for mask in run.stream(progress)]
        return replace(run.result(), images=tuple(sorted(masks, key=lambda mask: mask.position)))

    def stream_set(
        self,
        images: Sequence[SetImage],
        template: str | Sequence[str],
        prompts: PromptSet | Sequence[PromptSet],
        settings: SetSettings | None = None,
    ) -> Iterator[ImageMask]:
        """The same, image by image as they are done, in memory that does not grow with the set; close it to cancel.

        Raises:
            PromptError: see `segment_set`.
            InputError: see `segment_set`.
            FormatError: see `segment_set`.
            ConfigurationError: see `segment_set`.
        """
        return SetRun(self.network, images, pair_templates(template, prompts), settings or SetSettings()).stream()


def choose_device(name: str) -> str:
    """The device to compute on: `name`, or the best there is for "auto".

    Raises:
        ConfigurationError: there is no such device here.
    """
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        return next(device for device in ("cuda", "mps", "cpu") if there[device])
    if not _is_there(name, there):
        usable = ", ".join(device for device, usable in there.items() if usable)
        raise ConfigurationError(f"device '{name}' is not available here; usable: {usable}")
    return name


def _is_there(name: str, there: Mapping[str, bool]) -> bool:
    """Whether a device, perhaps with a number, is among the kinds that are there."""
    try:
        device = torch.device(name)
    except RuntimeError:
        return False
    count = torch.cuda.device_count() if device.type == "cuda" else 1
    return there.get(device.type, False) and (device.index or 0) < count


def choose_precision(network: Sam2Network, name: PrecisionChoice) -> torch.dtype:
    """The precision to compute in: `name`, or for "auto" the faster one where it is known to be so.

    Raises:
        ConfigurationError: there is no such precision.
    """
    if name not in get_args(PrecisionChoice):
        raise ConfigurationError(f"precision is '{name}'; expected one of {', '.join(get_args(PrecisionChoice))}")
    if name == "auto":
        name = "bfloat16" if network.config.is_wide and _multiplies_in_bfloat16(network.device) else "float32"
    precision: torch.dtype = getattr(torch, name)
    return precision


def _multiplies_in_bfloat16(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type != "cpu" or not hasattr(torch.cpu, "get_capabilities"):  # PyTorch has not always told
        return False
    capabilities = torch.cpu.get_capabilities()
    return any(capabilities.get(name, False) for name in MULTIPLIES_IN_BFLOAT16)


def choose_encoder(loaded: LoadedNetwork, name: Encoder) -> OpenVinoEncoder | None:
    """What computes the image encoder in PyTorch's place; None: nothing does.

    Raises:
        ConfigurationError: there is no such encoder, or not on this device.
        MissingDependencyError: its package is not installed.
    """
    if name not in get_args(Encoder):
        raise ConfigurationError(f"encoder is '{name}'; expected one of {', '.join(get_args(Encoder))}")
    possible = openvino_is_installed() and loaded.network.device.type == "cpu"
    if name == "torch" or (name == "auto" and not possible):
        return None
    encoder = OpenVinoEncoder(loaded.network, loaded.sha256)
    return encoder if name == "openvino" or encoder.profits else None
