"""What a run over a set has found so far, on disk: killed, it goes on where it was."""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from medsam2.engine.set_result import ImageMask, ImageObject
from medsam2.errors import FormatError
from medsam2.files import written_whole
from medsam2.frames import IntensityWindow

Turn = tuple[float, float]
"""What an image's turn depends on, falling: the confidence and the object score of its first look."""


class SetLog:
    """A file that grows by a line for each first look, and for each image of which the label map is written.

    No pixels are in it. Lines are only added, so that a set of a thousand images costs no more an image than ten. What
    a kill cut short is left out, and so is what follows a damaged line.

    Args:
        path: the file; made with the first line.
        header: model, settings, prompts and images: a log of another run is begun anew.

    Raises:
        FormatError: the file cannot be read.
    """

    def __init__(self, path: Path, header: Mapping[str, Any]) -> None:
        self.path = path
        self._turns: dict[str, Turn] = {}
        self._done: dict[str, ImageMask] = {}
        self._lines = [json.dumps({"header": header}, sort_keys=True)]
        self._is_open = False
        for line in self._read():
            try:
                self._take(json.loads(line))
            except (ValueError, KeyError, TypeError):
                break
            self._lines.append(line)

    @property
    def is_new(self) -> bool:
        """Whether there is nothing to go on with."""
        return not self._turns and not self._done

    @property
    def count(self) -> int:
        """Images that are done."""
        return len(self._done)

    def turn(self, name: str) -> Turn | None:
        """What is known of an image's turn."""
        return self._turns.get(name)

    def done(self, name: str, position: int) -> ImageMask | None:
        """What was found on an image, without pixels, if it is done.

        Args:
            name: of the image.
            position: of the image in the set as it is given now.
        """
        mask = self._done.get(name)
        return mask and replace(mask, position=position)

    def add_turn(self, name: str, turn: Turn) -> None:
        """Note a first look.

        Raises:
            FormatError: the file cannot be written.
        """
        self._append({"turn": [name, *turn]})

    def add(self, mask: ImageMask) -> None:
        """Note an image that is done, once its label map is written.

        Raises:
            FormatError: the file cannot be written.
        """
        window = mask.window and asdict(mask.window)
        objects = [asdict(one) for one in mask.objects]
        self._append({"done": {"name": mask.name, "window": window, "objects": objects}})

    def keep_if(self, is_there: Callable[[str], bool]) -> None:
        """Forget the images that are noted as done, but whose label map is gone.

        Args:
            is_there: whether the label map of an image is, by the image's name.
        """
        self._done = {name: mask for name, mask in self._done.items() if is_there(name)}

    def remove(self) -> None:
        """Take the file away, as the results stand elsewhere now."""
        self.path.unlink(missing_ok=True)

    def _take(self, entry: Mapping[str, Any]) -> None:
        if "turn" in entry:
            name, confidence, score = entry["turn"]
            self._turns[name] = (confidence, score)
        else:
            told = entry["done"]
            window = told["window"] and IntensityWindow(**told["window"])
            objects = tuple(ImageObject(**one) for one in told["objects"])
            self._done[told["name"]] = ImageMask(told["name"], 0, objects, None, window)

    def _append(self, entry: Mapping[str, Any]) -> None:
        line = json.dumps(entry)
        self._take(entry)
        try:
            if not self._is_open:
                self._begin()
            with self.path.open("a", encoding="utf-8") as file:
                file.write(line + "\n")
        except OSError as error:
            raise FormatError(f"{self.path}: cannot be written ({error.strerror})") from error

    def _begin(self) -> None:
        """Write what is known, whole, before the first line is added."""
        with written_whole(self.path) as draft:
            draft.write_text("\n".join(self._lines) + "\n", encoding="utf-8")
        self._is_open, self._lines = True, []

    def _read(self) -> list[str]:
        """The lines of a log with the same header, without one that was cut short; none if there is no such log."""
        if not self.path.exists():
            return []
        try:
            lines = self.path.read_text(encoding="utf-8").split("\n")
        except OSError as error:
            raise FormatError(f"{self.path}: cannot be read ({error.strerror})") from error
        except UnicodeDecodeError:
            return []
        # What follows the last line break was cut short.
        return lines[1:-1] if lines[0] == self._lines[0] else []
