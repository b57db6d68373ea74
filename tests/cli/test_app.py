"""The command's frame: version, help, exit codes, bugs."""

import pytest
import torch

from medsam2 import __version__
from medsam2.cli import app as app_module
from medsam2.cli.app import exit_code, main, run
from medsam2.errors import CheckpointError, FormatError, MissingDependencyError, PromptError


def test_version_and_help(capsys):
    assert run(["--version"]) == 0
    assert capsys.readouterr().out == f"medsam2 {__version__}\n"
    assert run(["--help"]) == 0
    said = capsys.readouterr().out
    assert all(command in said for command in ("segment", "demo", "weights"))


@pytest.mark.parametrize(
    ("error", "code"),
    [(PromptError("x"), 2), (FormatError("x"), 3), (CheckpointError("x"), 4), (MissingDependencyError("x"), 3)],
)
def test_each_error_has_its_exit_code(error, code):
    assert exit_code(error) == code


def test_unknown_commands_and_flags_exit_with_two(capsys):
    assert run(["segmnt"]) == 2
    assert run(["demo", "--nonsense"]) == 2
    assert "Traceback" not in capsys.readouterr().err


def test_a_bug_is_one_line_and_a_traceback_only_with_debug(monkeypatch, capsys):
    def broken(**_):
        raise ValueError("index [1] out of range")

    monkeypatch.setattr(app_module, "app", broken)
    assert run([]) == 1
    said = capsys.readouterr().err
    assert "bug in medsam2" in said
    assert "index [1] out of range" in said
    assert "Traceback" not in said
    assert run(["--debug"]) == 1
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (OSError(36, "File name too long", "scan"), 3, "error: scan: File name too long"),
        (PermissionError(13, "Permission denied", "folder"), 3, "error: folder: Permission denied"),
        (OSError("no number"), 3, "error: no number"),
        (MemoryError(), 2, "not enough memory; try a smaller --size, fewer objects at a time, or --device cpu"),
        (torch.OutOfMemoryError("CUDA out of memory."), 2, "not enough memory"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), 2, "not enough memory"),
        (RuntimeError("shapes"), 1, "this is a bug in medsam2; run again with --debug for the details: shapes"),
        (KeyError(), 1, "for the details: KeyError"),
    ],
)
def test_what_the_machine_refuses_is_no_bug(monkeypatch, capsys, error, code, words):
    def refused(**_):
        raise error

    monkeypatch.setattr(app_module, "app", refused)
    assert run([]) == code
    said = capsys.readouterr().err
    assert words in said
    assert len(said.splitlines()) == 1
    assert run(["--debug"]) == code
    said = capsys.readouterr().err
    assert "Traceback" in said
    assert words in said


def test_a_name_that_is_too_long_is_told(tmp_path, capsys):
    assert run(["segment", "-i", str(tmp_path / ("x" * 300)), "-o", str(tmp_path / "o.nii"), "--point", "1,1,1"]) == 3
    assert "File name too long" in capsys.readouterr().err


def test_an_interrupt_is_no_bug(monkeypatch, capsys):
    def interrupted(**_):
        raise KeyboardInterrupt

    monkeypatch.setattr(app_module, "app", interrupted)
    assert run([]) == 130
    assert "interrupted" in capsys.readouterr().err


def test_main_exits_with_the_code(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out
