"""Choosing one volume of a file that holds several."""

from __future__ import annotations

from pathlib import Path

from medsam2.errors import FormatError, InputError


class ChoiceNeededError(FormatError):
    """A file holds several volumes or series, and none was chosen.

    Args:
        message: What there is to choose from, in one sentence.
        parameter: Of `read_volume`, that chooses: "volume_index" or "series".
    """

    def __init__(self, message: str, parameter: str = "volume_index") -> None:
        super().__init__(message)
        self.parameter = parameter


def chosen_volume(path: Path, count: int, volume_index: int | None) -> int:
    """Give the position of the volume to read.

    Args:
        path: The file, for messages.
        count: How many volumes (time points, channels) the file holds.
        volume_index: The user's choice, from 0; None if there was none.

    Raises:
        ChoiceNeededError: The file holds several volumes and none was chosen.
        InputError: The file holds no such volume.
    """
    if volume_index is None and count > 1:
        raise ChoiceNeededError(
            f"{path} is 4-D and has {count} time points (or channels); expected one volume. "
            f"Save one as a file of its own, or choose one (volume_index in Python), 0..{count - 1}."
        )
    if not 0 <= (volume_index or 0) < count:
        raise InputError(f"volume index {volume_index} is not in {path}; expected 0..{count - 1}.")
    return volume_index or 0
