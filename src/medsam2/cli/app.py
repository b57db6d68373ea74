"""The command `medsam2`: what can go wrong, and what it exits with.

Exit codes: 0 done, 1 a bug, 2 wrong input or more than the memory holds, 3 a file that cannot be read or written (or
lacks a package), 4 weights, 130 interrupted.
"""

import sys
import traceback
from io import TextIOWrapper
from typing import Annotated

import torch
import typer
from rich.console import Console

from medsam2 import __version__
from medsam2.cli.demo import demo
from medsam2.cli.evaluate import evaluate_command
from medsam2.cli.oneprompt import oneprompt
from medsam2.cli.segment import segment
from medsam2.cli.train import train_command
from medsam2.cli.weights import app as weights_app
from medsam2.errors import CheckpointError, FormatError, InputError, MedSAM2Error, MissingDependencyError

EXIT_BUG, EXIT_INPUT, EXIT_FILE, EXIT_WEIGHTS, EXIT_INTERRUPTED = 1, 2, 3, 4, 130
EXIT_CODES: tuple[tuple[type[MedSAM2Error], int], ...] = (
    (InputError, EXIT_INPUT),
    (FormatError, EXIT_FILE),
    (MissingDependencyError, EXIT_FILE),  # a file that cannot be read without a package
    (CheckpointError, EXIT_WEIGHTS),
)

NO_MEMORY = (
    "there is not enough memory; try a smaller --size, fewer objects at a time, or --device cpu if a GPU was used"
)
CPU_ALLOCATOR = "DefaultCPUAllocator"
"""What torch's plain RuntimeError names where the main memory is full."""
BUG = "this is a bug in medsam2; run again with --debug for the details: "

app = typer.Typer(
    name="medsam2",
    help="One prompt in, the whole volume out: promptable segmentation of medical images (MedSAM-2).",
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(segment)
app.command()(oneprompt)
app.command()(demo)
app.command("evaluate")(evaluate_command)
app.command("train")(train_command)
app.add_typer(weights_app, name="weights")


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"medsam2 {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """One prompt in, the whole volume out: promptable segmentation of medical images (MedSAM-2)."""


def main(arguments: list[str] | None = None) -> None:
    """Run the command; every foreseen error is one line and an exit code."""
    given = sys.argv[1:] if arguments is None else arguments
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # names of files need be no UTF-8
    sys.exit(run(given))


def run(arguments: list[str]) -> int:
    """Run the command and return what it exits with."""
    debug = "--debug" in arguments
    try:
        given = [one for one in arguments if one != "--debug"] or ["--help"]
        code = app(args=given, standalone_mode=False, prog_name="medsam2")
    except (typer.Abort, KeyboardInterrupt):
        Console(stderr=True).print("medsam2: interrupted")
        return EXIT_INTERRUPTED
    except Exception as error:  # the last resort: a bug is one line too, unless --debug
        return _report(error, debug)
    return code if isinstance(code, int) else 0


def exit_code(error: MedSAM2Error) -> int:
    """What the command exits with after an error."""
    return next((code for kind, code in EXIT_CODES if isinstance(error, kind)), EXIT_BUG)


def _verdict(error: Exception) -> tuple[int, str]:
    """What the command exits with, and what it says."""
    if isinstance(error, MedSAM2Error):
        return exit_code(error), str(error)
    if isinstance(error, typer.TyperException):  # an unknown command or flag, a value of the wrong type
        return EXIT_INPUT, error.format_message()
    if isinstance(error, OSError):  # a name that is too long, a folder that may not be entered, a full disk
        place = "" if error.filename is None else f"{error.filename}: "
        return EXIT_FILE, f"{place}{error.strerror or error}"
    if isinstance(error, MemoryError | torch.OutOfMemoryError) or CPU_ALLOCATOR in str(error):
        return EXIT_INPUT, NO_MEMORY
    return EXIT_BUG, f"{BUG}{str(error) or type(error).__name__}"


def _report(error: Exception, debug: bool) -> int:
    if debug:
        traceback.print_exception(error)
    code, message = _verdict(error)
    console = Console(stderr=True, soft_wrap=True)
    console.print("[bold red]medsam2: error:[/] ", end="", highlight=False)
    console.print(" ".join(message.split()) or type(error).__name__, markup=False, highlight=False)
    return code
