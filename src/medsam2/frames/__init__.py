"""From volumes and images to what the network sees: intensity windows, resizing, lazy stacks and sets of frames."""

from medsam2.frames.frame_stack import IMAGE_MEAN, IMAGE_STD, FrameStack
from medsam2.frames.image_set import ImageSet, NamedVolume, SetImage, image_view
from medsam2.frames.region import Region
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
    "ImageSet",
    "IntensityWindow",
    "NamedVolume",
    "Region",
    "SetImage",
    "WindowSetting",
    "choose_window",
    "image_view",
    "resize_image",
    "resize_logits",
    "resize_mask",
]
