"""The prompts of a command line: flags, label maps and a JSON file, as one set."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medsam2.cli.file_clashes import NamedFile
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
    prompts_to_json,
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


@dataclass(frozen=True)
class PromptFile:
    """A file that prompts were read from.

    Attributes:
        path: where it is.
        name: what the report calls it: files and folders of DICOM are often named after a patient.
    """

    path: Path
    name: str


@dataclass(frozen=True)
class GivenPrompts:
    """The prompts of a command line, and where they came from.

    Attributes:
        prompts: of all objects.
        drawn_in: the file of each mask, object by object.
        file: of `--prompts`; None if there was none.
    """

    prompts: PromptSet
    drawn_in: tuple[PromptFile, ...]
    file: PromptFile | None = None

    @property
    def files(self) -> dict[str, PromptFile]:
        """The files that were read, by the role they played."""
        masks = [one for one in dict.fromkeys(self.drawn_in) if one != self.file]
        named = {f"mask {number}": one for number, one in enumerate(masks, start=1)}
        return named if self.file is None else {**named, "prompts": self.file}

    @property
    def named_files(self) -> list[NamedFile]:
        """The same for `refuse_clashes`."""
        return [(role, file.path) for role, file in self.files.items()]

    def to_json(self) -> dict[str, Any]:
        """What the report says of the prompts; of a mask, the name of its file."""
        masks = [mask for one in self.prompts.objects for mask in one.masks]
        names = {mask: file.name for mask, file in zip(masks, self.drawn_in, strict=True)}
        return prompts_to_json(self.prompts, lambda one, number: names[one.masks[number]])


def collect_prompts(flags: PromptFlags, volume: Volume, warn: Callable[[str], None] | None = None) -> GivenPrompts:
    """All prompts of the command line.

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
        return written_prompts(read_json(flags.file), flags.file, volume)
    masks = MaskLoader(volume)
    objects = [one for path in flags.masks for one in masks.objects(path)]
    if flags.points or flags.boxes:
        label = 1 + max((one.label for one in objects), default=0)
        points = tuple(parse_point(text, volume.geometry, flags.space) for text in flags.points)
        boxes = tuple(parse_box(text, volume.geometry, flags.space) for text in flags.boxes)
        objects.append(ObjectPrompts(flags.name or f"object {label}", label, points, boxes))
    if not objects:
        raise PromptError("no prompt was given; point at the object with --box, --point, --mask or --prompts")
    return GivenPrompts(PromptSet(tuple(objects)), tuple(masks.files))


def written_prompts(content: object, path: Path, volume: Volume) -> GivenPrompts:
    """The prompts of a JSON file, and of the label maps that it names.

    Args:
        content: what a JSON parser returned.
        path: of the file; names of label maps are relative to its folder.
        volume: the scan they are for.

    Raises:
        PromptError: see `medsam2.prompts.prompts_from_json`.
        FormatError: a label map cannot be read.
        GeometryError: a label map does not fit the scan.
    """
    masks = MaskLoader(volume, path.parent)
    prompts = prompts_from_json(content, volume.geometry, masks)
    return GivenPrompts(prompts, tuple(masks.files), PromptFile(path, path.name))


def annotated_prompts(
    path: Path, volume: Volume, name: str | None = None, warn: Callable[[str], None] | None = None
) -> GivenPrompts:
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
    objects = [
        annotated_object(title, label, volume.geometry, one.mask, one.diameters, one.points)
        for one, (title, label) in zip(found, apart(names, [one.number for one in found]), strict=True)
    ]
    source = PromptFile(path, "DICOM annotations")
    return GivenPrompts(PromptSet(tuple(objects)), tuple(source for one in objects for _ in one.masks), source)


class MaskLoader:
    """Reads label maps that are prompts, lays them onto the volume's grid, and notes the file of each mask.

    Args:
        volume: the scan they are for.
        folder: which the names of files are relative to.

    Attributes:
        files: of each mask, as they were read.
    """

    def __init__(self, volume: Volume, folder: Path = Path()) -> None:
        self.volume, self.folder = volume, folder
        self.files: list[PromptFile] = []

    def __call__(self, file: str) -> LabelArray:
        """The labels of a file that is one mask, (D, H, W)."""
        path = self.folder / file
        drawn = read_label_map(path)
        self._note(path, drawn, 1)
        return placed(drawn, self.volume, path)

    def objects(self, path: Path) -> list[ObjectPrompts]:
        """The objects of a label map, each with one mask."""
        drawn = read_label_map(path)
        objects = objects_from_label_map(placed(drawn, self.volume, path), drawn.names)
        self._note(path, drawn, len(objects))
        return objects

    def _note(self, path: Path, drawn: Segmentation, masks: int) -> None:
        name = path.name if drawn.source is None else drawn.source.name
        self.files += [PromptFile(path, name)] * masks


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
