"""What cannot be measured is refused before anything is."""

import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

sys.path.insert(0, str(Path(__file__).parents[2]))  # the benchmarks are no installed package

from benchmarks.compare import main as compare
from benchmarks.flags import NETWORKS
from benchmarks.growth import main as growth


def refusal(command, *flags):
    """The message that a command ends with, in one line."""
    app = typer.Typer()
    app.command()(command)
    result = CliRunner().invoke(app, flags)
    assert result.exit_code == 2
    return " ".join(result.stderr.replace("│", " ").split())


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--precision", "fp16"), "'--precision': 'fp16' is not among float32, bfloat16"),
        (("--precision", "float32", "--precision", "fp16"), "'fp16' is not among float32, bfloat16"),
        (("--without", "medsam2"), "'--without': 'medsam2' cannot be left out, the others are compared with it"),
        (("--without", "sam1"), "'--without': 'sam1' is not among medsam2-openvino, transformers, sam2"),
        (("--size", "100"), "'--size': the network's input side is 100 pixels; it must be a positive multiple of 32"),
        (("--objects", "0"), "Invalid value for '--objects'"),
        (("--slices", "0"), "Invalid value for '--slices'"),
        (("--rounds", "0"), "Invalid value for '--rounds'"),
    ],
)
def test_a_comparison_that_cannot_be_made_is_refused(flags, message, tmp_path):
    assert message in refusal(compare, *flags, "-o", str(tmp_path / "new"))
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("command", [compare, growth])
@pytest.mark.parametrize("name", ["sam2", "starter"])
def test_networks_that_are_not_sam_2_are_refused(command, name, tmp_path):
    message = refusal(command, "--model", name, "-o", str(tmp_path / "new"))
    assert f"'--model': '{name}' is not among {', '.join(NETWORKS)}" in message


@pytest.mark.parametrize("command", [compare, growth])
def test_a_file_is_no_folder_to_write_into(command, tmp_path):
    (tmp_path / "file").write_text("in the way")
    assert "is a file" in refusal(command, "-o", str(tmp_path / "file"))
