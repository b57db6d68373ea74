"""The folder of a run: what lies where, and whether there is room for it."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from medsam2.errors import FormatError
from medsam2.files import written_whole
from medsam2.training.recipe import Recipe

STATES_KEPT = 2
"""The last one, and the one that is being written."""

COPIES_IN_STATE = 4
"""Weights, their average and AdamW's two moments."""

LOCK = ".lock"

COPIES_TO_SHIP = 2
"""The best weights, and better ones that are being written, in half precision: counted whole, to be sure."""


@dataclass(frozen=True)
class RunFolder:
    """Where a run keeps its things.

    Attributes:
        path: the folder; made by `check`.
    """

    path: Path

    @property
    def state(self) -> Path:
        """All that is needed to go on, see `medsam2.training.state`."""
        return self.path / "state"

    @property
    def log(self) -> Path:
        """Losses and scores, a row every few steps."""
        return self.path / "log.csv"

    @property
    def boards(self) -> Path:
        """The same for TensorBoard."""
        return self.path / "tensorboard"

    @property
    def recipe(self) -> Path:
        """The recipe with all its settings; it is a recipe file, too."""
        return self.path / "recipe.json"

    @property
    def splits(self) -> Path:
        """Patients by split, as `medsam2 evaluate --splits` reads them."""
        return self.path / "splits.json"

    @property
    def weights(self) -> Path:
        """The result: the weights that were best on the validation split; without one, the last, averaged."""
        return self.path / "weights.safetensors"

    @property
    def holds_run(self) -> bool:
        """Whether a run has begun here."""
        return self.log.exists() or self.state.exists()

    @contextmanager
    def owned(self) -> Iterator[None]:
        """Keep other processes from training here; a folder that is made for it and stays empty goes again.

        It is the operating system that locks, so that the lock ends with the process, however that ends.

        Raises:
            FormatError: another process trains here, or the folder cannot be written to.
        """
        made = [one for one in (self.path, *self.path.parents) if not one.exists()]
        lock = FileLock(self.path / LOCK)
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            lock.acquire(timeout=0)
        except Timeout as error:
            raise FormatError(
                f"{self.path}: another process is training in this folder; wait for its end, or choose another folder "
                "with -o"
            ) from error
        except OSError as error:
            raise self._unwritable(error) from error
        try:
            yield
        finally:
            lock.release()
            self._leave(made)

    def _leave(self, made: list[Path]) -> None:
        """Remove the folders that were made, from the innermost, if they hold nothing but the lock."""
        if made and {one.name for one in self.path.iterdir()} <= {LOCK}:
            (self.path / LOCK).unlink(missing_ok=True)
            with suppress(OSError):  # one that holds something else by now
                for folder in made:
                    folder.rmdir()

    def _unwritable(self, error: OSError) -> FormatError:
        return FormatError(f"{self.path}: cannot be written to ({error.strerror}); choose another folder")

    def check(self, weights_bytes: int) -> None:
        """Make the folder, write into it, and see that the disk has room.

        Args:
            weights_bytes: of one copy of the weights, in float32.

        Raises:
            FormatError: it cannot be written to, or the disk is too full.
        """
        try:
            with written_whole(self.path / ".written") as draft:
                draft.write_text("yes")
            (self.path / ".written").unlink()
        except OSError as error:
            raise self._unwritable(error) from error
        needed = (STATES_KEPT * COPIES_IN_STATE + COPIES_TO_SHIP) * weights_bytes
        free = shutil.disk_usage(self.path).free
        if free < needed:
            raise FormatError(
                f"{self.path}: the disk has {free / 1e6:.0f} MB left, the run needs {needed / 1e6:.0f} MB; "
                "make room or choose another folder"
            )

    def write_recipe(self, recipe: Recipe) -> None:
        """Write the recipe beside the result."""
        self._write(self.recipe, asdict(recipe))

    def write_splits(self, splits: dict[str, list[str]]) -> None:
        """Write which patients were trained on and chosen by."""
        self._write(self.splits, splits)

    @staticmethod
    def _write(path: Path, plain: Any) -> None:
        try:
            with written_whole(path) as draft:
                draft.write_text(json.dumps(plain, indent=2) + "\n", encoding="utf-8")
        except OSError as error:
            raise FormatError(f"{path}: cannot be written ({error.strerror})") from error
