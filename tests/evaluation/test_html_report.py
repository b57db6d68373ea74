import math
import re

import pytest

from medsam2.datasets.cases import CaseSet
from medsam2.engine.volume_result import SegmentSettings
from medsam2.evaluation.html_report import html_report
from medsam2.evaluation.protocols import Protocol
from medsam2.evaluation.run_log import ScoredCase
from medsam2.evaluation.score_files import run_header
from medsam2.evaluation.scores import StructureScores
from medsam2.evaluation.worst_cases import WorstCase


@pytest.fixture
def header():
    cases = CaseSet("toys", (), {"layout": "btcv", "split": "test"})
    return run_header({"name": "tiny", "sha256": "12ab"}, cases, [Protocol.BOX], SegmentSettings(size=64))


def row(case, structure, volume_ml=2.0, **values):
    return StructureScores(case, structure, 1, "axial", 3, 20, values, volume_ml)


@pytest.fixture
def scored():
    values = [(0.2, 0.9), (0.4, 0.8), (0.6, 0.1)]
    return [
        ScoredCase(
            f"case {n}",
            "i",
            "l",
            9,
            (
                row(f"case {n}", "liver", box=one, ellipse=0.3, otsu=0.5, box_volume=two, box_volume_false=0.25),
                row(f"case {n}", "<spleen>", math.nan, box_volume=two, box_volume_nsd=0.5, frozen_mask=0.5),
            ),
        )
        for n, (one, two) in enumerate(values)
    ]


def cells(page):
    """Every row of every table, as its cells."""
    rows = re.findall(r"<tr[^>]*>(.*?)</tr>", page, re.DOTALL)
    return [re.findall(r"<t[dh]>(.*?)</t[dh]>", one, re.DOTALL) for one in rows]


def test_tables_have_protocols_beside_their_baselines(header, scored):
    rows = cells(html_report(header, scored))
    assert ["box, one slice", "0.400", "[0.200, 0.600]", "3", "", "", ""] in rows
    assert ["ellipse", "0.300", "[0.300, 0.300]", "3", "", "", "67%"] in rows
    place = rows.index(["box, one slice", "0.400", "[0.200, 0.600]", "3", "", "", ""])
    assert [one[0] for one in rows[place + 1 : place + 3]] == ["ellipse", "Otsu"]
    assert ["box -&gt; volume", "NSD", "0.500", "[0.500, 0.500]", "3"] in rows
    assert [one[1] for one in rows if one[0] == "&lt;spleen&gt;"] == [""]
    assert [one[2] for one in rows if one[0] == "liver"] == ["0.600 (3)\n[0.100, 0.900]"]


def test_the_spread_over_templates_is_told(header):
    case = ScoredCase("eyes, all 9 pictures", "i", "l", 9, (row("eyes", "disc", mask_set=0.5, mask_set_std=0.125),))
    assert ["mask -&gt; set", "0.500 ± 0.125", "", "1", "", "", ""] in cells(html_report(header, [case]))


def test_what_was_run_is_told(header, scored):
    page = html_report(header, scored)
    assert ["split", "test"] in cells(page)
    assert ["weights, SHA-256", "12ab"] in cells(page)
    assert "6 structures of 3 cases and 3 patients" in page
    facts = {key: value for key, value, *_ in cells(page)}
    assert "memory fifo" in facts["settings"]
    assert "memory self-sorting" in facts["settings of sets"]
    assert "size 64" in facts["settings"]
    assert "size 64" in facts["settings of sets"]


def test_each_protocol_has_its_plots(header, scored):
    page = html_report(header, scored)
    box, volume = page.split("Plots: ")[1:3]
    assert box.startswith("box, one slice")
    assert "pixels of the structure" in box
    assert volume.startswith("box -&gt; volume")
    assert "volume of the structure, mL" in volume
    assert volume.count("case 1, liver: 0.800, 2<") == 1
    assert volume.count("case 1: 0.800") == 2  # a strip for each structure; without a volume, no dot against it
    assert "mean of frozen mask: 0.500" in volume


def test_the_worst_are_shown(header, scored):
    worst = WorstCase(scored[2].scores[0], "box_volume", (("slice 3, prompted", b"png"),))
    page = html_report(header, scored, [worst])
    assert "The worst cases: box -&gt; volume" in page
    assert "case 2, liver: Dice 0.100; slice 3, prompted" in page
    assert "The worst cases" not in html_report(header, scored)


def test_nothing_scored_is_still_a_page(header):
    assert "0 structures of 0 cases" in html_report(header, [])
