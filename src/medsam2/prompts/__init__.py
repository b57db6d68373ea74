"""What the user points at: points, boxes and masks, and their text and JSON forms (numpy only).

`medsam2.prompts.simulation`, which makes prompts from ground truth, is imported on its own: it needs scipy.
"""

from medsam2.prompts.annotated_objects import annotated_object, apart
from medsam2.prompts.coordinates import CoordinateSpace, box_from_numbers, point_from_numbers
from medsam2.prompts.json_format import prompts_from_json, prompts_to_json
from medsam2.prompts.label_maps import objects_from_label_map
from medsam2.prompts.prompt_set import PromptSet
from medsam2.prompts.prompt_types import BoxPrompt, MaskPrompt, ObjectPrompts, PointPrompt
from medsam2.prompts.slice_prompts import FrameBox, FramePoint, ResolvedObject, SlicePrompt
from medsam2.prompts.text import parse_box, parse_point

__all__ = [
    "BoxPrompt",
    "CoordinateSpace",
    "FrameBox",
    "FramePoint",
    "MaskPrompt",
    "ObjectPrompts",
    "PointPrompt",
    "PromptSet",
    "ResolvedObject",
    "SlicePrompt",
    "annotated_object",
    "apart",
    "box_from_numbers",
    "objects_from_label_map",
    "parse_box",
    "parse_point",
    "point_from_numbers",
    "prompts_from_json",
    "prompts_to_json",
]
