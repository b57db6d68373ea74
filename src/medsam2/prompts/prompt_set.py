"""All prompts of one segmentation."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from medsam2.errors import PromptError
from medsam2.prompts.prompt_types import ObjectPrompts
from medsam2.prompts.resolution import resolve_object
from medsam2.prompts.slice_prompts import ResolvedObject
from medsam2.spatial import Geometry, Plane, acquisition_plane


@dataclass(frozen=True)
class PromptSet:
    """The prompts of all objects of a volume.

    Attributes:
        objects: The objects, each with a name and a label of its own.

    Raises:
        PromptError: There is no object, or two share a name or label.

    Example:
        >>> import numpy as np
        >>> from medsam2.prompts import BoxPrompt
        >>> liver = ObjectPrompts("liver", 1, boxes=(BoxPrompt(10, 20, 7, 40, 50, 7),))
        >>> geometry = Geometry((9, 60, 60), np.diag([1.0, 1.0, 3.0, 1.0]))
        >>> (resolved,) = PromptSet((liver,)).resolve(geometry)
        >>> resolved.plane.value, resolved.slices[7].box
        ('axial', FrameBox(x0=10.0, y0=20.0, x1=40.0, y1=50.0))
    """

    objects: tuple[ObjectPrompts, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "objects", tuple(self.objects))
        if not self.objects:
            raise PromptError("there is no object; prompt at least one.")
        _check_unique("label", [prompts.label for prompts in self.objects])
        _check_unique("name", [prompts.name for prompts in self.objects])

    @property
    def names(self) -> dict[int, str]:
        """Name of each label."""
        return {prompts.label: prompts.name for prompts in self.objects}

    def resolve(
        self, geometry: Geometry, plane: Plane | None = None, default_plane: Plane | None = None
    ) -> list[ResolvedObject]:
        """Lay all prompts into the frames of their planes; objects may be prompted in different planes.

        Args:
            geometry: The grid of the volume.
            plane: The plane that the user named, None if none; then each object's prompts tell.
            default_plane: The plane to take where the prompts fit several; None: the plane of acquisition.

        Raises:
            PromptError: See `resolve_object`.
        """
        default = acquisition_plane(geometry) if default_plane is None else default_plane
        return [resolve_object(prompts, geometry, plane, default) for prompts in self.objects]


def _check_unique(what: str, values: list[int] | list[str]) -> None:
    repeated = [value for value, count in Counter(values).items() if count > 1]
    if repeated:
        raise PromptError(
            f"two objects have the {what} {repeated[0]!r}; give each object its own {what}, or join their "
            "prompts into one object."
        )
