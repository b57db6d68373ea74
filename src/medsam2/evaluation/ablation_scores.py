"""What an ablation found: each variant's means, how far they depend on the draws, and what it gains over the first."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from medsam2.errors import FormatError
from medsam2.evaluation.ablation import Ablation, Variant, VariantRun
from medsam2.evaluation.csv_tables import write_csv
from medsam2.evaluation.headings import MEASURES
from medsam2.evaluation.intervals import bootstrap_interval
from medsam2.evaluation.run_log import ScoredCase
from medsam2.evaluation.score_files import DECIMALS, set_facts
from medsam2.evaluation.scores import StructureScores, is_known
from medsam2.evaluation.volume_judging import seconds_of_case
from medsam2.memory import MemoryOptions
from medsam2.reporting import write_report

FACTS = {
    "drawn": "variants that draw memories at random are run once for each seed: mean of the runs' means, and their "
    "standard deviation",
    "gain": "mean over structures of what the variant has more than the first one; the interval is a 95 % bootstrap "
    "over patients",
    "fused": "each structure is segmented on its own and scored by the label map that all planes make",
    "seconds": "of a slice that was looked at; where fused, of a case: all structures one after the other",
}
"""What was done, in words."""


@dataclass(frozen=True)
class Gain:
    """What a variant has more than the first one.

    Attributes:
        mean: over structures.
        interval: of the mean, over patients; None with fewer than two.
    """

    mean: float
    interval: tuple[float, float] | None


@dataclass(frozen=True)
class Standing:
    """One column of one variant.

    Attributes:
        mean: over structures, then over seeds.
        spread: standard deviation of the seeds' means; None where nothing was drawn, or once.
        structures: that have a value.
        gain: over the first variant; None for that itself.
        seconds: see `FACTS`; None where none were measured.
    """

    mean: float
    spread: float | None
    structures: int
    gain: Gain | None
    seconds: float | None


Standings = dict[str, dict[str, Standing]]
"""By variant and column."""


def by_variant(runs: Iterable[VariantRun]) -> dict[str, list[VariantRun]]:
    """The runs of each variant, in their order."""
    grouped: dict[str, list[VariantRun]] = {}
    for run in runs:
        grouped.setdefault(run.variant, []).append(run)
    return grouped


def standings(ablation: Ablation, runs: Iterable[VariantRun]) -> Standings:
    """Each variant's columns, Dice and the other metrics that were asked for; one without any value is left out."""
    grouped = by_variant(runs)
    endings = ("", *(f"_{metric}" for metric in MEASURES))
    columns = [f"{protocol.column}{ending}" for protocol in ablation.protocols for ending in endings]
    first = ablation.variants[0].name
    return {
        name: {
            column: found
            for column in columns
            if (found := _standing(own, [] if name == first else grouped[first], column, ablation.fused))
        }
        for name, own in grouped.items()
    }


def _standing(runs: Sequence[VariantRun], first: Sequence[VariantRun], column: str, fused: bool) -> Standing | None:
    values = [_values(run, column) for run in runs]
    if not values[0]:
        return None
    means = [mean(one.values()) for one in values]
    times = [seconds for run in runs if (seconds := _seconds(run.cases, column, fused)) is not None]
    return Standing(
        mean=mean(means),
        spread=stdev(means) if len(means) > 1 else None,
        structures=len(values[0]),
        gain=_gain(values, [_values(run, column) for run in first]) if first else None,
        seconds=mean(times) if times else None,
    )


Structure = tuple[str, str, int]
"""Patient, case and label."""


def _values(run: VariantRun, column: str) -> dict[Structure, float]:
    return {
        (case.patient or case.name, case.name, row.label): row.values[column]
        for case in run.cases
        for row in case.scores
        if is_known(row.values, column)
    }


def _gain(own: Sequence[Mapping[Structure, float]], first: Sequence[Mapping[Structure, float]]) -> Gain:
    gains = {one: mean(run[one] for run in own) - mean(run[one] for run in first) for one in own[0]}
    return Gain(mean(gains.values()), bootstrap_interval((one[0], gain) for one, gain in gains.items()))


def _seconds(cases: Sequence[ScoredCase], column: str, fused: bool) -> float | None:
    """Of a slice; where fused, of a case, whose structures went through in chunks that have their own time a slice."""
    times = []
    for case in cases:
        known = [row.values[f"{column}_seconds"] for row in case.scores if f"{column}_seconds" in row.values]
        if known:
            times.append(seconds_of_case(known) * case.slices if fused else mean(known))
    return mean(times) if times else None


def variant_header(header: Mapping[str, Any], variant: Variant) -> dict[str, Any]:
    """What the scores of a variant depend on beside its cases, from what those of all do."""
    return {**header, "variant": {"name": variant.name, "changes": _plain(variant.changes)}}


def write_ablation(
    ablation: Ablation, header: Mapping[str, Any], runs: Sequence[VariantRun], paths: tuple[Path, Path]
) -> None:
    """Write an ablation, each file whole or not at all.

    Args:
        ablation: what was compared.
        header: see `run_header`.
        runs: what was found.
        paths: of the CSV, one row a run and structure, and of the JSON.

    Raises:
        FormatError: they cannot be written.
    """
    table, report = paths
    columns = sorted({column for run in runs for case in run.cases for row in case.scores for column in row.values})
    try:
        facts = ["variant", "seed", "case", "structure", "label", "plane", "prompted_slice", "pixels"]
        rows = (_csv_row(run, row, columns) for run in runs for case in run.cases for row in case.scores)
        write_csv(table, [*facts, *columns], rows)
        write_report(_report(ablation, header, runs), report)
    except OSError as error:
        raise FormatError(f"{table.parent}: scores cannot be written ({error.strerror})") from error


def _report(ablation: Ablation, header: Mapping[str, Any], runs: Sequence[VariantRun]) -> dict[str, Any]:
    grouped = by_variant(runs)
    return {
        **header,
        "set": set_facts(header, runs[0].cases),
        "declared": FACTS,
        "first": ablation.variants[0].name,
        "variants": [
            {
                "name": variant.name,
                "changes": _plain(variant.changes),
                "seeds": [run.seed for run in grouped[variant.name] if run.seed is not None],
                "columns": {column: _rounded(asdict(one)) for column, one in found.items()},
            }
            for variant, found in zip(ablation.variants, standings(ablation, runs).values(), strict=True)
        ],
    }


def _csv_row(run: VariantRun, row: StructureScores, columns: Sequence[str]) -> list[str | int]:
    seed = "" if run.seed is None else run.seed
    values = (f"{row.values[column]:.{DECIMALS}f}" if is_known(row.values, column) else "" for column in columns)
    return [
        run.variant, seed, row.case, row.structure, row.label, row.plane, row.prompted_slice, row.pixels, *values
    ]  # fmt: skip


def _plain(changes: Mapping[str, Any]) -> dict[str, Any]:
    """Changes as JSON takes them."""
    return {name: one.given() if isinstance(one, MemoryOptions) else one for name, one in changes.items()}


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _rounded(one) for name, one in value.items()}
    if isinstance(value, tuple):
        return [_rounded(one) for one in value]
    return round(value, DECIMALS) if isinstance(value, float) else value
