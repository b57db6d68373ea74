"""The slices of a volume as the network sees them, made one at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from medsam2.errors import ConfigurationError, InputError, ShapeError
from medsam2.frames.region import Region
from medsam2.frames.resizing import resize_image, resize_logits, resize_mask
from medsam2.frames.windows import IntensityWindow
from medsam2.spatial import PlaneView, Volume

IMAGE_MEAN = (0.485, 0.456, 0.406)
"""Of ImageNet's red, green and blue in [0, 1]; SAM 2's published configuration (Ravi et al. 2024, arXiv
2408.00714) normalises with it."""

UNSEEN_LOGIT = -1024.0
"""Of pixels that were not looked at: as of a frame without the object (`NO_OBJECT_LOGIT`)."""

IMAGE_STD = (0.229, 0.224, 0.225)
"""Standard deviation that goes with `IMAGE_MEAN`."""


@dataclass(frozen=True, eq=False)
class FrameStack:
    """T slices of a volume in one plane, windowed, stretched to a square and normalised when asked for.

    The volume's array is only looked at: no more than one slice is ever converted at a time.

    Attributes:
        volume: The volume.
        plane_view: The view of its frames.
        window: Maps intensities to [0, 1]; for RGB it is 0..255 unless another one was chosen.
        size: S, side of the network's square input, pixels.
        region: The part of every frame that is looked at, see `through`; None: all of it.

    Raises:
        ShapeError: The view belongs to a volume of another shape.
        ConfigurationError: The size is not positive.

    Example:
        >>> from medsam2.frames import choose_window
        >>> from medsam2.spatial import Geometry, Plane
        >>> volume = Volume(np.arange(24.0).reshape(2, 3, 4), Geometry((2, 3, 4), np.eye(4)))
        >>> view = PlaneView.of(volume.geometry, Plane.AXIAL)
        >>> stack = FrameStack(volume, view, choose_window(volume, "full"), size=8)
        >>> len(stack), tuple(stack.frame(1).shape)
        (2, (3, 8, 8))
    """

    volume: Volume
    plane_view: PlaneView
    window: IntensityWindow
    size: int
    region: Region | None = None

    def __post_init__(self) -> None:
        if self.plane_view.geometry.shape != self.volume.geometry.shape:
            raise ShapeError(
                f"the plane view is of a volume of shape {self.plane_view.geometry.shape}, the volume has "
                f"{self.volume.geometry.shape}; make the view from the volume's geometry."
            )
        if self.size < 1:
            raise ConfigurationError(f"the network's input size is {self.size}; expected at least 1 pixel.")

    @property
    def frame_shape(self) -> tuple[int, int]:
        """Rows and columns of a frame, all of it."""
        return self.plane_view.frame_shape

    def through(self, region: Region | None) -> FrameStack:
        """The same frames, looked at through a region: it alone is stretched to the square."""
        return replace(self, region=region)

    def __len__(self) -> int:
        return self.plane_view.frame_count

    def frame(self, t: int) -> Tensor:
        """Make one frame.

        Args:
            t: Number of the frame, 0..T - 1.

        Returns:
            (3, S, S) float32, normalised with `IMAGE_MEAN` and `IMAGE_STD`; grey is repeated in all channels.

        Raises:
            InputError: There is no such frame.
        """
        if not 0 <= t < len(self):
            raise InputError(f"frame {t} of the {self.plane_view.plane} plane; expected 0..{len(self) - 1}.")
        seen = self._seen
        part = self.plane_view.to_frames(self.volume.array)[t, seen.y0 : seen.y1, seen.x0 : seen.x1]
        pixels = self.window.apply(part)
        channels = torch.from_numpy(np.atleast_3d(pixels)).permute(2, 0, 1)
        resized = resize_image(channels[None], self.size)[0].expand(3, -1, -1)
        return (resized - torch.tensor(IMAGE_MEAN)[:, None, None]) / torch.tensor(IMAGE_STD)[:, None, None]

    def frames(self, numbers: Sequence[int]) -> Tensor:
        """Make several frames.

        Args:
            numbers: Numbers of n frames, in any order.

        Returns:
            (n, 3, S, S) float32.

        Raises:
            InputError: There is no such frame.
        """
        stacked = torch.empty(len(numbers), 3, self.size, self.size)
        for position, t in enumerate(numbers):
            stacked[position] = self.frame(t)
        return stacked

    def to_network(self, x: float, y: float) -> tuple[float, float]:
        """Find a place of a frame in the network's square; a pixel's centre stays the centre of what becomes of it.

        (SAM 2 scales plainly, x * S / columns, which moves a click by up to half a pixel.)

        Args:
            x: Column of the frame, pixel centres at integers.
            y: Row of the frame.

        Returns:
            x and y, pixels of the square.
        """
        seen = self._seen
        rows, columns = seen.shape
        return (x - seen.x0 + 0.5) * self.size / columns - 0.5, (y - seen.y0 + 0.5) * self.size / rows - 0.5

    def mask_to_network(self, mask: NDArray[np.bool_]) -> Tensor:
        """Stretch a frame's mask to the network's square.

        Args:
            mask: (rows, columns) bool.

        Returns:
            (S, S) bool.

        Raises:
            ShapeError: The mask has not the frame's shape.
        """
        if mask.shape != self.plane_view.frame_shape:
            raise ShapeError(
                f"the mask has shape {mask.shape}; a frame of the {self.plane_view.plane} plane has (rows, "
                f"columns) = {self.plane_view.frame_shape}."
            )
        seen = self._seen
        part = np.ascontiguousarray(mask[seen.y0 : seen.y1, seen.x0 : seen.x1])
        return resize_mask(torch.from_numpy(part), self.size)

    def logits_to_frame(self, logits: Tensor) -> Tensor:
        """Stretch mask logits to the frame.

        Args:
            logits: (..., h, w) floats.

        Returns:
            (..., rows, columns); outside the region that is looked at, `UNSEEN_LOGIT`.
        """
        seen = self._seen
        stretched = resize_logits(logits, seen.shape)
        if seen.shape == self.frame_shape:
            return stretched
        whole = stretched.new_full((*logits.shape[:-2], *self.frame_shape), UNSEEN_LOGIT)
        whole[..., seen.y0 : seen.y1, seen.x0 : seen.x1] = stretched
        return whole

    @property
    def _seen(self) -> Region:
        return self.region or Region.whole(self.frame_shape)
