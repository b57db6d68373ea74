"""How a volume is to be segmented, and what was found: settings, slices, objects, the whole."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from medsam2.errors import ConfigurationError
from medsam2.frames import IntensityWindow, Region, WindowSetting
from medsam2.memory import MemoryOptions, new_banks
from medsam2.network.config import check_size
from medsam2.spatial import Plane, Segmentation

Progress = Callable[[int, int], None]
"""Told (slices done, slices in all); the slices in all are an upper bound until the end."""

Fusion = Literal["average", "vote"]


@dataclass(frozen=True)
class SegmentSettings:
    """How a volume is segmented; the names are those of the command's flags and of the report.

    Attributes:
        memory: memory policy, one of `medsam2.memory.POLICIES`.
        memory_options: what differs from the policy's defaults; see `MemoryOptions`.
        memory_seed: memories are drawn at random from this seed; None: nothing is random.
        plane: plane whose slices are the video; None: what the prompts say, else the plane of acquisition.
        window: intensities shown, see `medsam2.frames.choose_window`.
        size: side of the network's input in pixels; None: what the network was trained at.
        patience: an object is given up in a direction after this many slices in a row without it; 0: never.
        orientations: further planes in which what was found is looked at again; see `OrientationRun`.
        fusion: how what was found in several planes becomes one: "average" of logits, or "vote".
        interpolate: between two drawn slices of an object, what the network finds is added to their shapes.
        largest_component: keep only the largest connected part of each object.
        fill_holes: fill the background that an object encloses.
    """

    memory: str = "fifo"
    memory_options: MemoryOptions = field(default_factory=MemoryOptions)
    memory_seed: int | None = None
    plane: Plane | None = None
    window: WindowSetting = "auto"
    size: int | None = None
    patience: int = 3
    orientations: tuple[Plane, ...] = ()
    fusion: Fusion = "vote"
    interpolate: bool = True
    largest_component: bool = False
    fill_holes: bool = False

    def __post_init__(self) -> None:
        if self.patience < 0:
            raise ConfigurationError(f"patience is {self.patience}; expected 0 (never give up) or more slices")
        if self.fusion not in get_args(Fusion):
            raise ConfigurationError(f"fusion is {self.fusion!r}; expected one of {', '.join(get_args(Fusion))}")
        if self.size is not None:
            check_size(self.size)
        new_banks(1, self.memory, self.memory_options)


@dataclass(frozen=True)
class SliceMask:
    """What was found of one object on one slice, as it is streamed.

    Attributes:
        name: of the object.
        label: of the object.
        plane: of the slice.
        slice_index: index of the slice in the file, along the plane's voxel axis.
        mask: (rows, columns) bool in the plane's view.
        logits: (4h, 4w) float32, what the network said of it, at its own resolution.
        region: the part of the slice that the logits show; None: all of it.
        confidence: estimated intersection over union, [0, 1]; 0 where nothing was found.
        object_score: logit; positive where the network sees the object.
        prompted: the slice was prompted for this object.
    """

    name: str
    label: int
    plane: Plane
    slice_index: int
    mask: NDArray[np.bool_]
    logits: Tensor
    confidence: float
    object_score: float
    prompted: bool
    region: Region | None = None


@dataclass(frozen=True)
class SliceConfidence:
    """How sure the network is of a slice.

    Attributes:
        slice_index: index in the file, along the plane's voxel axis.
        confidence: see `SliceMask`.
        object_score: see `SliceMask`.
        prompted: see `SliceMask`.
    """

    slice_index: int
    confidence: float
    object_score: float
    prompted: bool


@dataclass(frozen=True)
class ObjectResult:
    """What was found of one object.

    Attributes:
        name: given.
        label: its value in the label map.
        plane: of its slices.
        voxels: in the label map.
        volume_ml: the same in millilitres.
        slices: every slice that was looked at, in file order.
        seconds: its share of the time.
    """

    name: str
    label: int
    plane: Plane
    voxels: int
    volume_ml: float
    slices: tuple[SliceConfidence, ...]
    seconds: float

    @property
    def prompted_slices(self) -> tuple[int, ...]:
        """Indices in the file of the slices with a prompt."""
        return tuple(one.slice_index for one in self.slices if one.prompted)


@dataclass(frozen=True)
class SegmentationResult:
    """A finished segmentation.

    Attributes:
        segmentation: the label map, in the volume's geometry.
        objects: what was found of each.
        window: the intensities that were shown to the network.
        settings: what was asked for.
        warnings: sentences for the user: objects of which nothing was found, or that lost every voxel to others.
        seconds: for all.
    """

    segmentation: Segmentation
    objects: tuple[ObjectResult, ...]
    window: IntensityWindow
    settings: SegmentSettings
    warnings: tuple[str, ...]
    seconds: float
