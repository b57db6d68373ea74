"""What goes in and out of the network's parts, typed.

B objects, F frames, C channels, S input side, h = w = S / 16, N points, M mask candidates (see ARCHITECTURE.md).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import IntEnum

import torch
from torch import Tensor

NO_OBJECT_LOGIT = -1024.0
"""Mask logit of every pixel of a frame without the object (SAM 2's released code)."""


class PointKind(IntEnum):
    """What a prompt point is; the values are SAM's, but for the padding (there -1), so that it indexes a table."""

    NEGATIVE = 0
    POSITIVE = 1
    BOX_FIRST = 2
    BOX_LAST = 3
    PADDING = 4


@dataclass(frozen=True)
class FramePrompt:
    """The prompts of B objects on one frame.

    Attributes:
        points: (B, N, 2) float, x and y in network pixels.
        kinds: (B, N) int64 of `PointKind`.
        mask: (B, 1, S / 4, S / 4) mask logits to start from, or None.
    """

    points: Tensor
    kinds: Tensor
    mask: Tensor | None = None

    @classmethod
    def none(cls, objects: int, device: torch.device | str = "cpu") -> "FramePrompt":
        """No prompt at all: SAM 2 gives the decoder one padding point then."""
        kinds = torch.full((objects, 1), int(PointKind.PADDING), device=device)
        return cls(torch.zeros(objects, 1, 2, device=device), kinds)


@dataclass(frozen=True)
class ImageFeatures:
    """Encoded frames.

    Attributes:
        stride4: (F, C / 8, 4h, 4w), for the mask decoder's last upscaling.
        stride8: (F, C / 4, 2h, 2w), for its first.
        stride16: (F, C, h, w), what memory attention and decoder read.
        regions: (F, 4) what part of its frame each shows: first and last column edge and row edge (x0, y0, x1, y1), as
            shares of the frame; None: all of it.
    """

    stride4: Tensor
    stride8: Tensor
    stride16: Tensor
    regions: Tensor | None = None

    def __len__(self) -> int:
        return len(self.stride16)

    @property
    def size(self) -> int:
        """S, the input side in pixels."""
        return 4 * self.stride4.shape[-1]

    @classmethod
    def join(cls, parts: Sequence["ImageFeatures"]) -> "ImageFeatures":
        """The features of several frames, or parts of them, one after the other."""
        if len(parts) == 1:
            return parts[0]
        known = [one.regions for one in parts if one.regions is not None]
        return cls(
            torch.cat([one.stride4 for one in parts]),
            torch.cat([one.stride8 for one in parts]),
            torch.cat([one.stride16 for one in parts]),
            torch.cat(known) if len(known) == len(parts) else None,
        )

    def take(self, index: Tensor | slice) -> "ImageFeatures":
        """The features of some frames, in the order of `index`; a frame may be taken several times."""
        regions = None if self.regions is None else self.regions[index]
        return ImageFeatures(self.stride4[index], self.stride8[index], self.stride16[index], regions)

    def expand(self, objects: int) -> "ImageFeatures":
        """One frame's features, shared by `objects` objects without a copy."""
        stride4, stride8, stride16 = (
            one.expand(objects, -1, -1, -1) for one in (self.stride4, self.stride8, self.stride16)
        )
        return ImageFeatures(
            stride4, stride8, stride16, None if self.regions is None else self.regions.expand(objects, -1)
        )


@dataclass(frozen=True)
class MaskPrediction:
    """What the mask decoder says of B objects on one frame, before a candidate is chosen.

    Attributes:
        logits: (B, M, 4h, 4w) mask logits; candidate 0 is for clear prompts, 1..3 for ambiguous ones.
        iou: (B, M) the network's own estimate of each candidate's intersection over union, [0, 1].
        tokens: (B, M, C) the candidates' output tokens.
        object_score: (B,) logit; positive where the object is on the frame.
    """

    logits: Tensor
    iou: Tensor
    tokens: Tensor
    object_score: Tensor


@dataclass(frozen=True)
class ChosenMask:
    """The mask that stands for the object on a frame.

    Attributes:
        logits: (B, 4h, 4w).
        iou: (B,) its estimated intersection over union.
        token: (B, C) the output token that becomes the object pointer.
    """

    logits: Tensor
    iou: Tensor
    token: Tensor


@dataclass(frozen=True)
class SeenMask:
    """The masks of B objects on a frame, and where on it they were looked for.

    Attributes:
        logits: (B, 1, 4h, 4w).
        regions: (B, 4) as in `ImageFeatures`; None: the whole frame.
        features: of B frames, what they look like there before any memory; None where it need not be known.
    """

    logits: Tensor
    regions: Tensor | None = None
    features: ImageFeatures | None = None

    def of_object(self, index: int) -> "SeenMask":
        """The mask of one object (B = 1)."""
        one = slice(index, index + 1)
        return SeenMask(
            self.logits[one].clone(),
            None if self.regions is None else self.regions[one],
            None if self.features is None else self.features.take(one),
        )


@dataclass(frozen=True)
class MemoryEntry:
    """What is remembered of B objects on one frame.

    Attributes:
        features: (B, 64, h, w) spatial memory.
        pointer: (B, C) object pointer.
        iou: (B,) the network's confidence in the mask that was remembered.
        object_score: (B,) logit.
        frame: index of the frame.
        image: (B, C, h, w) the frame's own features before any memory, or None where no policy asks for them.
        mask: for a network that draws its prompts; else None.
    """

    features: Tensor
    pointer: Tensor
    iou: Tensor
    object_score: Tensor
    frame: int
    image: Tensor | None = None
    mask: SeenMask | None = None

    def without_image(self) -> "MemoryEntry":
        """The entry for a policy that does not compare frames: their features need not be kept."""
        return replace(self, image=None)

    def of_object(self, index: int) -> "MemoryEntry":
        """The entry of one object (B = 1), which keeps the memories of no other object alive."""
        one = slice(index, index + 1)
        # The image is shared between objects, and large.
        return MemoryEntry(
            self.features[one].clone(),
            self.pointer[one].clone(),
            self.iou[one],
            self.object_score[one],
            self.frame,
            None if self.image is None else self.image[one],
            None if self.mask is None else self.mask.of_object(index),
        )


@dataclass(frozen=True)
class MemorySelection:
    """The memories that one object attends to on a frame.

    Attributes:
        entries: spatial memories (B = 1 each).
        recency: for each, the row of the temporal embedding: 0 for the frame just before, 5 for six frames
            before, 6 for a prompted frame.
        pointers: object pointers, (1, C) each.
        times: for each, how long ago it was, as a share of the longest time looked back.
        before: the mask (B = 1) of the frame just before, where frames are ordered and the network draws its prompts;
            else None.
    """

    entries: tuple[MemoryEntry, ...]
    recency: tuple[int, ...]
    pointers: tuple[Tensor, ...] = ()
    times: tuple[float, ...] = ()
    before: SeenMask | None = None

    @property
    def layout(self) -> tuple[int, int, bool]:
        """Numbers of spatial memories and pointers, and whether a mask is drawn; one layout makes one batch."""
        return len(self.entries), len(self.pointers), self.before is not None


@dataclass(frozen=True)
class MemoryTokens:
    """Selected memories of B objects, laid out for memory attention.

    Attributes:
        tokens: (B, L, 64): spatial memories cell by cell, then the pointers' parts.
        position: (B, L, 64) positions to add to the keys.
        pointer_tokens: how many of the L are pointers' parts; they have no place in the image.
    """

    tokens: Tensor
    position: Tensor
    pointer_tokens: int
