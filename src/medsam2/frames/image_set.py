"""An unordered set of images, each a frame of its own size and intensities; read one at a time."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from medsam2.errors import InputError, ShapeError
from medsam2.frames.frame_stack import FrameStack
from medsam2.frames.windows import WindowSetting, choose_window
from medsam2.spatial import Geometry, PlaneView, Volume, plane_of_voxel_axis


class SetImage(Protocol):
    """One image of a set, read when asked for; it may be asked several times."""

    @property
    def name(self) -> str:
        """What results call it; no two images of a set share a name."""

    def read(self) -> Volume:
        """The image, as a volume of one slice."""


@dataclass(frozen=True, eq=False)
class NamedVolume:
    """An image of a set that is in memory.

    Attributes:
        name: What results call it.
        volume: The image, one slice.
    """

    name: str
    volume: Volume

    def read(self) -> Volume:
        """Give the image."""
        return self.volume


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Images as the network sees them, made when asked for; nothing of them is kept.

    Attributes:
        images: Where they come from.
        window: How the window of each image is chosen, from its own intensities; see `choose_window`.
        size: S, side of the network's square input, pixels.

    Raises:
        InputError: There is no image, or two share a name.

    Example:
        >>> import numpy as np
        >>> shapes = {"small": (1, 3, 4), "large": (1, 30, 40)}
        >>> volumes = {name: Volume(np.ones(shape), Geometry(shape, np.eye(4))) for name, shape in shapes.items()}
        >>> images = ImageSet([NamedVolume(*item) for item in volumes.items()], "auto", size=8)
        >>> len(images), images.position("large"), tuple(images.frame(1).shape)
        (2, 1, (3, 8, 8))
    """

    images: Sequence[SetImage]
    window: WindowSetting
    size: int

    def __post_init__(self) -> None:
        if not self.images:
            raise InputError("the set has no image; give at least the template and one other.")
        repeated = [name for name, count in Counter(image.name for image in self.images).items() if count > 1]
        if repeated:
            raise InputError(f"two images of the set are named {repeated[0]!r}; give each a name of its own.")

    def __len__(self) -> int:
        return len(self.images)

    def position(self, name: str) -> int:
        """Find an image by its name.

        Raises:
            InputError: No image has that name.
        """
        names = [image.name for image in self.images]
        if name not in names:
            near = difflib.get_close_matches(name, names, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise InputError(f"no image of the set is named {name!r}; the set has {len(names)} images.{hint}")
        return names.index(name)

    def stack(self, t: int) -> FrameStack:
        """Read an image.

        Args:
            t: Its number, 0..T - 1.

        Returns:
            The image as a stack of one frame, in its own window.

        Raises:
            InputError: There is no such image, it has more than one slice, or no finite value.
            FormatError: It cannot be read.
        """
        if not 0 <= t < len(self):
            raise InputError(f"image {t} of the set; expected 0..{len(self) - 1}.")
        volume = self.images[t].read()
        view = image_view(volume.geometry, self.images[t].name)
        return FrameStack(volume, view, choose_window(volume, self.window), self.size)

    def frame(self, t: int) -> Tensor:
        """Read an image and make its frame.

        Args:
            t: Its number, 0..T - 1.

        Returns:
            (3, S, S) float32, see `FrameStack.frame`.

        Raises:
            InputError: See `stack`.
            FormatError: See `stack`.
        """
        return self.stack(t).frame(0)


def image_view(geometry: Geometry, name: str = "the image") -> PlaneView:
    """Give the view of a grid of one slice, along whichever axis that is; of several such axes, along the last.

    Args:
        geometry: The grid.
        name: What messages call the image.

    Raises:
        ShapeError: The grid has more than one slice.
    """
    single = [axis for axis, size in enumerate(geometry.size_ijk) if size == 1]
    if not single:
        raise ShapeError(
            f"{name} is a volume of {geometry.describe()}; expected an image, a single slice. "
            "Volumes are segmented one by one, with `medsam2 segment`."
        )
    return PlaneView.of(geometry, plane_of_voxel_axis(geometry, single[-1]))
