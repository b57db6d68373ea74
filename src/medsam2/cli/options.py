"""Flags that several commands share."""

from typing import Annotated

import typer

Device = Annotated[str, typer.Option("-d", "--device", help="cpu, cuda, mps, or auto.")]
Model = Annotated[str, typer.Option(help="Weights by name (see `medsam2 weights list`) or a file.")]
Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="Say nothing but warnings and errors.")]
Verbose = Annotated[bool, typer.Option("-v", "--verbose", help="Say more.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]
