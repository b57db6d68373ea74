"""`medsam2 weights`: which weights there are, and how they come to this machine."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from medsam2.cli.options import Quiet
from medsam2.weights.cache import cache_directory, fetch, find_file, import_file, read_lock
from medsam2.weights.card import WeightsCard
from medsam2.weights.checkpoint_files import sha256_of
from medsam2.weights.loading import read_card
from medsam2.weights.registry import REGISTRY, WeightsEntry, find_entry

app = typer.Typer(help="List, inspect, download and import weights.", no_args_is_help=True)


@app.command("list")
def list_weights() -> None:
    """List the weights that are known by name."""
    table = Table(title=f"Weights (cache: {cache_directory()})")
    for heading in ("name", "MB", "licence", "here"):
        table.add_column(heading, no_wrap=heading == "name")
    for entry in REGISTRY.values():
        table.add_row(entry.name, _size(entry), entry.licence, "yes" if find_file(entry) else "no")
    _console().print(table)


@app.command()
def info(
    name_or_file: Annotated[str, typer.Argument(help="A name from 'medsam2 weights list', or a weights file.")],
) -> None:
    """Say what is known of weights: their network, licence, origin, and whether they were checked."""
    path = Path(name_or_file)
    if name_or_file not in REGISTRY and path.exists():
        rows = _file_rows(path, read_card(path))
    else:
        rows = _entry_rows(find_entry(name_or_file))
    table = Table(show_header=False, box=None)
    for label, text in rows.items():
        table.add_row(label, text)
    _console().print(table)


@app.command()
def download(
    name: Annotated[str, typer.Argument(help="A name from 'medsam2 weights list'.")],
    quiet: Quiet = False,
) -> None:
    """Download weights into the cache, if they are not there yet."""
    path = fetch(name, progress=Console(stderr=True).is_terminal and not quiet)
    if not quiet:
        _console().print(f"{name}: {path}", soft_wrap=True)


@app.command("import")
def import_weights(
    file: Annotated[Path, typer.Argument(help="A weights file that was downloaded elsewhere.")],
    name: Annotated[str, typer.Option("--name", "-n", help="Which of the known weights it is.")],
) -> None:
    """Check a file that was downloaded elsewhere and copy it into the cache (for machines without network)."""
    path = import_file(file, name)
    _console().print(f"{name}: {path}", soft_wrap=True)


def _console() -> Console:
    """Plain text to stdout; file names and notes are not markup."""
    return Console(markup=False, emoji=False, highlight=False)


def _entry_rows(entry: WeightsEntry) -> dict[str, str]:
    """What the registry and the cache know of `entry`."""
    found = find_file(entry)
    rows = {
        "name": entry.name,
        "network": f"{entry.preset}, {entry.config.size} px",
        "licence": entry.licence,
        "size": f"{_size(entry)} MB",
        "source": "comes with medsam2",
        "here": str(found) if found else "no",
        "note": entry.note,
    }
    if entry.repository is None:
        return rows
    return rows | {
        "source": f"https://huggingface.co/{entry.repository}, {entry.file}",
        "revision": entry.revision or "not known beforehand: the newest at the first download, from then on that one",
        "SHA-256": _trust(entry),
    }


def _file_rows(path: Path, card: WeightsCard) -> dict[str, str]:
    """What a file says of itself."""
    return {
        "name": card.name,
        "network": ", ".join(f"{key} {value}" for key, value in card.config.to_dict().items()),
        "licence": card.licence,
        "size": f"{path.stat().st_size / 1e6:.1f} MB",
        "SHA-256": sha256_of(path),
        "data": card.data,
        "training": _listed(card.training),
        "scores": _listed(card.scores),
        "note": card.note,
    }


def _trust(entry: WeightsEntry) -> str:
    """Which sum the file is held to, and why."""
    if entry.sha256 is not None:
        return f"{entry.sha256} (known beforehand)"
    lock = read_lock(entry)
    if lock is None:
        return "not known: the first download or import will be trusted and recorded"
    origin = f"revision {lock.revision}" if lock.revision else "an imported file"
    return f"{lock.sha256} (trusted on first use, {origin}; checked whenever it is loaded)"


def _size(entry: WeightsEntry) -> str:
    found = find_file(entry)
    if entry.size_mb is None:
        return f"{found.stat().st_size / 1e6:.1f}" if found else "?"
    return f"{entry.size_mb:.1f}"


def _listed(record: object) -> str:
    if not isinstance(record, dict) or not record:
        return "unknown"
    return ", ".join(f"{key} {value}" for key, value in record.items())
