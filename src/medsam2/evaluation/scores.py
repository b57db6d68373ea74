"""What is measured of a structure, and what all structures together say."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import mean

Measures = Mapping[str, float]
"""Values by column; NaN where there is nothing to measure."""

KINDS = ("box", "mask", "click")
SET_KINDS = ("box", "mask")

VOLUMES = (*(f"{kind}_volume" for kind in KINDS), *(f"{kind}_share_volume" for kind in KINDS), "clicks5_volume")
"""Columns of Dice of whole volumes."""

COLUMNS: Mapping[str, str] = {
    "box": "Dice on the prompted slice from its tight box",
    "ellipse": "baseline: Dice of the ellipse in that box",
    "otsu": "baseline: Dice of Otsu's threshold in that box",
    "click": "Dice on the prompted slice from one click, of the mask with the best estimate",
    "click_best": "Dice of the best of the three masks for that click, chosen by the truth",
    "click_regret": "intersection over union of the best of the three minus that of the chosen one",
    "flood": "baseline: Dice of flooding from that click",
    "clicks3": "Dice on the prompted slice from that click and two corrective ones",
    "box_volume": "Dice of the volume from the box on one slice",
    "box_volume_false": "share of the slices without the object that get a mask",
    "box_volume_missed": "share of the other slices with the object that get none",
    "box_volume_seconds": "seconds a slice, for up to 16 structures of the case at once",
    "mask_volume": "Dice of the volume from the true mask on one slice",
    "mask_volume_false": "as for the box",
    "mask_volume_missed": "as for the box",
    "mask_volume_seconds": "as for the box",
    "click_volume": "Dice of the volume from one click on one slice",
    "click_volume_false": "as for the box",
    "click_volume_missed": "as for the box",
    "click_volume_seconds": "as for the box",
    "box_set": "mean Dice on the other pictures of an unordered set from the box on one",
    "box_set_false": "share of the other pictures without the structure that get a mask",
    "mask_set": "mean Dice on the other pictures of an unordered set from the true mask on one",
    "mask_set_false": "as for the box",
    "copied_mask": "baseline: mean Dice of that true mask copied onto the others",
    "frozen_ellipse": "baseline: Dice of the ellipse on every slice of the object's true extent",
    "frozen_mask": "baseline: Dice of the true mask on every slice of the object's true extent",
    "grown_mask": "baseline: Dice of growing the true mask through the volume",
    "grown_click": "baseline: Dice of flooding the volume from the click",
    **{f"{kind}_share_volume": f"Dice of the volume from a {kind} on a share of the slices" for kind in KINDS},
    **{
        f"{kind}_share_volume_{what}": meaning
        for kind in KINDS
        for what, meaning in (
            ("prompts", "slices that were prompted"),
            ("false", "as for the box"),
            ("missed", "as for the box"),
            ("seconds", "as for the box"),
        )
    },
    "clicks5_volume": "Dice of the volume from the box on one slice and five corrective clicks in the volume",
    **{f"clicks5_volume_dsc_{n}": f"Dice after {n} of the box and five clicks" for n in range(1, 7)},
    **{f"clicks5_volume_nsd_{n}": f"normalised surface Dice at 2 mm after {n} of them" for n in range(1, 7)},
    "clicks5_volume_seconds": "seconds of all six answers, for up to 16 structures of the case at once",
    **{
        f"{kind}_share_set": f"mean Dice on the pictures of a set that were not prompted from a {kind} on a share"
        for kind in SET_KINDS
    },
    **{f"{kind}_share_set_false": "as for the box" for kind in SET_KINDS},
    **{
        f"{column}_std": "standard deviation of the runs' means, where several templates were drawn"
        for column in ("box_set", "mask_set", "box_share_set", "mask_share_set")
    },
    "copied_share_mask": "baseline: as copied_mask, from the largest of the share that was prompted",
    "nearest_mask": "baseline: Dice of the nearest prompted slice's true mask on every slice of the true extent",
    **{
        f"{volume}_unprompted": "Dice over the slices that were not prompted"
        for volume in VOLUMES
        if volume != "clicks5_volume"
    },
    **{
        f"{volume}_{metric}": meaning
        for volume in VOLUMES
        for metric, meaning in (
            ("iou", "intersection over union of the volume, where asked for"),
            ("hd95", "95th percentile of the Hausdorff distance, mm, where asked for"),
            ("nsd", "normalised surface Dice at the tolerance of the run, where asked for"),
            ("assd", "average symmetric surface distance, mm, where asked for"),
        )
    },
}
"""Columns of the scores in their order, and what they hold."""

BASELINES: Mapping[str, tuple[str, ...]] = {
    "box": ("ellipse", "otsu"),
    "click": ("flood",),
    "box_volume": ("frozen_ellipse", "frozen_mask"),
    "mask_volume": ("frozen_mask", "grown_mask"),
    "click_volume": ("frozen_ellipse", "grown_click"),
    "box_set": ("copied_mask",),
    "mask_set": ("copied_mask",),
    **{f"{kind}_share_volume": ("nearest_mask",) for kind in KINDS},
    **{f"{kind}_share_set": ("copied_share_mask",) for kind in SET_KINDS},
}
"""What each column has to beat."""


@dataclass(frozen=True)
class StructureScores:
    """All that was measured of one structure of one case.

    Attributes:
        case: name of the case.
        structure: its name.
        label: its value in the reference.
        plane: of the slices.
        prompted_slice: index in the file of the slice that was prompted.
        pixels: that it fills on that slice.
        values: by column.
        volume_ml: that it fills in the whole reference.
    """

    case: str
    structure: str
    label: int
    plane: str
    prompted_slice: int
    pixels: int
    values: Measures
    volume_ml: float = math.nan


@dataclass(frozen=True)
class Comparison:
    """How a column fares against a baseline, over the structures that have both.

    Attributes:
        baseline: its column.
        mean: of the baseline.
        better_share: of the structures on which the column is above the baseline.
        structures: that have both.
    """

    baseline: str
    mean: float
    better_share: float
    structures: int


def means(scores: Iterable[StructureScores]) -> dict[str, tuple[float, int]]:
    """Mean of each column over the structures that have a value, and their number; columns without one are left out."""
    rows = list(scores)
    known = {column: [row.values[column] for row in rows if is_known(row.values, column)] for column in COLUMNS}
    return {column: (mean(values), len(values)) for column, values in known.items() if values}


def comparisons(scores: Iterable[StructureScores]) -> dict[str, list[Comparison]]:
    """Each column that has baselines against each of them."""
    rows = [row.values for row in scores]
    found = {
        column: [one for baseline in baselines if (one := _compare(rows, column, baseline))]
        for column, baselines in BASELINES.items()
    }
    return {column: against for column, against in found.items() if against}


def is_known(values: Measures, column: str) -> bool:
    """Whether a column has a number."""
    return not math.isnan(values.get(column, math.nan))


def _compare(rows: Sequence[Measures], column: str, baseline: str) -> Comparison | None:
    pairs = [(row[column], row[baseline]) for row in rows if is_known(row, column) and is_known(row, baseline)]
    if not pairs:
        return None
    return Comparison(
        baseline=baseline,
        mean=mean(trivial for _, trivial in pairs),
        better_share=mean(float(own > trivial) for own, trivial in pairs),
        structures=len(pairs),
    )
