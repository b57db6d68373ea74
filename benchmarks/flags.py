"""What the commands can be told, checked before anything is measured."""

from pathlib import Path
from typing import Annotated, get_args

import typer

from benchmarks.implementations import COMPILED, META, OURS, TRANSFORMERS
from medsam2.errors import ConfigurationError
from medsam2.network.config import PRESETS, Precision, check_size

NETWORKS = tuple(name for name, config in PRESETS.items() if not config.drawn_prompts)
"""Those of SAM 2; nobody else has the starter's additions."""

OTHERS = (COMPILED, TRANSFORMERS, META)


def _network(name: str) -> str:
    """A preset that every implementation can have."""
    _check(name, NETWORKS)
    return name


def _sizes(sizes: list[int] | None) -> list[int] | None:
    try:
        for size in sizes or ():
            check_size(size)
    except ConfigurationError as error:
        raise typer.BadParameter(str(error)) from error
    return sizes


def _precisions(names: list[str] | None) -> list[str] | None:
    for name in names or ():
        _check(name, get_args(Precision))
    return names


def _others(names: list[str] | None) -> list[str] | None:
    """What can be left out, whether it is installed or not."""
    for name in names or ():
        if name == OURS:
            raise typer.BadParameter(f"'{OURS}' cannot be left out, the others are compared with it")
        _check(name, OTHERS)
    return names


def _check(name: str, known: tuple[str, ...]) -> None:
    if name not in known:
        raise typer.BadParameter(f"'{name}' is not among {', '.join(known)}")


Model = Annotated[str, typer.Option(callback=_network, help="Preset of the network; its weights are random.")]
Sizes = Annotated[list[int] | None, typer.Option(callback=_sizes, help="Side of the input in pixels; may be repeated.")]
Precisions = Annotated[
    list[str] | None, typer.Option(callback=_precisions, help="float32 or bfloat16; may be repeated.")
]
Without = Annotated[
    list[str] | None, typer.Option(callback=_others, help="An implementation to leave out; may be repeated.")
]
Output = Annotated[Path, typer.Option("-o", file_okay=False, help="Folder for what was measured.")]
