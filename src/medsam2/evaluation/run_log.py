"""What a run has scored so far, on disk: killed, it goes on where it was."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from medsam2.errors import FormatError
from medsam2.evaluation.scores import StructureScores
from medsam2.files import written_whole


@dataclass(frozen=True)
class ScoredCase:
    """A case that is done.

    Attributes:
        name: of the case.
        image_sha256: of its image.
        labels_sha256: of its labels.
        slices: of its view.
        scores: of its structures.
        patient: whose case it is; empty: a patient of its own.
    """

    name: str
    image_sha256: str
    labels_sha256: str
    slices: int
    scores: tuple[StructureScores, ...]
    patient: str = ""

    def to_line(self) -> str:
        """One line of JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def from_line(cls, line: str) -> ScoredCase:
        """The same case again.

        Raises:
            ValueError, KeyError, TypeError: the line is not one.
        """
        told = dict(json.loads(line))
        scores = tuple(StructureScores(**one) for one in told.pop("scores"))
        return cls(**told, scores=scores)


class RunLog:
    """A file of one line a case, headed by what was run.

    Lines are only added, so that the last of thousands of cases costs no more than the first; of a case that changed,
    the last line counts. What a kill cut short is left out, and so is what follows a damaged line.

    Args:
        path: the file; made when the first case is done.
        header: model, settings and the like: a log of another run is begun anew.

    Raises:
        FormatError: the file cannot be read.
    """

    def __init__(self, path: Path, header: Mapping[str, Any]) -> None:
        self.path = path
        self._header = json.dumps({"header": header}, sort_keys=True)
        self._done = {case.name: case for case in self._read()}
        self._is_begun = False

    @property
    def count(self) -> int:
        """Cases that are done."""
        return len(self._done)

    def find(self, name: str, image_sha256: str, labels_sha256: str) -> ScoredCase | None:
        """The case if it is done and still the same."""
        case = self._done.get(name)
        same = case is not None and (case.image_sha256, case.labels_sha256) == (image_sha256, labels_sha256)
        return case if same else None

    def add(self, case: ScoredCase) -> None:
        """Note a case that is done.

        Raises:
            FormatError: the file cannot be written.
        """
        try:
            if not self._is_begun:
                self._begin()
            with self.path.open("a", encoding="utf-8") as file:
                file.write(case.to_line() + "\n")
        except OSError as error:
            raise FormatError(f"{self.path}: cannot be written ({error.strerror})") from error
        self._done[case.name] = case

    def remove(self) -> None:
        """Take the file away, as the results stand elsewhere now."""
        self.path.unlink(missing_ok=True)

    def _begin(self) -> None:
        """Write what is known, whole, before the first line is added."""
        lines = [self._header, *(one.to_line() for one in self._done.values())]
        with written_whole(self.path) as draft:
            draft.write_text("\n".join(lines) + "\n", encoding="utf-8")
        self._is_begun = True

    def _read(self) -> Iterator[ScoredCase]:
        """The cases of a log with the same header; none if there is no such log."""
        if not self.path.exists():
            return
        try:
            text = self.path.read_text(encoding="utf-8", errors="replace")  # what is damaged is no line of ours
        except OSError as error:
            raise FormatError(f"{self.path}: cannot be read ({error.strerror})") from error
        header, *lines = text.split("\n")
        if header != self._header:
            return
        for line in lines[:-1]:  # what follows the last line break was cut short
            try:
                yield ScoredCase.from_line(line)
            except (ValueError, KeyError, TypeError):
                return
