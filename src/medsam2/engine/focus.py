"""Where to look (`NetworkConfig.focus`): at the object, with as much around it as was trained."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from medsam2.engine.prompting import network_prompt
from medsam2.engine.propagate import EncodedFrames
from medsam2.engine.track import Moment, NetworkPrompt, Track, advance
from medsam2.frames import FrameStack, Region
from medsam2.memory import FifoBank
from medsam2.network import Sam2Network
from medsam2.prompts import SlicePrompt
from medsam2.prompts.prompt_types import MaskArray

Box = tuple[float, float, float, float]

NEARER = (0.5, 0.25, 0.125)
"""Of the frame's longer side: squares around the clicks, looked at beside the whole slice, as a click tells no size."""

WHOLE = 2
"""A frame on which an object may be anywhere is looked at whole, with this many times the side of nearer looks."""

BLIND_SHARE = 0.3
"""Of the frame, around the clicks, where a first look finds nothing."""


@dataclass(frozen=True, eq=False)
class Answer:
    """What a prompt means.

    Attributes:
        logits: (4h, 4w) float32 of what was looked at.
        confidence: estimated intersection over union, [0, 1].
        object_score: logit.
        region: the part of the slice that was looked at.
        mask: (rows, columns) bool, on the slice.
    """

    logits: Tensor
    confidence: float
    object_score: float
    region: Region | None
    mask: MaskArray


def focused_prompt(network: Sam2Network, frames: FrameStack, frame: int, prompt: SlicePrompt) -> NetworkPrompt:
    """Lay an object's prompts on one slice into the pixels of the region that is looked at.

    A box and a drawn mask tell how large the object is. A click does not: it is answered from far and from ever nearer,
    and the surest answer tells where to look.

    Args:
        network: says whether it focuses (`NetworkConfig.focus`); SAM 2 does not.
        frames: the slices, whole.
        frame: index of the slice.
        prompt: a mask alone, or points and a box.
    """
    if not network.config.focus:
        return network_prompt(prompt, frames, network.device)
    box = _given_box(prompt) or _found_box(network, frames, frame, prompt)
    region = Region.around(box, network.config.focus, frames.frame_shape)
    return network_prompt(prompt, frames.through(region), network.device)


def whole_prompt(
    network: Sam2Network, frames: FrameStack, side: int, frame: int, prompt: SlicePrompt
) -> tuple[NetworkPrompt, Answer | None]:
    """Lay an object's prompts on one slice into the pixels of the whole frame, to be remembered as it is there.

    Args:
        network: where it focuses, clicks and boxes are answered from near, and the answer is drawn on the whole frame.
        frames: the slices, whole.
        side: input side in pixels for looking from near.
        frame: index of the slice.
        prompt: a mask alone, or points and a box.

    Returns:
        The prompt, and the answer from near if there is one.
    """
    if not network.config.focus or prompt.mask is not None:
        return network_prompt(prompt, frames, network.device), None
    near = _answer(network, replace(frames, size=side), frame, prompt)
    meant = SlicePrompt(mask=near.mask) if near.mask.any() else prompt
    return network_prompt(meant, frames, network.device), near


def whole_side(network: Sam2Network, side: int) -> int:
    """The input side in pixels for whole frames where objects are looked at with `side` pixels."""
    return WHOLE * side if network.config.focus else side


def _answer(network: Sam2Network, frames: FrameStack, frame: int, prompt: SlicePrompt) -> Answer:
    """What is prompted on one slice, alone and from near."""
    given = focused_prompt(network, frames, frame, prompt)
    there = torch.ones(1, dtype=torch.bool, device=network.device)
    with torch.inference_mode():
        features = EncodedFrames(network, frames).seen(frame, [given.region])
        (found,) = advance(network, features, [Track(FifoBank(), {frame: given})], Moment(frame, 1, len(frames)), there)
    logits, shown = found.prediction.logits[0].float().cpu(), frames.through(given.region)
    confidence, score = float(found.prediction.iou[0]), float(found.prediction.object_score[0])
    return Answer(logits, confidence, score, given.region, shown.logits_to_frame(logits).numpy() > 0)


def _given_box(prompt: SlicePrompt) -> Box | None:
    """The box of what was prompted, all clicks included; None if there are only clicks."""
    if prompt.mask is not None:
        rows, columns = np.flatnonzero(prompt.mask.any(1)), np.flatnonzero(prompt.mask.any(0))
        return float(columns[0]), float(rows[0]), float(columns[-1]), float(rows[-1])
    if prompt.box is None:
        return None
    return _with_clicks((prompt.box.x0, prompt.box.y0, prompt.box.x1, prompt.box.y1), prompt)


def _found_box(network: Sam2Network, frames: FrameStack, frame: int, prompt: SlicePrompt) -> Box:
    """The box of the surest answer to the clicks among those from far and near, all clicks included."""
    regions = _around_clicks(prompt, frames.frame_shape)
    prompts = [network_prompt(prompt, frames.through(region), network.device) for region in regions]
    tracks = [Track(FifoBank(), {frame: one}) for one in prompts]
    there = torch.ones(len(tracks), dtype=torch.bool, device=network.device)
    extents: list[tuple[float, Box]] = []
    with torch.inference_mode():
        features = EncodedFrames(network, frames).seen(frame, regions)
        for found in advance(network, features, tracks, Moment(frame, 1, len(frames)), there):
            for place, row in enumerate(found.rows):
                if extent := regions[row].extent(found.prediction.logits[place] > 0):
                    extents.append((float(found.prediction.iou[place]), extent))
    surest = max(extents, default=None)
    return _with_clicks(surest[1], prompt) if surest else _blind_box(network, frames, prompt)


def _around_clicks(prompt: SlicePrompt, shape: tuple[int, int]) -> list[Region]:
    """The whole slice, and ever smaller squares around the clicks that hold all of them."""
    x0, x1 = min(point.x for point in prompt.points), max(point.x for point in prompt.points)
    y0, y1 = min(point.y for point in prompt.points), max(point.y for point in prompt.points)
    clicks = max(x1 - x0, y1 - y0) + 1
    regions = [Region.whole(shape)]
    for share in NEARER:
        side = share * max(shape)
        if side > clicks:
            half = (side - clicks) / 2
            regions.append(Region.around((x0 - half, y0 - half, x1 + half, y1 + half), 1.0, shape))
    return list(dict.fromkeys(regions))


def _blind_box(network: Sam2Network, frames: FrameStack, prompt: SlicePrompt) -> Box:
    """A box around the clicks through whose region a good part of the slice is seen."""
    half = BLIND_SHARE * max(frames.frame_shape) / network.config.focus / 2
    clicks = [(point.x, point.y) for point in prompt.points]
    x, y = np.mean(clicks, axis=0).tolist()
    return _with_clicks((x - half, y - half, x + half, y + half), prompt)


def _with_clicks(box: Box, prompt: SlicePrompt) -> Box:
    x = [box[0], box[2], *(point.x for point in prompt.points)]
    y = [box[1], box[3], *(point.y for point in prompt.points)]
    return min(x), min(y), max(x), max(y)
