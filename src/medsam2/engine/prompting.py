"""From the prompts of a slice to what the network takes."""

import torch

from medsam2.engine.track import ObjectPrompt
from medsam2.frames import FrameStack
from medsam2.network.outputs import PointKind
from medsam2.prompts import FrameBox, FramePoint, SlicePrompt


def object_prompt(prompt: SlicePrompt, frames: FrameStack, device: torch.device) -> ObjectPrompt:
    """Lay one object's prompts on one slice into network pixels.

    A box goes in as its two corners before the clicks, as in SAM 2's predictor.

    Args:
        prompt: a mask alone, or points and a box.
        frames: the slices.
        device: of the network.
    """
    if prompt.mask is not None:
        return ObjectPrompt.from_mask(frames.mask_to_network(prompt.mask)[None].float().to(device))
    corners = [] if prompt.box is None else _corners(prompt.box, frames)
    clicks = [_click(point, frames) for point in prompt.points]
    places, kinds = zip(*(corners + clicks), strict=True)
    return ObjectPrompt(torch.tensor(places, device=device), torch.tensor(kinds, device=device))


def _click(point: FramePoint, frames: FrameStack) -> tuple[tuple[float, float], int]:
    kind = PointKind.POSITIVE if point.positive else PointKind.NEGATIVE
    return frames.to_network(point.x, point.y), int(kind)


def _corners(box: FrameBox, frames: FrameStack) -> list[tuple[tuple[float, float], int]]:
    """The first and the last network pixel that the box's outermost pixels become."""
    rows, columns = frames.plane_view.frame_shape
    half_x, half_y = (frames.size / columns - 1) / 2, (frames.size / rows - 1) / 2
    x0, y0 = frames.to_network(box.x0, box.y0)
    x1, y1 = frames.to_network(box.x1, box.y1)
    return [
        ((x0 - half_x, y0 - half_y), int(PointKind.BOX_FIRST)),
        ((x1 + half_x, y1 + half_y), int(PointKind.BOX_LAST)),
    ]
