"""The prompts of a command line: flags, label maps and a JSON file, as one set."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medsam2.errors import FormatError, GeometryError, PromptError
from medsam2.io import read_label_map
from medsam2.prompts import (
    CoordinateSpace,
    ObjectPrompts,
    PromptSet,
    objects_from_label_map,
    parse_box,
    parse_point,
    prompts_from_json,
)
from medsam2.spatial import Volume


@dataclass(frozen=True)
class PromptFlags:
    """The prompts as they were typed."""

    points: tuple[str, ...]
    boxes: tuple[str, ...]
    masks: tuple[Path, ...]
    file: Path | None
    space: CoordinateSpace
    name: str | None

    @property
    def mask_source(self) -> str:
        """What the report says of where drawn masks came from."""
        return ", ".join(path.name for path in self.masks) or str(self.file and self.file.name)

    @property
    def other_files(self) -> dict[str, Path]:
        """The files that were read beside the scan, by their role."""
        named = {f"mask {number}": path for number, path in enumerate(self.masks, start=1)}
        return named if self.file is None else {**named, "prompts": self.file}


def collect_prompts(flags: PromptFlags, volume: Volume) -> PromptSet:
    """All prompts of the command line as one set.

    Raises:
        PromptError: there is none, or two ways of giving them collide.
    """
    if flags.file is not None:
        if flags.points or flags.boxes or flags.masks:
            raise PromptError("prompts were given in --prompts and in other flags; give all of them in one place")
        return prompts_from_json(read_json(flags.file), volume.geometry, MaskLoader(volume, flags.file.parent))
    objects: list[ObjectPrompts] = []
    for path in flags.masks:
        objects += objects_from_label_map(MaskLoader(volume, Path())(str(path)))
    if flags.points or flags.boxes:
        label = 1 + max((one.label for one in objects), default=0)
        points = tuple(parse_point(text, volume.geometry, flags.space) for text in flags.points)
        boxes = tuple(parse_box(text, volume.geometry, flags.space) for text in flags.boxes)
        objects.append(ObjectPrompts(flags.name or f"object {label}", label, points, boxes))
    if not objects:
        raise PromptError("no prompt was given; point at the object with --box, --point, --mask or --prompts")
    return PromptSet(tuple(objects))


class MaskLoader:
    """Reads label maps that are prompts, relative to a folder, and checks that they lie on the volume's grid."""

    def __init__(self, volume: Volume, folder: Path) -> None:
        self.volume, self.folder = volume, folder

    def __call__(self, file: str) -> Any:
        """The labels of a file, (D, H, W)."""
        path = self.folder / file
        drawn = read_label_map(path)
        if not drawn.geometry.same_grid(self.volume.geometry):
            raise GeometryError(
                f"{path}: the mask lies on {drawn.geometry.describe()}, the input on "
                f"{self.volume.geometry.describe()}; draw it on the input's own grid, with the same orientation"
            )
        return drawn.labels


def read_json(path: Path) -> object:
    """What a JSON file holds.

    Raises:
        FormatError: it cannot be read, or is not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise FormatError(f"{path}: cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise FormatError(f"{path}: is not JSON ({error})") from error
