"""`medsam2 evaluate`: how good a model is, beside what needs no model."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from enum import StrEnum
from itertools import groupby
from pathlib import Path
from statistics import fmean
from typing import Annotated, TypeVar

import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from medsam2.cli.ablation import Asked, ablate
from medsam2.cli.options import Debug, Device, Model, Quiet, Verbose
from medsam2.cli.output import Output
from medsam2.cli.paper_table import check_data, show_beside
from medsam2.datasets import LAYOUTS, CaseSet, Choice, layout_at, open_dataset
from medsam2.engine.set_result import SetSettings
from medsam2.engine.volume_result import SegmentSettings
from medsam2.errors import ConfigurationError, FormatError
from medsam2.evaluation import (
    ABLATIONS,
    Protocol,
    RunLog,
    ScoredCase,
    StructureScores,
    VolumeMetric,
    VolumeMetrics,
    comparisons,
    evaluate,
    example_set,
    interval_of,
    means,
    run_header,
    unseen_synthetic_set,
    write_scores,
)
from medsam2.evaluation.challenge_table import HEADINGS, ChallengeRow, challenge_rows, write_challenge_table
from medsam2.evaluation.headings import BASELINE_NAMES, MEASURES, ROWS
from medsam2.evaluation.html_report import html_report
from medsam2.evaluation.paper_tables import PaperTable, paper_table
from medsam2.evaluation.protocol_options import ProtocolOptions
from medsam2.evaluation.protocols import ONE_PROMPT
from medsam2.evaluation.scores import is_known
from medsam2.evaluation.volume_metrics import DEFAULT_TOLERANCE_MM
from medsam2.evaluation.worst_cases import draw_worst
from medsam2.memory import POLICIES
from medsam2.reporting.evaluation_page import write_page
from medsam2.segmenter import DEFAULT_MODEL, Segmenter

Known = TypeVar("Known", bound=StrEnum)

BUILT_IN = ("synthetic", "examples")
"""What `--on` may name that is not on the user's disk."""

ALL_PROTOCOLS = ",".join(ONE_PROMPT)

OWN_MEMORY = f"{SegmentSettings().memory} for volumes, {SetSettings().memory} for sets"

ON_SLICES = {
    "box": "box",
    "ellipse": "ellipse",
    "otsu": "Otsu",
    "click": "1\nclick",
    "click_best": "best\nof 3",
    "click_regret": "IoU\nlost",
    "flood": "flood",
    "clicks3": "3\nclicks",
}
"""Columns on the prompted slice, and their headings."""

ON_VOLUMES = {
    "box_volume": "box",
    "mask_volume": "mask",
    "click_volume": "click",
    "frozen_ellipse": "frozen\nellipse",
    "frozen_mask": "frozen\nmask",
    "grown_mask": "grown\nmask",
    "grown_click": "flood",
    "box_volume_false": "false\nslices",
    "box_volume_missed": "missed\nslices",
}
"""Columns of whole volumes, and their headings; false and missed slices are those of the box."""

ON_MANY_SLICES = {
    "box_share_volume": "some\nboxes",
    "mask_share_volume": "some\nmasks",
    "click_share_volume": "some\nclicks",
    "nearest_mask": "nearest\nmask",
    "clicks5_volume_dsc_1": "box\nalone",
    "clicks5_volume": "box, 5\nclicks",
}
"""Columns of volumes of which more than one slice was prompted, and their headings."""

ON_SETS = {
    "box_set": "box",
    "mask_set": "mask",
    "copied_mask": "copied\nmask",
    "box_share_set": "some\nboxes",
    "mask_share_set": "some\nmasks",
    "box_set_false": "false\n(box)",
    "mask_set_false": "false\n(mask)",
}
"""Columns of the other pictures of a set, and their headings."""


def evaluate_command(
    on: Annotated[
        str,
        typer.Option(
            help="synthetic, examples, a folder of scans with labels, a table (.csv) of them, or LAYOUT:PATH with a "
            f"layout of {', '.join(LAYOUTS)}."
        ),
    ] = "synthetic",
    model: Model = DEFAULT_MODEL,
    protocol: Annotated[
        str,
        typer.Option(
            help=f"Which to run, separated by commas: {', '.join(Protocol)}.",
            show_default="all that prompt one slice or picture",
        ),
    ] = ALL_PROTOCOLS,
    metrics: Annotated[str, typer.Option(help="Of volumes: dice, iou, hd95, nsd, assd, separated by commas.")] = "dice",
    tolerance_mm: Annotated[float, typer.Option(help="Distance up to which NSD takes a surface for right, mm.")] = (
        DEFAULT_TOLERANCE_MM
    ),
    share: Annotated[
        float | None,
        typer.Option(help="Of slices or pictures prompted by 'share' protocols.", show_default="0.25 and 0.3"),
    ] = None,
    templates: Annotated[
        int, typer.Option(help="Runs over a set, each from a template and in an order drawn at random; 1: the largest.")
    ] = 1,
    seed: Annotated[int, typer.Option(help="Of what protocols draw at random.")] = 0,
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for the scores.")] = Path("evaluation-output"),
    table: Annotated[
        str | None,
        typer.Option("--paper-table", help="Show the result beside a table of the paper: btcv or refuge2."),
    ] = None,
    html: Annotated[Path | None, typer.Option(help="Also write one page with tables, plots, the worst cases.")] = None,
    split: Annotated[str | None, typer.Option(help="Only cases of this split, e.g. test.")] = None,
    splits: Annotated[Path | None, typer.Option(help="JSON file of patients by split, in place of the set's.")] = None,
    channel: Annotated[str | None, typer.Option(help="Only this channel, where cases have several, e.g. t2f.")] = None,
    cases: Annotated[int | None, typer.Option(help="Only so many cases, spread over the set.")] = None,
    memory: Annotated[
        str | None, typer.Option(help=f"Memory policy: {', '.join(POLICIES)}.", show_default=OWN_MEMORY)
    ] = None,
    size: Annotated[int | None, typer.Option(help="Side of the network's input; by default as it was trained.")] = None,
    patience: Annotated[int, typer.Option(help="Stop after this many slices without the object; 0: never.")] = 3,
    ablation: Annotated[
        str | None, typer.Option("--ablate", help=f"Compare settings on the same cases: {', '.join(ABLATIONS)}.")
    ] = None,
    seeds: Annotated[int, typer.Option(help="Runs of what an ablation draws at random.")] = 3,
    device: Device = "auto",
    quiet: Quiet = False,
    verbose: Verbose = False,
    debug: Debug = False,
) -> None:
    """Score a model on labelled volumes, from prompts on one slice, beside baselines that have learnt nothing.

    A run that was interrupted goes on where it was if it is started again with the same flags.
    """
    if ablation and (html or table):
        raise ConfigurationError("--ablate has tables of its own; leave --html and --paper-table out")
    compared = None if table is None else paper_table(table)
    protocols = compared.protocols if compared and protocol == ALL_PROTOCOLS else parse_protocols(protocol)
    measured = VolumeMetrics(parse_metrics(metrics), tolerance_mm)
    options = ProtocolOptions(measured, share, templates, seed, memory_of_sets=memory)
    settings = SegmentSettings(size=size, patience=patience)
    settings = settings if memory is None else replace(settings, memory=memory)
    asked = ablation and Asked(ablation, None if protocol == ALL_PROTOCOLS else protocols, seeds, output)
    out = Output(quiet, verbose)
    with out.progress("reading all cases") as progress:
        chosen = find_set(on, Choice(split, channel, cases, splits), progress)
    if split is None and len(known := chosen.facts.get("splits", ())) > 1:
        out.warn(f"cases of the splits {' and '.join(known)} are scored together; --split takes one of them")
    if compared:
        check_data(compared, chosen, out)
    segmenter = Segmenter.from_pretrained(model, device)
    if asked:
        ablate(asked, segmenter, chosen, settings, options, out)
        return
    header = run_header(segmenter.describe(), chosen, protocols, settings, options)
    log = RunLog(output / "scores.part.jsonl", header)
    if log.count:
        out.say(f"going on after {log.count} cases of {len(chosen.sources)} that are done")
    scored = []
    with out.progress("evaluating") as progress:
        for case in evaluate(segmenter, chosen, protocols, settings, log, progress, options):
            scored.append(case)
            out.detail(f"{case.name}: {len(case.scores)} structures")
    written = list(write_scores(header, scored, output))
    if html is not None:
        with out.progress("drawing the worst cases") as progress:
            worst = list(draw_worst(segmenter, chosen, scored, settings, options, progress))
        write_page(html_report(header, scored, worst), html)
        written.append(html)
    log.remove()
    _tell(out, [row for case in scored for row in case.scores])
    if measured.need_masks:
        out.table(measure_table(scored, measured))
    written += _tell_compared(out, scored, compared, output)
    out.say(f"wrote {', '.join(str(path) for path in written)}")


def _tell_compared(
    out: Output, scored: Sequence[ScoredCase], compared: PaperTable | None, folder: Path
) -> Iterator[Path]:
    """What compares with others' numbers: the challenge's table and the paper's; gives the files."""
    if challenge := challenge_rows(scored):
        out.table(challenge_summary(challenge))
        write_challenge_table(challenge, folder / "cvpr2025.csv")
        yield folder / "cvpr2025.csv"
    if compared:
        yield show_beside(compared, scored, folder, out)


def find_set(on: str, choice: Choice, progress: Callable[[int, int], None] | None = None) -> CaseSet:
    """The cases that `--on` means, each read once and checked.

    Raises:
        FormatError: files are missing, do not fit or cannot be read.
        ConfigurationError: `--on` or the choice means nothing.
    """
    if on not in BUILT_IN:
        layout, path = layout_at(on)
        if not path.exists():
            raise FormatError(
                f"{path} does not exist; expected {' or '.join(BUILT_IN)}, a folder, a table (.csv), or LAYOUT:PATH "
                f"with a layout of {', '.join(LAYOUTS)}"
            )
        return open_dataset(layout, path, choice, progress)
    if choice.split or choice.splits or choice.channel:
        raise ConfigurationError(f"the set '{on}' has no splits and no channels; leave --split and the like out")
    return (unseen_synthetic_set() if on == "synthetic" else example_set()).spread(choice.count)


def parse_protocols(text: str) -> tuple[Protocol, ...]:
    """The protocols that were named, in the order of `Protocol`.

    Raises:
        ConfigurationError: one is unknown, or none was named.
    """
    return _named(text, Protocol, "protocol")


def parse_metrics(text: str) -> tuple[VolumeMetric, ...]:
    """The metrics that were named, in the order of `VolumeMetric`.

    Raises:
        ConfigurationError: one is unknown, or none was named.
    """
    return _named(text, VolumeMetric, "metric")


def _named(text: str, known: type[Known], what: str) -> tuple[Known, ...]:
    named = [name.strip() for name in text.split(",") if name.strip()]
    unknown = [name for name in named if name not in list(known)]
    if unknown or not named:
        fault = f"'{unknown[0]}' is no {what}" if unknown else f"no {what} was named"
        raise ConfigurationError(f"{fault}; choose among {', '.join(known)}")
    return tuple(one for one in known if one in named)


def _tell(out: Output, rows: Sequence[StructureScores]) -> None:
    for title, columns in (
        ("Dice on the prompted slice", ON_SLICES),
        ("Dice of the volume", ON_VOLUMES),
        ("Dice of the volume, several slices prompted", ON_MANY_SLICES),
        ("Dice on the other pictures of a set", ON_SETS),
    ):
        if any(is_known(row.values, column) for row in rows for column in columns):
            out.table(structure_table(title, columns, rows))
    out.table(mean_table(rows))


def structure_table(title: str, columns: dict[str, str], rows: Sequence[StructureScores]) -> Table:
    """One row a structure below its case, columns without any value left out; at the end the means."""
    shown = [column for column in columns if any(is_known(row.values, column) for row in rows)]
    averages = means(rows)
    table = _table(title, show_footer=True)
    table.add_column("structure", footer="mean", overflow="fold", min_width=17)
    for column in shown:
        table.add_column(columns[column], footer=f"{averages[column][0]:.2f}", justify="right", no_wrap=True)
    measured = [row for row in rows if any(is_known(row.values, column) for column in shown)]
    for case, structures in groupby(measured, key=lambda row: row.case):
        table.add_row(Text(case, style="bold"))
        for row in structures:
            table.add_row(Text(f"  {row.structure}"), *(_number(row, column) for column in shown))
    return table


def mean_table(rows: Sequence[StructureScores]) -> Table:
    """One row a protocol: its mean, and on how many structures it is better than each of its baselines."""
    averages, against = means(rows), comparisons(rows)
    table = _table("Means over structures")
    for heading in (
        "protocol",
        "Dice",
        "of",
        "false\nslices",
        "missed\nslices",
        "s per\nslice",
        "baseline",
        "Dice",
        "better\non",
    ):
        left = heading in ("protocol", "baseline")
        table.add_column(heading, justify="left" if left else "right", no_wrap=True)
    for column in (one for one in ROWS if one in averages):
        mean, count = averages[column]
        shares = [_mean(averages, f"{column}_{what}", ".0%") for what in ("false", "missed")]
        seconds = _mean(averages, f"{column}_seconds", ".2f")
        baselines = [
            (BASELINE_NAMES[one.baseline], f"{one.mean:.3f}", f"{one.better_share:.0%}")
            for one in against.get(column, [])
        ]
        table.add_row(
            ROWS[column], f"{mean:.3f}", str(count), *shares, seconds, *map("\n".join, zip(*baselines, strict=True))
        )
    return table


def measure_table(scored: Sequence[ScoredCase], measured: VolumeMetrics) -> Table:
    """One row a protocol of volumes and metric: its mean, and the 95 % interval over patients."""
    averages = means(row for case in scored for row in case.scores)
    table = _table("Volumes: means, with 95 % intervals over patients")
    for heading in ("protocol", "measure", "mean", "from", "to", "of"):
        table.add_column(heading, justify="left" if heading in ("protocol", "measure") else "right", no_wrap=True)
    endings = {"": "Dice", **{f"_{metric}": name for metric, name in MEASURES.items()}}
    for volume in (one for one in ROWS if one.endswith("_volume")):
        for ending, name in endings.items():
            column = f"{volume}{ending}"
            if column in averages:
                mean, count = averages[column]
                ends = interval_of(scored, column) or ()
                title = f"{name} at {measured.tolerance_mm:g} mm" if ending == "_nsd" else name
                shown = [f"{end:.3f}" for end in ends] or ["-", "-"]
                table.add_row(ROWS[volume] if not ending else "", title, f"{mean:.3f}", *shown, str(count))
    return table


def challenge_summary(rows: Sequence[ChallengeRow]) -> Table:
    """The columns that the challenge ranks by: means over cases."""
    table = _table(f"CVPR 2025: means over {len(rows)} cases")
    for heading, values in zip(HEADINGS[1:6], zip(*(row.values() for row in rows), strict=True), strict=False):
        table.add_column(heading, justify="right", footer=f"{fmean(values):.3f}")
    table.show_footer = True
    return table


def _table(title: str, show_footer: bool = False) -> Table:
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, padding=0, show_footer=show_footer)
    table.pad_edge = False
    return table


def _number(row: StructureScores, column: str) -> str:
    return f"{row.values[column]:.2f}" if is_known(row.values, column) else "-"


def _mean(averages: dict[str, tuple[float, int]], column: str, form: str) -> str:
    return format(averages[column][0], form) if column in averages else ""
