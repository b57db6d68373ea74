import csv

import pytest

from medsam2.evaluation.csv_tables import write_csv


def test_cells_come_back_and_what_is_no_unicode_has_a_backslash(tmp_path):
    path = tmp_path / "out" / "table.csv"
    write_csv(path, ["case", "pixels"], [['a,"b" ü', 3], ["M\udcfcller", 4]])
    with path.open(newline="", encoding="utf-8") as file:
        assert list(csv.reader(file)) == [["case", "pixels"], ['a,"b" ü', "3"], ["M\\udcfcller", "4"]]


def test_a_table_that_fails_midway_leaves_the_old_one(tmp_path):
    def rows():
        yield ["b"]
        raise OSError("disk full")

    path = tmp_path / "table.csv"
    write_csv(path, ["case"], [["a"]])
    with pytest.raises(OSError, match="disk full"):
        write_csv(path, ["case"], rows())
    assert path.read_text().split() == ["case", "a"]
