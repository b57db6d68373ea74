"""Points, boxes and masks as the user gives them: in the file's own voxel indices (i, j, k)."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medsam2.errors import PromptError
from medsam2.spatial.segmentation import MAXIMUM_LABEL

MaskArray = NDArray[np.bool_]
Index = tuple[float, float, float]
Voxel = tuple[int, int, int]


@dataclass(frozen=True)
class PointPrompt:
    """A click.

    Attributes:
        i: Voxel index along the file's first axis; voxel centres are at integers, fractions are allowed.
        j: Along the second axis.
        k: Along the third axis.
        positive: True inside the object, False where it must not be.
    """

    i: float
    j: float
    k: float
    positive: bool = True

    @property
    def index(self) -> Index:
        """The place (i, j, k), not rounded."""
        return self.i, self.j, self.k

    @property
    def voxel(self) -> Voxel:
        """The voxel (i, j, k) whose centre is nearest."""
        return nearest_voxel(self.index)

    def __str__(self) -> str:
        return f"point {format_index(self.index)}"


@dataclass(frozen=True)
class BoxPrompt:
    """A box around the object in one slice: both corners belong to it, and along one axis they are equal.

    The corners may be given in any order; afterwards those with 0 are the lower ones.

    Example:
        >>> BoxPrompt(40, 20, 7, 10, 50, 7)
        BoxPrompt(i0=10, j0=20, k0=7, i1=40, j1=50, k1=7)
    """

    i0: float
    j0: float
    k0: float
    i1: float
    j1: float
    k1: float

    def __post_init__(self) -> None:
        for axis in "ijk":
            lower, upper = sorted((getattr(self, f"{axis}0"), getattr(self, f"{axis}1")))
            object.__setattr__(self, f"{axis}0", lower)
            object.__setattr__(self, f"{axis}1", upper)

    @property
    def corners(self) -> tuple[Index, Index]:
        """The lower and the upper corner, each (i, j, k)."""
        return (self.i0, self.j0, self.k0), (self.i1, self.j1, self.k1)

    @property
    def voxels(self) -> tuple[Voxel, Voxel]:
        """The voxels nearest to the lower and the upper corner."""
        lower, upper = self.corners
        return nearest_voxel(lower), nearest_voxel(upper)

    def __str__(self) -> str:
        lower, upper = self.corners
        return f"box {format_index(lower)} to {format_index(upper)}"


@dataclass(frozen=True, eq=False)
class MaskPrompt:
    """Voxels of the object, drawn in one slice, several slices or all of them.

    Attributes:
        voxels: (D, H, W) bool in the axes of the volume's array, which are the file's (k, j, i).

    Raises:
        PromptError: The array is not bool.

    Example:
        >>> labels = np.zeros((3, 60, 60), np.uint8)
        >>> mask = MaskPrompt(labels == 3)
    """

    voxels: MaskArray

    def __post_init__(self) -> None:
        if self.voxels.dtype != np.bool_:
            raise PromptError(f"the mask holds {self.voxels.dtype}; expected bool, e.g. `labels == 3` of a label map.")

    def __str__(self) -> str:
        return "mask"


@dataclass(frozen=True)
class ObjectPrompts:
    """Everything that is prompted for one object.

    Attributes:
        name: Name of the object, e.g. "liver".
        label: Its value in the label map that will be written, 1..65535.
        points: Clicks.
        boxes: Boxes, at most one in a slice.
        masks: Masks.

    Raises:
        PromptError: Nothing is prompted, the name or label cannot be used, a coordinate is not finite, a mask
            is empty, or one voxel is clicked as positive and as negative.

    Example:
        >>> ObjectPrompts("liver", 1, points=(PointPrompt(30, 40, 7),)).title
        "object 'liver' (label 1)"
    """

    name: str
    label: int
    points: tuple[PointPrompt, ...] = ()
    boxes: tuple[BoxPrompt, ...] = ()
    masks: tuple[MaskPrompt, ...] = ()

    def __post_init__(self) -> None:
        _check_name_and_label(self.name, self.label)
        for field in ("points", "boxes", "masks"):
            object.__setattr__(self, field, tuple(getattr(self, field)))
        if not (self.points or self.boxes or self.masks):
            raise PromptError(f"{self.title} has no prompt; give it at least one point, box or mask.")
        _check_finite(self)
        _check_masks(self)
        _check_clicks(self)

    @property
    def title(self) -> str:
        """What messages call the object."""
        return f"object {self.name!r} (label {self.label})"


def nearest_voxel(index: Iterable[float]) -> Voxel:
    """Give the voxel (i, j, k) whose centre is nearest; halfway between two, the higher one."""
    i, j, k = (math.floor(value + 0.5) for value in index)
    return i, j, k


def format_index(values: Iterable[float]) -> str:
    """Write numbers as (1, 2.5, 3)."""
    return f"({', '.join(f'{value:g}' for value in values)})"


def format_ranges(size_ijk: Voxel) -> str:
    """Write the voxel indices of a volume as i 0..121, j 0..100, k 0..111."""
    return ", ".join(f"{name} 0..{size - 1}" for name, size in zip("ijk", size_ijk, strict=True))


def _check_name_and_label(name: str, label: int) -> None:
    if not isinstance(name, str) or not name.strip():
        raise PromptError(f"the object of label {label!r} is named {name!r}; expected a text that is not empty.")
    is_integer = isinstance(label, (int, np.integer)) and not isinstance(label, bool)
    if not is_integer or not 1 <= label <= MAXIMUM_LABEL:
        raise PromptError(
            f"object {name!r} has the label {label!r}; expected an integer 1..{MAXIMUM_LABEL}, as 0 is background."
        )


def _check_finite(prompts: ObjectPrompts) -> None:
    indices = [(point, point.index) for point in prompts.points]
    corners = [(box, corner) for box in prompts.boxes for corner in box.corners]
    for prompt, index in (*indices, *corners):
        if not np.isfinite(index).all():
            raise PromptError(f"{prompts.title}: {prompt} is not finite; give numbers as voxel indices.")


def _check_masks(prompts: ObjectPrompts) -> None:
    for mask in prompts.masks:
        if not mask.voxels.any():
            raise PromptError(f"{prompts.title}: the mask is empty; mark at least one voxel, or leave it out.")


def _check_clicks(prompts: ObjectPrompts) -> None:
    positive = {point.voxel for point in prompts.points if point.positive}
    for point in prompts.points:
        if not point.positive and point.voxel in positive:
            raise PromptError(
                f"{prompts.title}: voxel {format_index(point.voxel)} is clicked as positive and as negative; "
                "keep one of the two."
            )
