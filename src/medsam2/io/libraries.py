"""What the format libraries raise and log, turned into this package's errors and silence."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from medsam2.errors import FormatError, MissingDependencyError

LIBRARY_CHATTER = re.compile(r".*(ERROR: (\w+\(0x\w+\): )?|\[nrrd\] )|\s*Reason: Success", re.DOTALL)


@contextmanager
def format_errors(path: Path, action: str, *errors: type[Exception]) -> Iterator[None]:
    """Turn the errors that a library raises for a bad file into one line that names the file.

    Args:
        path: The file the library works on.
        action: What failed: "read" or "written".
        errors: What the library raises, besides `OSError` and `MemoryError`.

    Raises:
        FormatError: One of these errors was raised.
    """
    caught: tuple[type[Exception], ...] = (OSError, MemoryError, *errors)
    try:
        yield
    except caught as error:
        told = isinstance(error, OSError) and error.strerror
        advice = "" if told or action != "read" else "; it may be damaged or incomplete"
        raise FormatError(f"{path} cannot be {action}: {told or _reason(error)}{advice}.") from error


@contextmanager
def extra_needed(extra: str, purpose: str) -> Iterator[None]:
    """Import the packages of an extra inside, and say what to install if one is not there.

    Args:
        extra: Its name in pyproject.toml.
        purpose: What it is needed for: "reading DICOM".

    Raises:
        MissingDependencyError: A package is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise MissingDependencyError(
            f'{purpose} needs the package "{error.name}", which is not installed; '
            f'install it with: pip install "medsam2[{extra}]"'
        ) from error


@contextmanager
def silenced(logger: logging.Logger) -> Iterator[None]:
    """Keep a library's log records off the user's screen."""
    before = logger.disabled
    logger.disabled = True
    try:
        yield
    finally:
        logger.disabled = before


def _reason(error: Exception) -> str:
    """Give a library's message in one line, without where in its source it failed."""
    text = LIBRARY_CHATTER.sub("", str(error))
    return " ".join(text.split()).rstrip(".") or type(error).__name__
