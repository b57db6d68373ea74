"""The prompts of a command line: flags, label maps and a JSON file, as one set."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from medsam2.errors import FormatError, GeometryError, PromptError
from medsam2.io import is_dicom, read_annotations, read_label_map
from medsam2.prompts import (
    CoordinateSpace,
    ObjectPrompts,
    PromptSet,
    annotated_object,
    apart,
    objects_from_label_map,
    parse_box,
    parse_point,
    prompts_from_json,
)
from medsam2.spatial import LabelArray, Segmentation, Volume, place_labels


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
        return ", ".join(path.name for path in self.masks) or self.file_name

    @property
    def file_name(self) -> str:
        """What the report calls the file of prompts: DICOM files are often named after a patient."""
        if self.file is None:
            return ""
        return "DICOM annotations" if is_dicom(self.file) else self.file.name

    @property
    def other_files(self) -> dict[str, Path]:
        """The files that were read beside the scan, by their role."""
        named = {f"mask {number}": path for number, path in enumerate(self.masks, start=1)}
        return named if self.file is None else {**named, "prompts": Path(self.file_name)}


def collect_prompts(flags: PromptFlags, volume: Volume, warn: Callable[[str], None] | None = None) -> PromptSet:
    """All prompts of the command line as one set.

    Args:
        flags: as typed.
        volume: the scan they are for.
        warn: told what of a file of annotations cannot be used.

    Raises:
        PromptError: there is none, or two ways of giving them collide.
    """
    if flags.file is not None:
        if flags.points or flags.boxes or flags.masks:
            raise PromptError("prompts were given in --prompts and in other flags; give all of them in one place")
        if is_dicom(flags.file):
            return annotated_prompts(flags.file, volume, flags.name, warn)
        return prompts_from_json(read_json(flags.file), volume.geometry, MaskLoader(volume, flags.file.parent))
    objects: list[ObjectPrompts] = []
    for path in flags.masks:
        drawn = read_label_map(path)
        objects += objects_from_label_map(placed(drawn, volume, path), drawn.names)
    if flags.points or flags.boxes:
        label = 1 + max((one.label for one in objects), default=0)
        points = tuple(parse_point(text, volume.geometry, flags.space) for text in flags.points)
        boxes = tuple(parse_box(text, volume.geometry, flags.space) for text in flags.boxes)
        objects.append(ObjectPrompts(flags.name or f"object {label}", label, points, boxes))
    if not objects:
        raise PromptError("no prompt was given; point at the object with --box, --point, --mask or --prompts")
    return PromptSet(tuple(objects))


def annotated_prompts(
    path: Path, volume: Volume, name: str | None = None, warn: Callable[[str], None] | None = None
) -> PromptSet:
    """What was drawn on a DICOM series before, as prompts.

    Args:
        path: DICOM SEG, RTSTRUCT, presentation state or structured report.
        volume: the series.
        name: of the object, if there is only one; None: as the file calls it.
        warn: told what cannot be used.

    Raises:
        FormatError: see `medsam2.io.read_annotations`.
        GeometryError: see `medsam2.io.read_annotations`.
        PromptError: a drawing cannot be a prompt.
    """
    file = read_annotations(path, volume)
    if warn is not None:
        for note in file.notes:
            warn(note)
    found = file.annotations
    names = [name or found[0].name] if len(found) == 1 else [one.name for one in found]
    objects = (
        annotated_object(title, label, volume.geometry, one.mask, one.diameters, one.points)
        for one, (title, label) in zip(found, apart(names, [one.number for one in found]), strict=True)
    )
    return PromptSet(tuple(objects))


class MaskLoader:
    """Reads label maps that are prompts, relative to a folder, and lays them onto the volume's grid."""

    def __init__(self, volume: Volume, folder: Path) -> None:
        self.volume, self.folder = volume, folder

    def __call__(self, file: str) -> LabelArray:
        """The labels of a file, (D, H, W)."""
        path = self.folder / file
        return placed(read_label_map(path), self.volume, path)


def placed(drawn: Segmentation, volume: Volume, path: Path) -> LabelArray:
    """The labels of a map on a volume's grid, (D, H, W).

    Raises:
        GeometryError: its voxels are not those of the volume.
    """
    try:
        return place_labels(drawn.labels, drawn.geometry, volume.geometry)
    except GeometryError as error:
        raise GeometryError(f"{path}: {error}") from error


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
