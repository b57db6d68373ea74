"""The chain, written once: condition on memory, decode a mask, encode it as memory (SAM 2, section 4).

Batched over objects and differentiable; segmenting, evaluating and training all pass through it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from medsam2.frames.resizing import resize_image, resize_logits
from medsam2.network import (
    FramePrompt,
    ImageFeatures,
    MaskPrediction,
    MemoryEntry,
    MemorySelection,
    Sam2Network,
    SeenMask,
    agree_on_mask,
    choose_mask,
)
from medsam2.network.outputs import NO_OBJECT_LOGIT, PointKind

DRAWN_LOGIT = 10.0
"""A mask drawn by the user stands as logits of +-10 (SAM 2's released code)."""

MOST_AMBIGUOUS_POINTS = 1
"""With at most one click the prompt is ambiguous and three masks compete (SAM 2, section 4)."""


@dataclass(frozen=True)
class FramePrediction:
    """What was found of B objects on one frame.

    Attributes:
        logits: (B, 4h, 4w) mask logits, `NO_OBJECT_LOGIT` everywhere where the network says the object is absent.
        iou: (B,) the network's confidence in the mask, [0, 1].
        object_score: (B,) logit, positive where the object is on the frame.
        present: (B,) bool, what the memory is told: the object is on the frame.
        pointer: (B, C) object pointer.
        candidates: all that the decoder said, before a choice; None where the mask was drawn by the user.
    """

    logits: Tensor
    iou: Tensor
    object_score: Tensor
    present: Tensor
    pointer: Tensor
    candidates: MaskPrediction | None


def step(
    network: Sam2Network,
    features: ImageFeatures,
    prompt: FramePrompt,
    memory: Sequence[MemorySelection] | None,
    frame: int,
    present: Tensor | None = None,
) -> tuple[FramePrediction, MemoryEntry]:
    """Segment B objects on one frame from their prompts and memories, and make the memory of it.

    Args:
        network: in training mode the choices that only serve inference are off: falling back to a stable mask, rounding
            prompted masks to 0 and 1, keeping memories in bfloat16, taking an unlikely mask for none (`least_iou`).
        features: of one frame that all objects share, or of B frames.
        prompt: of B objects, all prompted or none; `FramePrompt.none` where nothing was.
        memory: one selection an object, all of one layout; None on a prompted frame without a past.
        frame: its index.
        present: (B,) bool, whether the object is there, where that is known (in training, or from the user); else the
            network decides.
    """
    raw = network.decode(network.condition(features, memory), prompt)
    points = (prompt.kinds != PointKind.PADDING).sum(1)
    prompted = bool((points > 0).any())
    if network.config.consensus and not prompted:
        chosen = agree_on_mask(raw)
    else:
        chosen = choose_mask(raw, points <= MOST_AMBIGUOUS_POINTS, prefer_stable=not network.training)
    if present is None:
        present = raw.object_score > 0
        if not prompted and not network.training:
            present = present & (chosen.iou >= network.config.least_iou)
    found = FramePrediction(
        logits=torch.where(present[:, None, None], chosen.logits, NO_OBJECT_LOGIT),
        iou=chosen.iou,
        object_score=raw.object_score,
        present=present,
        pointer=network.point_to_object(chosen.token, present),
        candidates=raw,
    )
    mask = resize_logits(found.logits[:, None].float(), (features.size, features.size))
    mask = (mask > 0).float() if prompted and not network.training else mask.sigmoid()
    return found, _remember(network, features, found, mask, frame)


def step_with_mask(
    network: Sam2Network, features: ImageFeatures, mask: Tensor, frame: int, present: Tensor | None = None
) -> tuple[FramePrediction, MemoryEntry]:
    """Take the masks that the user drew on a frame as its result, and make the memory of them.

    Args:
        network: see `step`.
        features: see `step`.
        mask: (B, 1, S, S) bool, or floats, 1 in the object and 0 elsewhere, that may be soft at the border.
        frame: its index.
        present: (B,) bool, whether the object pointer is to point at the mask; None: only where the decoder sees the
            object too, as Meta's code does.
    """
    drawn = (mask > 0).flatten(1).any(1)
    nothing = FramePrompt.none(len(mask), mask.device)
    prompt = FramePrompt(nothing.points, nothing.kinds, network.mask_to_logits(mask.to(network.dtype)))
    # The decoder only gives the object pointer here, from the token for clear prompts.
    seen = network.decode(features, prompt)
    pointed = drawn & (seen.object_score > 0 if present is None else present)
    found = FramePrediction(
        logits=resize_image(mask.float(), features.size // 4)[:, 0] * 2 * DRAWN_LOGIT - DRAWN_LOGIT,
        iou=torch.ones(len(mask), device=mask.device),
        object_score=torch.where(drawn, DRAWN_LOGIT, -DRAWN_LOGIT),
        present=drawn,
        pointer=network.point_to_object(seen.tokens[:, 0], pointed),
        candidates=None,
    )
    return found, _remember(network, features, found, (mask > 0.5).float(), frame)


def _remember(
    network: Sam2Network, features: ImageFeatures, found: FramePrediction, mask: Tensor, frame: int
) -> MemoryEntry:
    """The memory of what was found; `mask` is (B, 1, S, S) in [0, 1]."""
    memory = network.encode_memory(features, mask, found.present)
    seen = None
    if network.config.drawn_prompts:
        logits = found.logits[:, None].detach().clamp(-DRAWN_LOGIT, DRAWN_LOGIT)
        own = features.expand(len(mask)) if len(features) < len(mask) else features
        seen = SeenMask(logits, own.regions, own if network.config.likeness else None)
    return MemoryEntry(
        # SAM 2 keeps memories in bfloat16.
        features=memory if network.training else memory.to(torch.bfloat16),
        pointer=found.pointer,
        iou=found.iou,
        object_score=found.object_score,
        frame=frame,
        image=features.stride16.expand(len(mask), -1, -1, -1),
        mask=seen,
    )
