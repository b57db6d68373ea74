import math

import pytest

from medsam2.errors import FormatError
from medsam2.evaluation.run_log import RunLog, ScoredCase
from medsam2.evaluation.scores import StructureScores

HEADER = {"model": {"sha256": "12"}, "protocols": ["box"]}


def scored(name, value=0.5):
    row = StructureScores(name, "liver", 1, "axial", 3, 20, {"box": value, "otsu": math.nan})
    return ScoredCase(name, f"image {name}", f"labels {name}", 9, (row,))


def test_a_case_survives():
    case = scored("a")
    again = ScoredCase.from_line(case.to_line())
    assert again.scores[0].values["box"] == 0.5
    assert math.isnan(again.scores[0].values["otsu"])
    assert again.to_line() == case.to_line()


def test_a_run_goes_on_where_it_was(tmp_path):
    path = tmp_path / "out" / "log.jsonl"
    log = RunLog(path, HEADER)
    assert log.count == 0
    log.add(scored("a"))
    log.add(scored("b", 0.7))
    again = RunLog(path, HEADER)
    assert again.count == 2
    assert again.find("b", "image b", "labels b").scores[0].values["box"] == 0.7
    assert again.find("b", "another", "labels b") is None
    assert again.find("b", "image b", "another") is None
    assert again.find("c", "image c", "labels c") is None


def test_a_log_of_another_run_is_begun_anew(tmp_path):
    path = tmp_path / "log.jsonl"
    RunLog(path, HEADER).add(scored("a"))
    other = RunLog(path, {**HEADER, "model": {"sha256": "34"}})
    assert other.count == 0
    other.add(scored("b"))
    assert RunLog(path, HEADER).count == 0


def test_lines_are_added_and_the_last_one_of_a_case_counts(tmp_path):
    path = tmp_path / "log.jsonl"
    log = RunLog(path, HEADER)
    log.add(scored("a"))
    before = path.read_bytes()
    log.add(scored("a", 0.9))
    log.add(scored("b"))
    assert path.read_bytes().startswith(before)
    assert path.read_text().count("\n") == 4
    again = RunLog(path, HEADER)
    assert again.count == 2
    assert again.find("a", "image a", "labels a").scores[0].values["box"] == 0.9
    again.add(scored("c"))  # what is known is written anew, once
    assert path.read_text().count("\n") == 4
    assert RunLog(path, HEADER).count == 3


@pytest.mark.parametrize(
    "damage", [b'{"name": "c", "im', b"no JSON\n", b"[1]\n", b"5\n", b'{"name": "c"}\n', b"\xff\xfe\n"]
)
def test_what_a_kill_cut_short_is_left_out(tmp_path, damage):
    path = tmp_path / "log.jsonl"
    log = RunLog(path, HEADER)
    log.add(scored("a"))
    log.add(scored("b"))
    path.write_bytes(path.read_bytes() + damage)
    again = RunLog(path, HEADER)
    assert again.count == 2
    again.add(scored("c"))
    assert RunLog(path, HEADER).count == 3


def test_a_finished_run_leaves_no_log(tmp_path):
    log = RunLog(tmp_path / "log.jsonl", HEADER)
    log.remove()  # nothing was done
    log.add(scored("a"))
    log.remove()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", ["", "not JSON", '{"header": {}}'])
def test_a_file_that_is_no_log_of_this_run_is_left_out(tmp_path, text):
    path = tmp_path / "log.jsonl"
    path.write_text(text)
    assert RunLog(path, HEADER).count == 0


def test_a_log_that_cannot_be_used_is_named(tmp_path):
    (tmp_path / "log.jsonl").mkdir()
    with pytest.raises(FormatError, match=r"log\.jsonl: cannot be read"):
        RunLog(tmp_path / "log.jsonl", HEADER)
    (tmp_path / "file").write_text("")
    with pytest.raises(FormatError, match=r"cannot be written"):
        RunLog(tmp_path / "file" / "log.jsonl", HEADER).add(scored("a"))
