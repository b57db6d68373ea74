"""The command's frame: version, help, exit codes, bugs."""

import pytest

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
