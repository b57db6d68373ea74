"""medsam2: one prompt in, the whole volume out.

MedSAM-2 (arXiv 2408.00874) as software: a scan is the video of its slices; prompt one slice, and the object
is found in all the others.

The names below are loaded when they are first used: importing medsam2 does not import torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from medsam2.engine.volume_result import SegmentationResult, SegmentSettings
    from medsam2.io import read_label_map, read_volume, write_segmentation
    from medsam2.prompts import BoxPrompt, MaskPrompt, ObjectPrompts, PointPrompt, PromptSet
    from medsam2.segmenter import Segmenter
    from medsam2.spatial import Geometry, Plane, Segmentation, Volume

__version__ = "0.1.0"

_HOMES = {
    "BoxPrompt": "medsam2.prompts",
    "Geometry": "medsam2.spatial",
    "MaskPrompt": "medsam2.prompts",
    "ObjectPrompts": "medsam2.prompts",
    "Plane": "medsam2.spatial",
    "PointPrompt": "medsam2.prompts",
    "PromptSet": "medsam2.prompts",
    "SegmentSettings": "medsam2.engine.volume_run",
    "Segmentation": "medsam2.spatial",
    "SegmentationResult": "medsam2.engine.volume_run",
    "Segmenter": "medsam2.segmenter",
    "Volume": "medsam2.spatial",
    "read_label_map": "medsam2.io",
    "read_volume": "medsam2.io",
    "write_segmentation": "medsam2.io",
}

__all__ = [
    "BoxPrompt",
    "Geometry",
    "MaskPrompt",
    "ObjectPrompts",
    "Plane",
    "PointPrompt",
    "PromptSet",
    "SegmentSettings",
    "Segmentation",
    "SegmentationResult",
    "Segmenter",
    "Volume",
    "read_label_map",
    "read_volume",
    "write_segmentation",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'medsam2' has no attribute '{name}'")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
