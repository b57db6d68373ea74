"""`medsam2 evaluate --ablate`: the same cases under settings of which each changes one thing."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.table import Table

from medsam2.cli.output import Output
from medsam2.datasets import CaseSet
from medsam2.engine.volume_result import SegmentSettings
from medsam2.errors import ConfigurationError
from medsam2.evaluation import (
    ABLATIONS,
    Ablation,
    Protocol,
    ProtocolOptions,
    RunLog,
    Standing,
    Standings,
    Variant,
    run_ablation,
    run_header,
    standings,
    variant_header,
    write_ablation,
)
from medsam2.evaluation.headings import ROWS
from medsam2.segmenter import Segmenter

COMPARED = (
    Protocol.MASK_VOLUME,
    Protocol.BOX_VOLUME,
    Protocol.CLICK_VOLUME,
    Protocol.MASK_SHARE_VOLUME,
    Protocol.BOX_SHARE_VOLUME,
    Protocol.CLICK_SHARE_VOLUME,
    Protocol.MASK_SET,
    Protocol.BOX_SET,
    Protocol.MASK_SHARE_SET,
    Protocol.BOX_SHARE_SET,
)
"""Protocols that may be asked for, in the order of the columns; single slices remember nothing."""

NOTHING = "-"


@dataclass(frozen=True)
class Asked:
    """What the command line asks of an ablation.

    Attributes:
        name: of the ablation.
        protocols: in place of its own; None: its own.
        seeds: runs of what is drawn at random.
        folder: for the results.

    Raises:
        ConfigurationError: no ablation has that name, a protocol is none of its columns, or there is to be no seed.
    """

    name: str
    protocols: tuple[Protocol, ...] | None
    seeds: int
    folder: Path

    def __post_init__(self) -> None:
        if self.name not in ABLATIONS:
            raise ConfigurationError(f"'{self.name}' cannot be ablated; choose among {', '.join(ABLATIONS)}")
        if self.seeds < 1:
            raise ConfigurationError(f"{self.seeds} seeds were asked for; expected at least 1")
        allowed = [one for one in COMPARED if not ABLATIONS[self.name].fused or one.value.endswith("volume")]
        useless = [one for one in self.protocols or () if one not in allowed]
        if useless:
            raise ConfigurationError(
                f"--ablate {self.name} has no column for the protocol '{useless[0]}'; choose among {', '.join(allowed)}"
            )

    @property
    def ablation(self) -> Ablation:
        """What is to be run."""
        ablation = ABLATIONS[self.name]
        return replace(ablation, protocols=self.protocols or ablation.protocols, seeds=self.seeds)


def ablate(
    asked: Asked,
    segmenter: Segmenter,
    cases: CaseSet,
    settings: SegmentSettings,
    options: ProtocolOptions,
    out: Output,
) -> None:
    """Run an ablation, print its tables and write its files; one that was interrupted goes on where it was."""
    ablation = asked.ablation
    header = run_header(segmenter.describe(), cases, ablation.protocols, settings, options)
    logs: list[RunLog] = []

    def log_of(variant: Variant) -> RunLog:
        path = asked.folder / f"ablation-{asked.name}-{len(logs):02d}.part.jsonl"
        logs.append(RunLog(path, variant_header(header, variant)))
        if logs[-1].count:
            out.say(f"{variant.name}: going on after {logs[-1].count} cases of {len(cases.sources)} that are done")
        return logs[-1]

    runs = []
    with out.progress("evaluating") as progress:
        for run in run_ablation(ablation, segmenter, cases, settings, log_of, progress, options):
            runs.append(run)
            out.detail(f"{run.variant}: done" + ("" if run.seed is None else f" with seed {run.seed}"))
    paths = (asked.folder / f"ablation-{asked.name}.csv", asked.folder / f"ablation-{asked.name}.json")
    write_ablation(ablation, header, runs, paths)
    for log in logs:
        log.remove()
    found = standings(ablation, runs)
    out.table(dice_table(ablation, found))
    out.table(gain_table(ablation, found))
    out.say(f"wrote {paths[0]} and {paths[1]}")


def dice_table(ablation: Ablation, found: Standings) -> Table:
    """Mean Dice of each variant, with the standard deviation over seeds, and what it costs."""
    columns = _columns(found)
    table = _table("Dice, ± over seeds", ["variant", *columns.values()])
    cost = next((column for column in columns if any(row[column].seconds is not None for row in found.values())), None)
    if cost is not None:
        table.add_column("s per\ncase" if ablation.fused else "s per\nslice", justify="right", no_wrap=True)
    row: Mapping[str, Standing] = {}
    for name, row in found.items():
        times = [] if cost is None else [_seconds(row[cost])]
        table.add_row(name, *(_dice(row[column]) for column in columns), *times)
    counts = [str(row[column].structures) for column in columns]
    table.add_row("structures", *counts, style="dim")
    return table


def gain_table(ablation: Ablation, found: Standings) -> Table:
    """What each variant has more than the first, with the 95 % interval over patients."""
    columns = _columns(found)
    first = ablation.variants[0].name
    table = _table(f"Gain over {first}", ["variant", *columns.values()])
    for name, row in found.items():
        if name != first:
            table.add_row(name, *(_gain(row[column]) for column in columns))
    return table


def _columns(found: Standings) -> Mapping[str, str]:
    """The columns that have values, and their headings."""
    known = next(iter(found.values()))
    return {one.column: ROWS[one.column].replace("-> ", "->\n") for one in COMPARED if one.column in known}


def _dice(one: Standing) -> str:
    return f"{one.mean:.3f}" + ("" if one.spread is None else f" ±{one.spread:.3f}")


def _gain(one: Standing) -> str:
    if one.gain is None:
        return NOTHING
    ends = one.gain.interval
    return f"{one.gain.mean:+.3f}" + ("" if ends is None else f"\n{ends[0]:+.3f}..{ends[1]:+.3f}")


def _seconds(one: Standing) -> str:
    return NOTHING if one.seconds is None else f"{one.seconds:.2f}"


def _table(title: str, headings: Iterable[str]) -> Table:
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    for number, heading in enumerate(headings):
        table.add_column(heading, justify="right" if number else "left", no_wrap=True)
    return table
