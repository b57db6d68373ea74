"""An evaluation as one page to read and to print: tables with intervals, plots, and the worst cases as pictures."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from medsam2.evaluation.headings import BASELINE_NAMES, MEASURES, ROWS
from medsam2.evaluation.run_log import ScoredCase
from medsam2.evaluation.score_files import FACTS, interval_of
from medsam2.evaluation.scores import BASELINES, StructureScores, comparisons, is_known, means
from medsam2.evaluation.worst_cases import WorstCase
from medsam2.reporting.evaluation_page import Block, Facts, Figure, PageTable, Pictures, Section, page_of
from medsam2.reporting.evaluation_plots import Dot, Strip, scatter_plot, strip_plot

MOST_STRIPS = 30
"""Structures of a plot; more are only in the table."""

BESIDE = "Baselines, indented, need no model. After ±, where templates were drawn: standard deviation over the runs."

NOT_PLOTTED = ("click_best",)
"""Columns that no user would get."""

Averages = Mapping[str, tuple[float, int]]


def html_report(header: Mapping[str, Any], scored: Sequence[ScoredCase], worst: Sequence[WorstCase] = ()) -> str:
    """The page.

    Args:
        header: what was run, see `run_header`.
        scored: what came of it.
        worst: cases to show.
    """
    rows = [row for case in scored for row in case.scores]
    columns = [column for column in ROWS if column in means(rows)]
    name, model = header["set"]["name"], header["model"]["name"]
    patients = {case.patient or case.name for case in scored}
    introduction = (
        f"Model '{model}' on '{name}': {len(rows)} structures of {len(scored)} cases and {len(patients)} patients. "
        "Intervals are 95 % bootstrap intervals of the mean, over patients."
    )
    sections = [
        Section("What was run", [Facts(_run_facts(header))]),
        Section("Dice by protocol", [_protocol_table(scored, columns)], BESIDE),
        *_measures(header, scored, columns),
        Section("Dice by structure", [_structure_table(scored, columns)], "Mean, number of cases, interval."),
        *_plots(rows, columns),
        *_worst(worst),
        Section("What was declared", [Facts([(key.replace("_", " "), text) for key, text in FACTS.items()])]),
    ]
    return page_of(f"Evaluation of {model}", introduction, sections)


def _run_facts(header: Mapping[str, Any]) -> list[tuple[str, str]]:
    model, cases = header["model"], header["set"]
    facts = {
        "model": model["name"],
        "weights, SHA-256": model.get("sha256"),
        "set": cases["name"],
        **{key: cases.get(key) for key in ("layout", "title", "split", "channel", "licence")},
        "protocols": ", ".join(header["protocols"]),
        "settings": _settings(header["settings"]),
        "settings of sets": _settings(header["set_settings"]),
        "medsam2": header["medsam2_version"],
    }
    return [(key, str(value)) for key, value in facts.items() if value]


def _settings(told: Mapping[str, Any]) -> str:
    settings = {**told, **told["memory_options"], "memory_options": None}
    return ", ".join(f"{key} {value}" for key, value in settings.items() if value not in (None, (), []))


def _protocol_table(scored: Sequence[ScoredCase], columns: Sequence[str]) -> PageTable:
    rows = [row for case in scored for row in case.scores]
    averages, against = means(rows), comparisons(rows)
    table: list[list[str]] = []
    minor = set()
    for column in columns:
        mean, count = averages[column]
        shares = [_share(averages, f"{column}_{what}") for what in ("false", "missed")]
        spread = f" ± {averages[f'{column}_std'][0]:.3f}" if f"{column}_std" in averages else ""
        table.append([ROWS[column], f"{mean:.3f}{spread}", _interval(scored, column), str(count), *shares, ""])
        for one in against.get(column, ()):
            minor.add(len(table))
            interval = _interval(scored, one.baseline)
            better = f"{one.better_share:.0%}"
            name = BASELINE_NAMES[one.baseline]
            table.append([name, f"{one.mean:.3f}", interval, str(one.structures), "", "", better])
    headings = ("protocol", "Dice", "95 % interval", "structures", "false slices", "missed slices", "model better on")
    return PageTable(headings, table, frozenset(minor))


def _measures(header: Mapping[str, Any], scored: Sequence[ScoredCase], columns: Sequence[str]) -> Iterator[Section]:
    averages = means(row for case in scored for row in case.scores)
    table = [
        [ROWS[column], name, f"{averages[measured][0]:.3f}", _interval(scored, measured), str(averages[measured][1])]
        for column in columns
        for metric, name in MEASURES.items()
        if (measured := f"{column}_{metric}") in averages
    ]
    if table:
        note = f"NSD at a tolerance of {header['metrics']['tolerance_mm']:g} mm."
        headings = ("protocol", "measure", "mean", "95 % interval", "structures")
        yield Section("Other measures of volumes", [PageTable(headings, table)], note)


def _structure_table(scored: Sequence[ScoredCase], columns: Sequence[str]) -> PageTable:
    table = []
    for structure in _structures([row for case in scored for row in case.scores]):
        of_it = [
            replace(case, scores=tuple(row for row in case.scores if row.structure == structure)) for case in scored
        ]
        averages = means(row for case in of_it for row in case.scores)
        table.append([structure, *(_mean_of(of_it, averages, column) for column in columns)])
    return PageTable(("structure", *(ROWS[column].strip() for column in columns)), table)


def _mean_of(scored: Sequence[ScoredCase], averages: Averages, column: str) -> str:
    if column not in averages:
        return ""
    mean, count = averages[column]
    return f"{mean:.3f} ({count})\n{_interval(scored, column)}"


def _plots(rows: Sequence[StructureScores], columns: Sequence[str]) -> Iterator[Section]:
    for column in columns:
        if column in NOT_PLOTTED:
            continue
        known = [row for row in rows if is_known(row.values, column)]
        strips = _strips(known, column)
        blocks: list[Block] = [Figure("Each structure; dots are cases, the box their quartiles.", strips)]
        volumes = column.endswith("_volume")
        dots = [
            Dot(_title(row), row.values[column], size)
            for row in known
            if (size := row.volume_ml if volumes else float(row.pixels)) > 0
        ]
        if dots:
            unit = "volume of the structure, mL" if volumes else "pixels of the structure on the prompted slice"
            blocks.append(Figure("Dice against size.", scatter_plot(dots, "Dice", unit)))
        marks = " and ".join(BASELINE_NAMES[one] for one in BASELINES.get(column, ()))
        yield Section(f"Plots: {ROWS[column].strip()}", blocks, f"Rhombs: mean of {marks}." if marks else "")


def _strips(rows: Sequence[StructureScores], column: str) -> str:
    by_structure: dict[str, list[StructureScores]] = defaultdict(list)
    for row in rows:
        by_structure[row.structure].append(row)
    strips = []
    for structure in _structures(rows)[:MOST_STRIPS]:
        own = by_structure[structure]
        averages = means(own)
        marks = [(BASELINE_NAMES[one], averages[one][0]) for one in BASELINES.get(column, ()) if one in averages]
        strips.append(Strip(structure, [Dot(row.case, row.values[column]) for row in own], marks))
    return strip_plot(strips, "Dice")


def _worst(worst: Sequence[WorstCase]) -> Iterator[Section]:
    if worst:
        shown = [
            (f"{_title(one.scores)}: Dice {one.scores.values[one.column]:.3f}; {caption}", png)
            for one in worst
            for caption, png in one.pictures
        ]
        note = "Coloured: what was found. White dots: the reference. Dashes, dots and white bands: what was prompted."
        yield Section(f"The worst cases: {ROWS[worst[0].column].strip()}", [Pictures(shown)], note)


def _structures(rows: Sequence[StructureScores]) -> list[str]:
    """The names of structures, those first that are in the most cases; of equals, in their order."""
    count: dict[str, int] = defaultdict(int)
    for row in rows:
        count[row.structure] += 1
    return sorted(count, key=lambda name: -count[name])


def _title(row: StructureScores) -> str:
    return f"{row.case}, {row.structure}"


def _share(averages: Averages, column: str) -> str:
    return f"{averages[column][0]:.0%}" if column in averages else ""


def _interval(scored: Sequence[ScoredCase], column: str) -> str:
    ends = interval_of(scored, column)
    return "" if ends is None else f"[{ends[0]:.3f}, {ends[1]:.3f}]"
