"""What people read in place of the columns' names."""

from __future__ import annotations

from collections.abc import Mapping

from medsam2.evaluation.volume_metrics import VolumeMetric

ROWS: Mapping[str, str] = {
    "box": "box, one slice",
    "click": "1 click, one slice",
    "click_best": "  best of its three",
    "clicks3": "3 clicks, one slice",
    "box_volume": "box -> volume",
    "mask_volume": "mask -> volume",
    "click_volume": "click -> volume",
    "box_set": "box -> set",
    "mask_set": "mask -> set",
    "box_share_volume": "boxes -> volume",
    "mask_share_volume": "masks -> volume",
    "click_share_volume": "clicks -> volume",
    "clicks5_volume": "box, then 5 clicks",
    "box_share_set": "boxes -> set",
    "mask_share_set": "masks -> set",
}
"""Protocols, by the column of their Dice, in their order."""

BASELINE_NAMES: Mapping[str, str] = {
    "ellipse": "ellipse",
    "otsu": "Otsu",
    "flood": "flood",
    "frozen_ellipse": "frozen ellipse",
    "frozen_mask": "frozen mask",
    "grown_mask": "grown mask",
    "grown_click": "flood in 3-D",
    "nearest_mask": "nearest mask",
    "copied_share_mask": "copied mask",
    "copied_mask": "copied mask",
}

MEASURES: Mapping[VolumeMetric, str] = {
    VolumeMetric.IOU: "IoU",
    VolumeMetric.HD95: "HD95, mm",
    VolumeMetric.NSD: "NSD",
    VolumeMetric.ASSD: "ASSD, mm",
}
"""Metrics of volumes besides Dice."""
