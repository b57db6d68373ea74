"""A run's state on disk: complete after every save, in files small enough to be copied anywhere."""

import json
import os
import pickle
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from medsam2.errors import CheckpointError

PART_BYTES = 15 * 2**20
"""No file of a saved state is much larger than this."""

INDEX = "state.json"

UNREADABLE = (
    OSError,
    RuntimeError,
    EOFError,
    pickle.UnpicklingError,
    ValueError,
    KeyError,
    IndexError,
    AttributeError,
    TypeError,
)
"""What PyTorch raises on a damaged file depends on where the damage is, as in `weights.checkpoint_files`."""

SavedState = tuple[dict[str, Tensor], dict[str, Any]]
"""Tensors by name, and facts."""


def save_state(folder: Path, tensors: dict[str, Tensor], facts: dict[str, Any]) -> None:
    """Write tensors and facts; the state before stays valid until the last moment.

    Args:
        folder: made if missing.
        tensors: by name.
        facts: anything that JSON can hold.
    """
    folder.mkdir(parents=True, exist_ok=True)
    turn = 1 - _turn(folder)
    parts = _parts(tensors)
    names = [f"state-{turn}-{number:02d}.pt" for number in range(len(parts))]
    for name, part in zip(names, parts, strict=True):
        torch.save(part, folder / name)
        _reach_disk(folder / name)
    beside = folder / (INDEX + ".part")
    beside.write_text(json.dumps({"turn": turn, "parts": names, "facts": facts}, indent=1))
    _reach_disk(beside)
    beside.replace(folder / INDEX)


def load_state(folder: Path) -> SavedState | None:
    """The last state that was completely written, or None if there is none.

    Raises:
        CheckpointError: a file of the state is missing or damaged.
    """
    if not (folder / INDEX).exists():
        return None
    index = _index(folder)
    tensors: dict[str, Tensor] = {}
    for name in index["parts"]:
        try:
            tensors |= torch.load(folder / name, map_location="cpu", weights_only=True)
        except UNREADABLE as error:
            raise CheckpointError(f"{folder / name}: the training state cannot be read ({error})") from error
    return tensors, index["facts"]


def _reach_disk(path: Path) -> None:
    """Else the index might outlive a failing machine, and the parts that it names not."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def part_of(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors whose names begin with a prefix, without it."""
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _turn(folder: Path) -> int:
    return int(_index(folder)["turn"]) if (folder / INDEX).exists() else 1


def _index(folder: Path) -> dict[str, Any]:
    path = folder / INDEX
    try:
        index = json.loads(path.read_text())
        return {key: index[key] for key in ("turn", "parts", "facts")}
    except (ValueError, KeyError, TypeError) as error:
        raise CheckpointError(
            f"{path}: the index of the training state is damaged ({error}); bring a copy, or begin in another folder"
        ) from error


def _parts(tensors: dict[str, Tensor]) -> list[dict[str, Tensor]]:
    """Group tensors so that no group is much larger than a part."""
    parts: list[dict[str, Tensor]] = [{}]
    filled = 0
    for name, tensor in tensors.items():
        size = tensor.numel() * tensor.element_size()
        if filled and filled + size > PART_BYTES:
            parts.append({})
            filled = 0
        parts[-1][name] = tensor.detach().cpu().clone()
        filled += size
    return parts
