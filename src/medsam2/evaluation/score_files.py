"""What an evaluation leaves: a table of structures as CSV, and all that is needed to repeat it as JSON."""

from __future__ import annotations

import math
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from medsam2 import __version__
from medsam2.datasets.cases import CaseSet, joint_sha256
from medsam2.engine.volume_result import SegmentSettings
from medsam2.errors import FormatError
from medsam2.evaluation.csv_tables import write_csv
from medsam2.evaluation.intervals import LEVEL, RESAMPLES, SEED, bootstrap_interval
from medsam2.evaluation.one_prompt import set_settings
from medsam2.evaluation.protocol_options import DEFAULT_OPTIONS, ProtocolOptions
from medsam2.evaluation.protocols import Protocol
from medsam2.evaluation.run_log import ScoredCase
from medsam2.evaluation.scores import COLUMNS, StructureScores, comparisons, is_known, means
from medsam2.reporting import write_report

SCORES_VERSION = 1
"""Raised when a field is renamed, removed or changes its meaning; new fields do not raise it."""

LIBRARIES = ("torch", "numpy", "scipy", "SimpleITK")

DECIMALS = 5

FACTS = {
    "prompted_slice": "where the structure is largest in the reference, in the acquisition plane; the first of equals",
    "prompts": "made from the reference's mask of that slice alone (medsam2.prompts.simulation): the tight box, the "
    "pixel farthest from the edge, the mask itself; corrective clicks into the largest error",
    "absence": "the segmenter is told nothing of slices without the object",
    "overlaps": "each structure is scored by its own mask, before overlaps with other prompted structures are settled",
    "true_extent": "frozen_mask and frozen_ellipse are told on which slices the object is; the segmenter is not",
    "empty_masks": "every scored structure has voxels; where its mask is empty, Dice, IoU and NSD are 0, HD95 and ASSD "
    "the diagonal of the volume in mm",
    "unordered": "pictures of unordered sets and single pictures are scored on the prompted slice, and by the "
    "protocols of sets on all pictures but the prompted ones",
    "shares": "slices and pictures are drawn by the seed, whatever the reference holds; the drawn ones with the object "
    "are prompted, of the others nothing is told; if none has it, that on which it is largest is prompted",
    "clicks5": "each click goes to where the last answer is most wrong in the whole volume, as the challenge's user "
    "would see it: it tells of the reference at that voxel only",
    "nearest_extent": "nearest_mask is told on which slices the object is, as the frozen ones are",
}
"""What was done, in words."""


def run_header(
    model: Mapping[str, Any],
    cases: CaseSet,
    protocols: Sequence[Protocol],
    settings: SegmentSettings,
    options: ProtocolOptions = DEFAULT_OPTIONS,
) -> dict[str, Any]:
    """What a run depends on beside its cases: equal headers give equal scores.

    `settings` are those of volumes and single slices, `set_settings` those of unordered sets.

    Raises:
        ConfigurationError: no memory policy has the name that is asked for.
    """
    return {
        "scores_version": SCORES_VERSION,
        "medsam2_version": __version__,
        "model": {**model},
        "set": {"name": cases.name, **cases.facts},
        "protocols": [protocol.value for protocol in protocols],
        "settings": asdict(settings),
        "set_settings": asdict(set_settings(settings, options)),
        "metrics": {
            "chosen": [one.value for one in options.metrics.chosen],
            "tolerance_mm": options.metrics.tolerance_mm,
        },
        "prompting": {"share": options.share, "templates": options.templates, "seed": options.seed},
    }


def scores_report(header: Mapping[str, Any], scored: Sequence[ScoredCase]) -> dict[str, Any]:
    """All of an evaluation, in what a JSON writer takes."""
    rows = [row for case in scored for row in case.scores]
    return {
        **header,
        "versions": {"python": platform.python_version(), **{name: version(name) for name in LIBRARIES}},
        "declared": FACTS,
        "columns": COLUMNS,
        "set": set_facts(header, scored),
        "structure_count": len(rows),
        "means": {
            column: {"mean": round(mean, DECIMALS), "structures": count, **_interval(scored, column)}
            for column, (mean, count) in means(rows).items()
        },
        "intervals": {
            "level": LEVEL,
            "method": "percentile bootstrap over patients",
            "resamples": RESAMPLES,
            "seed": SEED,
        },
        "comparisons": {
            column: {
                one.baseline: {
                    "baseline_mean": round(one.mean, DECIMALS),
                    "better_share": round(one.better_share, DECIMALS),
                    "structures": one.structures,
                }
                for one in against
            }
            for column, against in comparisons(rows).items()
        },
        "structures": [_structure(row) for row in rows],
    }


def write_scores(header: Mapping[str, Any], scored: Sequence[ScoredCase], folder: Path) -> tuple[Path, Path]:
    """Write `scores.csv` and `scores.json`, each whole or not at all.

    Raises:
        FormatError: they cannot be written.
    """
    table, report = folder / "scores.csv", folder / "scores.json"
    try:
        facts = ["case", "structure", "label", "plane", "prompted_slice", "pixels", "volume_ml"]
        write_csv(table, [*facts, *COLUMNS], (_csv_row(row) for case in scored for row in case.scores))
        write_report(scores_report(header, scored), report)
    except OSError as error:
        raise FormatError(f"{folder}: scores cannot be written ({error.strerror})") from error
    return table, report


def set_facts(header: Mapping[str, Any], scored: Sequence[ScoredCase]) -> dict[str, Any]:
    """What was scored: the facts of the set, its cases and their SHA-256."""
    return {
        **header["set"],
        "sha256": joint_sha256([f"{case.image_sha256} {case.labels_sha256}" for case in scored]),
        "labels_sha256": joint_sha256([case.labels_sha256 for case in scored]),
        "cases": [_case(case) for case in scored],
    }


def interval_of(scored: Sequence[ScoredCase], column: str) -> tuple[float, float] | None:
    """The bootstrap interval of a column's mean, over patients; None with fewer than two."""
    rows = ((case.patient or case.name, row.values) for case in scored for row in case.scores)
    return bootstrap_interval((patient, values[column]) for patient, values in rows if column in values)


def _interval(scored: Sequence[ScoredCase], column: str) -> dict[str, list[float]]:
    ends = interval_of(scored, column)
    return {} if ends is None else {"interval": [round(end, DECIMALS) for end in ends]}


def _case(case: ScoredCase) -> dict[str, str | int]:
    patient = {"patient": case.patient} if case.patient not in ("", case.name) else {}
    return {"name": case.name, "slices": case.slices, "structures": len(case.scores), **patient}


def _structure(row: StructureScores) -> dict[str, Any]:
    values = {column: round(row.values[column], DECIMALS) for column in COLUMNS if is_known(row.values, column)}
    volume_ml = None if math.isnan(row.volume_ml) else round(row.volume_ml, DECIMALS)
    return {**asdict(row), "values": values, "volume_ml": volume_ml}


def _csv_row(row: StructureScores) -> list[str | int]:
    facts: list[str | int] = [row.case, row.structure, row.label, row.plane, row.prompted_slice, row.pixels]
    values = (f"{row.values[column]:.{DECIMALS}f}" if is_known(row.values, column) else "" for column in COLUMNS)
    return [*facts, "" if math.isnan(row.volume_ml) else f"{row.volume_ml:.{DECIMALS}f}", *values]
