"""From the prompts of a slice to what the network takes."""

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from medsam2.engine.track import NetworkPrompt
from medsam2.frames import FrameStack, Region
from medsam2.network.outputs import PointKind
from medsam2.prompts import FrameBox, FramePoint, SlicePrompt
from medsam2.prompts.prompt_types import MaskArray


def network_prompt(prompt: SlicePrompt, frames: FrameStack, device: torch.device) -> NetworkPrompt:
    """Lay one object's prompts on one slice into network pixels.

    A box goes in as its two corners before the clicks, as in SAM 2's predictor.

    Args:
        prompt: a mask alone, or points and a box.
        frames: the slices, through the region in which the prompts are to be seen.
        device: of the network.
    """
    if prompt.mask is not None:
        return replace(NetworkPrompt.from_mask(_drawn(prompt.mask, frames).to(device)), region=frames.region)
    corners = [] if prompt.box is None else _corners(prompt.box, frames)
    clicks = [_click(point, frames) for point in prompt.points]
    places, kinds = zip(*(corners + clicks), strict=True)
    points, kinds_of = torch.tensor(places, device=device), torch.tensor(kinds, device=device)
    return NetworkPrompt(points, kinds_of, region=frames.region)


def _click(point: FramePoint, frames: FrameStack) -> tuple[tuple[float, float], int]:
    kind = PointKind.POSITIVE if point.positive else PointKind.NEGATIVE
    return frames.to_network(point.x, point.y), int(kind)


def _corners(box: FrameBox, frames: FrameStack) -> list[tuple[tuple[float, float], int]]:
    seen = frames.region or Region.whole(frames.frame_shape)
    rows, columns = seen.shape
    first, last = frames.to_network(box.x0, box.y0), frames.to_network(box.x1, box.y1)
    x0, x1 = _span(first[0], last[0], frames.size / columns)
    y0, y1 = _span(first[1], last[1], frames.size / rows)
    return [((x0, y0), int(PointKind.BOX_FIRST)), ((x1, y1), int(PointKind.BOX_LAST))]


def _span(first: float, last: float, pixel: float) -> tuple[float, float]:
    """The first and the last network pixel that a box's outermost pixels become; narrower than one, its middle twice.

    Args:
        first: centre of the box's first pixel, in network pixels.
        last: centre of its last pixel.
        pixel: side of a pixel of the frame, in network pixels.
    """
    low, high = first - (pixel - 1) / 2, last + (pixel - 1) / 2
    return (low, high) if low <= high else ((low + high) / 2, (low + high) / 2)


def _drawn(mask: MaskArray, frames: FrameStack) -> Tensor:
    """A drawn mask, (1, S, S) bool; one that fills no network pixel by half keeps every pixel that it touches."""
    stretched = frames.mask_to_network(mask)[None]
    if stretched.any():
        return stretched
    seen = frames.region or Region.whole(frames.frame_shape)
    part = mask[seen.y0 : seen.y1, seen.x0 : seen.x1].astype(np.float32)
    return functional.adaptive_max_pool2d(torch.from_numpy(part)[None], frames.size) > 0
