"""Checkpoint files: read without trusting them (plain tensors only), written whole or not at all."""

import hashlib
import pickle
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from medsam2 import files
from medsam2.errors import CheckpointError

CARD_KEY = "medsam2"
"""The entry of a safetensors header that holds our card. It is the only one: several come in no fixed order, and the
same weights should give the same bytes."""

_MODEL_KEY = "model"
"""Where Meta's checkpoints keep the weights."""

_HEAD_BYTES = 512


class FileKind(StrEnum):
    """How a checkpoint file is written."""

    PYTORCH = "PyTorch"
    SAFETENSORS = "safetensors"


SUFFIXES: Mapping[str, FileKind] = {
    ".pt": FileKind.PYTORCH,
    ".pth": FileKind.PYTORCH,
    ".safetensors": FileKind.SAFETENSORS,
}


@dataclass(frozen=True)
class Checkpoint:
    """What a file holds.

    Attributes:
        state: tensors by the names that the file gives them.
        card: the text of our card, if the file has one.
    """

    state: Mapping[str, Tensor]
    card: str | None = None


def sha256_of(path: Path) -> str:
    """The SHA-256 sum of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Give a draft to write in place of a file, and move it there once it is complete.

    Raises:
        CheckpointError: the file or its folder cannot be written; an older file stays as it was.
    """
    try:
        with files.written_whole(path) as draft:
            yield draft
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{path} cannot be written ({reason(error)})") from error


def read_checkpoint(path: Path) -> Checkpoint:
    """Read a `.pt`, `.pth` or `.safetensors` file; no code in it is run.

    Raises:
        CheckpointError: there is no such file, or it is not what its suffix claims, damaged, or holds anything but
            plain tensors by their names.
    """
    kind = _checked_kind(path)
    state, card = _READERS[kind](path)
    for key, tensor in state.items():
        if not isinstance(key, str):
            raise CheckpointError(
                f"{path} has a key of type {type(key).__name__}; expected the names of weights. Is this the state dict "
                "of a SAM 2 network?"
            )
        if not isinstance(tensor, Tensor) or tensor.layout != torch.strided or not tensor.is_floating_point():
            described = f"{tensor.dtype} tensor" if isinstance(tensor, Tensor) else type(tensor).__name__
            raise CheckpointError(
                f"{path}: '{key}' is a {described}; expected a dense tensor of floating-point numbers. Is this the "
                "state dict of a SAM 2 network?"
            )
    return Checkpoint(state, card)


def _checked_kind(path: Path) -> FileKind:
    """The kind of a file, on which its suffix and its first bytes agree."""
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "does not exist"
        raise CheckpointError(f"{path} {what}; expected a weights file ({', '.join(SUFFIXES)})")
    claimed = SUFFIXES.get(path.suffix.lower())
    if claimed is None:
        raise CheckpointError(f"{path} has the suffix '{path.suffix}'; weights files end in {', '.join(SUFFIXES)}")
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    found = _recognise(head)
    if found is None:
        raise CheckpointError(f"{path} is not a {claimed} checkpoint: {_diagnose(head)}")
    if found is not claimed:
        right = next(suffix for suffix, kind in SUFFIXES.items() if kind is found)
        raise CheckpointError(f"{path} holds a {found} checkpoint; rename it to end in {right}")
    return found


def _recognise(head: bytes) -> FileKind | None:
    """Tell a file's kind by its first bytes: a zip archive, or a JSON header behind its length."""
    if head.startswith(b"PK\x03\x04"):
        return FileKind.PYTORCH
    return FileKind.SAFETENSORS if head[8:9] == b"{" else None


def _diagnose(head: bytes) -> str:
    """What a file that is no checkpoint probably is."""
    text = head.lstrip().lower()
    if not text:
        return "it is empty; get it again"
    if text.startswith(b"version https://git-lfs"):
        return "it is a git-lfs pointer, the text that stands for the file; fetch the file itself (git lfs pull)"
    if text.startswith((b"<!doctype", b"<html", b"<?xml")):
        return "it is a web page, probably saved from a download link; download the file itself"
    if head.startswith(b"\x80"):
        return "it is a bare pickle, as PyTorch wrote before version 1.6; save it again with a current torch.save"
    return "its first bytes are those of no format that medsam2 reads; get it again"


def _read_safetensors(path: Path) -> tuple[Mapping[str, Tensor], str | None]:
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            return {key: file.get_tensor(key) for key in file.keys()}, metadata.get(CARD_KEY)  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path} is damaged or incomplete ({reason(error)}); get it again") from error


def _read_pytorch(path: Path) -> tuple[Mapping[Any, Any], None]:
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            f"{path} is damaged, or holds Python objects besides tensors; those could run code and are not loaded. "
            "Get the file from its publisher, or save the bare state dict"
        ) from error
    except (RuntimeError, EOFError, OSError, ValueError, KeyError, IndexError, AttributeError, TypeError) as error:
        # What PyTorch raises on a truncated file depends on where it ends.
        raise CheckpointError(f"{path} is damaged or incomplete ({reason(error)}); get it again") from error
    state = content.get(_MODEL_KEY, content) if isinstance(content, Mapping) else content
    if not isinstance(state, Mapping):
        raise CheckpointError(f"{path} holds a {type(state).__name__}; expected a dictionary of tensors")
    return state, None


def reason(error: Exception) -> str:
    """In a few words, without line breaks, what an error of a library says."""
    said = getattr(error, "strerror", None) or str(error)
    return (said.splitlines() or [type(error).__name__])[0]


_READERS: Mapping[FileKind, Callable[[Path], tuple[Mapping[Any, Any], str | None]]] = {
    FileKind.PYTORCH: _read_pytorch,
    FileKind.SAFETENSORS: _read_safetensors,
}
