"""Ablations: the same cases and prompts under several settings, each of which changes one thing.

`MEMORY` is table 3 of MedSAM-2 (arXiv 2408.00874 v2), `ORIENTATIONS` measures what its section 3.3 gains and costs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, TypeVar
from typing import Protocol as Interface

from medsam2.datasets.cases import CaseSet
from medsam2.engine.set_result import ImageMask, SetSettings
from medsam2.engine.volume_result import SegmentationResult, SegmentSettings
from medsam2.evaluation.harness import Progress, evaluate
from medsam2.evaluation.protocol_options import DEFAULT_OPTIONS, ProtocolOptions
from medsam2.evaluation.protocols import Protocol
from medsam2.evaluation.run_log import RunLog, ScoredCase
from medsam2.evaluation.volume_judging import FoundSlice, Segmenting
from medsam2.frames import SetImage
from medsam2.memory import MemoryOptions
from medsam2.prompts import PromptSet
from medsam2.prompts.prompt_types import MaskArray
from medsam2.spatial import Plane, PlaneView, Volume

Settings = TypeVar("Settings", SegmentSettings, SetSettings)


@dataclass(frozen=True)
class Variant:
    """Settings under a name.

    Attributes:
        name: of its row.
        changes: by field, what differs from the settings of the run; sets of images take those that they know.
        drawn: memories are drawn at random, so that there is a run for each seed.
    """

    name: str
    changes: Mapping[str, Any]
    drawn: bool = False

    def applied(self, settings: Settings) -> Settings:
        """The settings with these changes."""
        known = {field.name for field in fields(settings)}
        return replace(settings, **{name: value for name, value in self.changes.items() if name in known})

    def seeded(self, seeds: int) -> list[tuple[int | None, Variant]]:
        """The runs that it needs, by their seed; None where nothing is random."""
        if not self.drawn:
            return [(None, self)]
        return [(seed, replace(self, changes={**self.changes, "memory_seed": seed})) for seed in range(seeds)]


@dataclass(frozen=True)
class Ablation:
    """Variants that are compared.

    Attributes:
        variants: the others are compared with the first.
        protocols: what is asked of each.
        fused: volumes are scored by their label map, which is made of several planes, each structure on its own.
        seeds: runs of a variant that draws, at least 1.
    """

    variants: tuple[Variant, ...]
    protocols: tuple[Protocol, ...]
    fused: bool = False
    seeds: int = 3


def _self_sorting(**options: Any) -> dict[str, Any]:
    return {"memory": "self-sorting", "memory_options": MemoryOptions(**options)}


def _all_planes(fusion: str) -> dict[str, Any]:
    return {"orientations": tuple(Plane), "fusion": fusion}


MEMORY = Ablation(
    variants=(
        Variant("FIFO", {"memory": "fifo", "memory_options": MemoryOptions()}),
        Variant("+ gate", _self_sorting(dissimilar=False, resample=False)),
        Variant("+ dissimilarity", _self_sorting(resample=False)),
        Variant("+ resampling", _self_sorting(), drawn=True),
        Variant("+ resampling, not drawn", _self_sorting()),
        Variant("confidence", {"memory": "confidence", "memory_options": MemoryOptions()}),
        Variant("released", {"memory": "released", "memory_options": MemoryOptions()}),
    ),
    protocols=(Protocol.MASK_VOLUME, Protocol.BOX_VOLUME, Protocol.MASK_SET),
)
"""The steps of the self-sorting bank one after the other, then the other policies as they are shipped."""

ORIENTATIONS = Ablation(
    variants=(
        Variant("one plane", {"orientations": ()}),
        Variant("three, average", _all_planes("average")),
        Variant("three, vote", _all_planes("vote")),
    ),
    protocols=(Protocol.MASK_VOLUME, Protocol.BOX_VOLUME),
    fused=True,
)
"""The plane of the prompt alone, and all three both ways with what they found averaged, or voted on."""

ABLATIONS: Mapping[str, Ablation] = {"memory": MEMORY, "orientations": ORIENTATIONS}
"""What can be asked for; the names are those of the command's flag."""


@dataclass(frozen=True)
class VariantRun:
    """What a variant scored with one seed.

    Attributes:
        variant: its name.
        seed: None where nothing is random.
        cases: all of them.
    """

    variant: str
    seed: int | None
    cases: tuple[ScoredCase, ...]


class SegmentingWhole(Segmenting, Interface):
    """What ablations are made with; `medsam2.Segmenter` is one."""

    def segment(
        self, volume: Volume, prompts: PromptSet, settings: SegmentSettings | None = None
    ) -> SegmentationResult:
        """Segment a volume from prompts, as one label map."""


@dataclass(frozen=True)
class _FusedSlice:
    """One slice of an object in a label map; `mask` is (R, C)."""

    label: int
    slice_index: int
    mask: MaskArray


class VariedSegmenter:
    """A segmenter that follows a variant whatever it is asked for.

    Args:
        segmenter: that does it.
        variant: settings.
        fused: the slices of volumes are those of a label map, each object segmented on its own, so that where
            structures overlap none takes voxels of another.
    """

    def __init__(self, segmenter: SegmentingWhole, variant: Variant, fused: bool = False) -> None:
        self.network = segmenter.network
        self._segmenter, self._variant, self._fused = segmenter, variant, fused

    def stream(
        self, volume: Volume, prompts: PromptSet, settings: SegmentSettings | None = None
    ) -> Iterator[FoundSlice]:
        """Segment a volume from prompts, slice by slice."""
        how = self._variant.applied(settings or SegmentSettings())
        if self._fused:
            return self._fused_slices(volume, prompts, how)
        return self._segmenter.stream(volume, prompts, how)

    def stream_set(
        self,
        images: Sequence[SetImage],
        template: str | Sequence[str],
        prompts: PromptSet | Sequence[PromptSet],
        settings: SetSettings | None = None,
    ) -> Iterator[ImageMask]:
        """Segment a set of images from one prompted image, image by image."""
        how = self._variant.applied(settings or SetSettings())
        return self._segmenter.stream_set(images, template, prompts, how)

    def _fused_slices(self, volume: Volume, prompts: PromptSet, how: SegmentSettings) -> Iterator[FoundSlice]:
        for one in prompts.objects:
            result = self._segmenter.segment(volume, PromptSet((one,)), how)
            view = PlaneView.of(volume.geometry, result.objects[0].plane)
            for frame, labels in enumerate(view.to_frames(result.segmentation.labels)):
                yield _FusedSlice(one.label, view.slice_index(frame), labels == one.label)


def run_ablation(
    ablation: Ablation,
    segmenter: SegmentingWhole,
    cases: CaseSet,
    settings: SegmentSettings,
    log_of: Callable[[Variant], RunLog | None] = lambda _: None,
    progress: Progress | None = None,
    options: ProtocolOptions = DEFAULT_OPTIONS,
) -> Iterator[VariantRun]:
    """Score all cases under each variant.

    Args:
        ablation: the variants, and what is asked of each.
        segmenter: what is evaluated.
        cases: what it is evaluated on.
        settings: that the variants change.
        log_of: gives the log of a run, from its variant with its seed.
        progress: told how far all runs are together.
        options: what the protocols leave open; the same in all runs.

    Yields:
        Each run when it is done.
    """
    planned = [run for variant in ablation.variants for run in variant.seeded(ablation.seeds)]
    for number, (seed, variant) in enumerate(planned):
        told = None if progress is None else _share(progress, number, len(planned))
        varied = VariedSegmenter(segmenter, variant, ablation.fused)
        log = log_of(variant)
        scored = tuple(evaluate(varied, cases, ablation.protocols, settings, log, told, options))
        yield VariantRun(variant.name, seed, scored)


def _share(progress: Progress, number: int, runs: int) -> Progress:
    """The progress of one of several runs of equal length, as that of all."""
    return lambda done, steps: progress(number * steps + done, runs * steps)
