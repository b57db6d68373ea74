"""The log: means of what was seen, cut back to the saved state, for TensorBoard too."""

import sys

import pytest

from medsam2.errors import CheckpointError, MissingDependencyError
from medsam2.training.run_log import COLUMNS, RunLog, add_to

PLACE = {"steps": 1, "seconds": 2.5, "stage": 0, "learning rate": 1e-4}


def test_rows_hold_means(tmp_path):
    sums = {}
    add_to(sums, {"loss": (3.0, 2.0), "dice box": (0.0, 0.0)})
    add_to(sums, {"loss": (1.0, 2.0), "unheard of": (1.0, 1.0)})
    log = RunLog(tmp_path / "log.csv", 0)
    log.write(PLACE, sums, validation=0.75)
    (row,) = log.rows()
    assert list(row) == list(COLUMNS)
    assert (row["steps"], row["loss"], row["dice box"], row["validation dice"]) == ("1", "1.0", "", "0.75")


def test_a_loss_is_written_to_the_last_bit(tmp_path):
    log = RunLog(tmp_path / "log.csv", 0)
    log.write(PLACE, {"loss": [1 / 3, 1.0]})
    assert float(log.rows()[0]["loss"]) == 1 / 3


def test_what_was_logged_after_the_saved_state_is_dropped(tmp_path):
    log = RunLog(tmp_path / "log.csv", 0)
    for steps in range(1, 6):
        log.write(PLACE | {"steps": steps}, {"loss": [1.0, 1.0]})
    assert [row["steps"] for row in RunLog(tmp_path / "log.csv", 3).rows()] == ["1", "2", "3"]


def test_a_log_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "here").write_text("a file")
    with pytest.raises(CheckpointError, match=r"log\.csv: the log cannot be written"):
        RunLog(tmp_path / "here" / "log.csv", 0)


def test_tensorboard_is_asked_for_where_it_is_missing(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(MissingDependencyError, match=r"tensorboard.*medsam2\[train\].*log\.csv has the same"):
        RunLog(tmp_path / "log.csv", 0, tmp_path / "boards")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_tensorboard_gets_the_same_numbers(tmp_path):
    log = RunLog(tmp_path / "log.csv", 0, tmp_path / "boards")
    log.write(PLACE | {"steps": 7}, {"loss": [1.0, 2.0], "dice box": [0.25, 1.0]}, 0.5)
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = EventAccumulator(str(tmp_path / "boards"))
    found.Reload()
    values = {tag: (found.Scalars(tag)[0].step, found.Scalars(tag)[0].value) for tag in found.Tags()["scalars"]}
    assert values == {"loss": (7, 0.5), "dice/box": (7, 0.25), "validation/dice": (7, 0.5)}
