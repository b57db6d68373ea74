"""SAM 2 in plain PyTorch, one file a named part of the paper."""

from medsam2.network.config import PRESETS, NetworkConfig
from medsam2.network.likeness import likeness
from medsam2.network.mask_decoder import agree_on_mask, choose_mask
from medsam2.network.network import Sam2Network
from medsam2.network.outputs import (
    ChosenMask,
    FramePrompt,
    ImageFeatures,
    MaskPrediction,
    MemoryEntry,
    MemorySelection,
    MemoryTokens,
    PointKind,
    SeenMask,
)

__all__ = [
    "PRESETS",
    "ChosenMask",
    "FramePrompt",
    "ImageFeatures",
    "MaskPrediction",
    "MemoryEntry",
    "MemorySelection",
    "MemoryTokens",
    "NetworkConfig",
    "PointKind",
    "Sam2Network",
    "SeenMask",
    "agree_on_mask",
    "choose_mask",
    "likeness",
]
