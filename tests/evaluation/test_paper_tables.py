import csv

import pytest

from medsam2.datasets import LAYOUTS
from medsam2.datasets.btcv import STRUCTURES
from medsam2.errors import ConfigurationError, FormatError
from medsam2.evaluation.paper_tables import beside, our_rows, paper_table, paper_tables, write_paper_table
from medsam2.evaluation.run_log import ScoredCase
from medsam2.evaluation.scores import StructureScores


def case(name, **dice):
    rows = (
        StructureScores(name, structure, label, "axial", 0, 9, {"box_volume": value})
        for label, (structure, value) in enumerate(dice.items(), start=1)
    )
    return ScoredCase(name, "i", "l", 9, tuple(rows))


@pytest.fixture
def scored():
    return [case("a", liver=0.9, aorta=0.5), case("b", liver=0.7), case("c", liver=0.8)]


def test_every_table_names_what_there_is():
    assert set(paper_tables()) == {"btcv", "refuge2"}
    for name, table in paper_tables().items():
        assert table.name == name
        assert table.layout in LAYOUTS
        assert table.protocols
        assert "2408.00874" in table.source
        assert all(0 < row.mean <= 1 and not row.ours for row in table.rows)


def test_the_published_organs_are_those_of_the_data_set_and_give_the_published_mean():
    ours, *others = paper_table("btcv").rows
    assert ours.model == "MedSAM-2"
    assert set(ours.structures) == set(STRUCTURES.names.values())
    assert sum(ours.structures.values()) / 12 == pytest.approx(ours.mean, abs=0.001)
    assert all(row.mean < ours.mean for row in others)


def test_each_structure_counts_once(scored):
    (row,) = our_rows(scored)
    assert (row.model, row.ours) == ("box -> volume", True)
    assert row.structures == pytest.approx({"liver": 0.8, "aorta": 0.5})
    assert row.mean == pytest.approx(0.65)


def test_ours_stand_before_the_published(scored, tmp_path):
    rows = beside(paper_table("btcv"), scored)
    assert [row.model for row in rows[:3]] == ["box -> volume", "MedSAM-2", "MedSegDiff"]
    write_paper_table(rows, tmp_path / "out" / "table.csv")
    with (tmp_path / "out" / "table.csv").open(newline="") as file:
        first, second, third, *_ = csv.DictReader(file)
    assert (first["measured"], first["mean"], first["aorta"], first["spleen"]) == ("here", "0.650", "0.500", "")
    assert (second["measured"], second["mean"], second["aorta"]) == ("published", "0.890", "0.896")
    assert third["aorta"] == ""


def test_unknown_tables_and_folders(tmp_path):
    with pytest.raises(ConfigurationError, match="there is no paper table 'btvc'; choose among btcv, refuge2"):
        paper_table("btvc")
    (tmp_path / "file").write_text("")
    with pytest.raises(FormatError, match=r"t\.csv: cannot be written"):
        write_paper_table([], tmp_path / "file" / "t.csv")
