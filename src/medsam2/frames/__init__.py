"""From a volume to what the network sees: intensity windows, resizing, and the lazy stack of frames."""

from medsam2.frames.frame_stack import IMAGE_MEAN, IMAGE_STD, FrameStack
from medsam2.frames.resizing import resize_image, resize_logits, resize_mask
from medsam2.frames.windows import (
    CT_ABDOMEN,
    CT_BONE,
    CT_BRAIN,
    CT_LUNG,
    CT_MEDIASTINUM,
    PRESETS,
    UINT8,
    IntensityWindow,
    WindowSetting,
    choose_window,
)

__all__ = [
    "CT_ABDOMEN",
    "CT_BONE",
    "CT_BRAIN",
    "CT_LUNG",
    "CT_MEDIASTINUM",
    "IMAGE_MEAN",
    "IMAGE_STD",
    "PRESETS",
    "UINT8",
    "FrameStack",
    "IntensityWindow",
    "WindowSetting",
    "choose_window",
    "resize_image",
    "resize_logits",
    "resize_mask",
]
