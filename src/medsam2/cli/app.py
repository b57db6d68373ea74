"""The command `medsam2`: what can go wrong, and what it exits with.

Exit codes: 0 done, 1 a bug, 2 wrong input, 3 a file that cannot be read or written (or lacks a package), 4 weights,
130 interrupted.
"""

import sys
import traceback
from typing import Annotated

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
    sys.exit(run(given))


def run(arguments: list[str]) -> int:
    """Run the command and return what it exits with."""
    debug = "--debug" in arguments
    try:
        given = [one for one in arguments if one != "--debug"] or ["--help"]
        code = app(args=given, standalone_mode=False, prog_name="medsam2")
    except MedSAM2Error as error:
        return _report(error, exit_code(error), debug)
    except typer.TyperException as error:  # an unknown command or flag, a value of the wrong type
        return _report(InputError(error.format_message()), EXIT_INPUT, debug)
    except (typer.Abort, KeyboardInterrupt):
        Console(stderr=True).print("medsam2: interrupted")
        return EXIT_INTERRUPTED
    except Exception as error:  # the last resort: a bug is one line too, unless --debug
        return _report(error, EXIT_BUG, debug, "this is a bug in medsam2; run again with --debug for the details: ")
    return code if isinstance(code, int) else 0


def exit_code(error: MedSAM2Error) -> int:
    """What the command exits with after an error."""
    return next((code for kind, code in EXIT_CODES if isinstance(error, kind)), EXIT_BUG)


def _report(error: Exception, code: int, debug: bool, prefix: str = "") -> int:
    if debug:
        traceback.print_exception(error)
    message = " ".join(str(error).split()) or type(error).__name__
    Console(stderr=True, soft_wrap=True).print(f"[bold red]medsam2: error:[/] {prefix}", end="", highlight=False)
    Console(stderr=True, soft_wrap=True).print(message, markup=False, highlight=False)
    return code
