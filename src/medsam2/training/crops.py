"""Clips as the engine looks at them: through a region that follows one object (`NetworkConfig.focus`)."""

from dataclasses import dataclass

import torch
from torch import Tensor

from medsam2.frames.region import Region
from medsam2.frames.resizing import resize_image, resize_mask
from medsam2.synthetic import RandomSource

Box = tuple[int, int, int, int]

FOCUS = (1.6, 4.5)
"""Sides of the region on the prompted frame, in boxes: users' boxes are loose, and a click tells no size."""

FOLLOWING = (1.9, 3.3)
"""The same on the frames after it, where the region comes from the mask before."""

SHIFT, STRETCH = 0.06, 0.08
"""Deviations of the region from where it should be, in its sides, and of its side's logarithm: masks may be wrong."""

WHOLE = 0.12
"""Share of ordered clips that are looked at whole."""

COARSE = 0.4
"""Share of clips whose pixels are larger than the network's, as those of coarse scans are after zooming in."""


@dataclass(frozen=True)
class Crop:
    """One object's clip.

    Attributes:
        images: (T, C, S, S) in [0, 1].
        masks: (objects, T, S, S) bool.
        regions: (T, 4) shares of the frame that were looked at.
    """

    images: Tensor
    masks: Tensor
    regions: Tensor


def cut(images: Tensor, masks: Tensor, regions: list[Region], size: int, source: RandomSource) -> Crop:
    """Look at a clip through regions.

    Args:
        images: (T, C, R, Cc) in [0, 1].
        masks: (objects, T, R, Cc) bool.
        regions: one a frame.
        size: S.
        source: draws how coarse the pixels are.
    """
    frame = (images.shape[-2], images.shape[-1])
    coarse = round(size * source.uniform(0.25, 0.9)) if source.chance(COARSE) else None
    seen = [_seen(image, region, size, coarse) for image, region in zip(images, regions, strict=True)]
    cut_masks = [
        resize_mask(masks[:, index, region.y0 : region.y1, region.x0 : region.x1], size)
        for index, region in enumerate(regions)
    ]
    shares = torch.tensor([region.shares(frame) for region in regions], device=images.device)
    return Crop(torch.stack(seen), torch.stack(cut_masks, dim=1), shares)


def _seen(image: Tensor, region: Region, size: int, coarse: int | None) -> Tensor:
    part = image[None, :, region.y0 : region.y1, region.x0 : region.x1]
    return resize_image(part if coarse is None else resize_image(part, coarse), size)[0]


def follow(mask: Tensor, source: RandomSource, ordered: bool) -> list[Region]:
    """The regions through which a clip is looked at, one a frame, as if an object's masks were known a frame late.

    Args:
        mask: (T, R, Cc) bool of the object; it is on the first frame.
        source: randomness.
        ordered: the frames are neighbours. Else each image of several is looked at whole: nobody knows where the object
            is, and a nearer look where it is present would tell that it is.
    """
    shape = (mask.shape[-2], mask.shape[-1])
    boxes = _boxes(mask)
    is_set = not ordered and len(boxes) > 1
    if is_set or source.chance(WHOLE):
        return [Region.whole(shape)] * len(boxes)
    regions = [_near(boxes[0], FOCUS, shape, source)]
    for before in boxes[:-1]:
        regions.append(regions[-1] if before is None else _near(before, FOLLOWING, shape, source))
    return regions


def _near(box: Box | None, factors: tuple[float, float], shape: tuple[int, int], source: RandomSource) -> Region:
    """A region around a box, a little off."""
    if box is None:
        return Region.whole(shape)
    x0, y0, x1, y1 = box
    factor = source.log_uniform(*factors) * float(torch.exp(torch.tensor(source.normal(0.0, STRETCH))))
    side = factor * max(x1 - x0 + 1, y1 - y0 + 1)
    dx, dy = source.normal(0.0, SHIFT * side), source.normal(0.0, SHIFT * side)
    return Region.around((x0 + dx, y0 + dy, x1 + dx, y1 + dy), factor, shape)


def _boxes(mask: Tensor) -> list[Box | None]:
    """The box of each frame's mask, x0, y0, x1, y1; None where it is empty."""
    columns, rows = mask.any(-2), mask.any(-1)
    found: list[Box | None] = []
    for across, along in zip(columns.cpu(), rows.cpu(), strict=True):
        x, y = across.nonzero()[:, 0].tolist(), along.nonzero()[:, 0].tolist()
        found.append((x[0], y[0], x[-1], y[-1]) if x else None)
    return found
