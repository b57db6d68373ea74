"""`medsam2 segment`: one scan, some prompts, one label map."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from medsam2.cli.options import Debug, Device, Model, Quiet, Verbose
from medsam2.cli.output import Output
from medsam2.engine.volume_run import SegmentationResult, SegmentSettings
from medsam2.errors import FormatError, GeometryError, PromptError
from medsam2.io import check_output, read_label_map, read_volume, write_segmentation
from medsam2.prompts import (
    CoordinateSpace,
    ObjectPrompts,
    PromptSet,
    objects_from_label_map,
    parse_box,
    parse_point,
    prompts_from_json,
    prompts_to_json,
)
from medsam2.reporting import build_report, object_statistics, preview, result_table, write_preview, write_report
from medsam2.segmenter import DEFAULT_MODEL, Segmenter
from medsam2.spatial import Plane, Volume


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


def segment(
    input_file: Annotated[Path, typer.Option("-i", "--input", help="Scan: NIfTI, NRRD, MHA, PNG, JPEG, TIFF.")],
    output_file: Annotated[Path, typer.Option("-o", "--output", help="Label map to write, in the input's geometry.")],
    point: Annotated[
        list[str] | None,
        typer.Option(help="Click i,j,k[,label] (label 0: not here), or x,y[,label] on an image. Repeatable."),
    ] = None,
    box: Annotated[
        list[str] | None,
        typer.Option(help="Box i0,j0,k0,i1,j1,k1, inclusive, one slice thick; or x0,y0,x1,y1 on an image."),
    ] = None,
    mask: Annotated[
        list[Path] | None,
        typer.Option(help="Label map with one or more slices drawn; each value is an object. Repeatable."),
    ] = None,
    prompts: Annotated[Path | None, typer.Option(help="JSON file with the prompts of many objects.")] = None,
    space: Annotated[CoordinateSpace, typer.Option(help="What --point and --box count.")] = CoordinateSpace.VOXEL,
    name: Annotated[str | None, typer.Option(help="Name of the object of --point and --box.")] = None,
    model: Model = DEFAULT_MODEL,
    memory: Annotated[str, typer.Option(help="Memory policy: fifo or self-sorting.")] = "fifo",
    plane: Annotated[Plane | None, typer.Option(help="Slices to go through; by default, as the prompts say.")] = None,
    window: Annotated[
        str, typer.Option(help="Intensities shown: auto, a CT preset (abdomen, lung, ...), percentile, full, or W,L.")
    ] = "auto",
    size: Annotated[int | None, typer.Option(help="Side of the network's input; by default as it was trained.")] = None,
    patience: Annotated[int, typer.Option(help="Stop after this many slices without the object; 0: never.")] = 3,
    largest_component: Annotated[bool, typer.Option(help="Keep the largest connected part of each object.")] = False,
    fill_holes: Annotated[bool, typer.Option(help="Fill what an object encloses.")] = False,
    volume_index: Annotated[int | None, typer.Option(help="Which volume of a 4-D file, from 0.")] = None,
    statistics: Annotated[bool, typer.Option(help="Measure intensity and extent of each object.")] = False,
    report: Annotated[Path | None, typer.Option(help="JSON report to write.")] = None,
    preview_file: Annotated[Path | None, typer.Option("--preview", help="PNG picture of the result to write.")] = None,
    device: Device = "auto",
    quiet: Quiet = False,
    verbose: Verbose = False,
    debug: Debug = False,
) -> None:
    """Segment a scan from clicks, boxes or drawn slices: prompt one slice, get all of them."""
    settings = SegmentSettings(memory, plane, window, size, patience, largest_component, fill_holes)
    flags = PromptFlags(tuple(point or ()), tuple(box or ()), tuple(mask or ()), prompts, space, name)
    for file in (output_file, report, preview_file):
        if file is not None and file.exists() and file.samefile(input_file):
            raise FormatError(f"{file} is the input itself; choose another output")
    volume = read_volume(input_file, volume_index)
    check_output(volume, output_file)
    prompt_set = collect_prompts(flags, volume)
    out = Output(quiet, verbose)
    segmenter = Segmenter.from_pretrained(model, device)
    out.detail(f"{segmenter.card.name} on {segmenter.network.device}, {volume.geometry.describe()}")
    with out.progress("segmenting") as progress:
        result = segmenter.segment(volume, prompt_set, settings, progress)
    write_segmentation(result.segmentation, output_file)
    measured = object_statistics(volume, result.segmentation) if statistics else None
    if report is not None:
        told = prompts_to_json(prompt_set, lambda *_: flags.mask_source)
        write_report(build_report(result, volume, segmenter.describe(), told, measured, flags.other_files), report)
    if preview_file is not None:
        resolved = prompt_set.resolve(volume.geometry, plane)
        write_preview(preview(volume, result, resolved), preview_file)
    _tell(out, result, output_file)


def collect_prompts(flags: PromptFlags, volume: Volume) -> PromptSet:
    """All prompts of the command line as one set.

    Raises:
        PromptError: there is none, or two ways of giving them collide.
    """
    if flags.file is not None:
        if flags.points or flags.boxes or flags.masks:
            raise PromptError("prompts were given in --prompts and in other flags; give all of them in one place")
        return prompts_from_json(_read_json(flags.file), volume.geometry, _MaskLoader(volume, flags.file.parent))
    objects: list[ObjectPrompts] = []
    for path in flags.masks:
        objects += objects_from_label_map(_MaskLoader(volume, Path())(str(path)))
    if flags.points or flags.boxes:
        label = 1 + max((one.label for one in objects), default=0)
        points = tuple(parse_point(text, volume.geometry, flags.space) for text in flags.points)
        boxes = tuple(parse_box(text, volume.geometry, flags.space) for text in flags.boxes)
        objects.append(ObjectPrompts(flags.name or f"object {label}", label, points, boxes))
    if not objects:
        raise PromptError("no prompt was given; point at the object with --box, --point, --mask or --prompts")
    return PromptSet(tuple(objects))


class _MaskLoader:
    """Reads label maps that are prompts, relative to a folder, and checks that they lie on the volume's grid."""

    def __init__(self, volume: Volume, folder: Path) -> None:
        self.volume, self.folder = volume, folder

    def __call__(self, file: str) -> Any:
        path = self.folder / file
        drawn = read_label_map(path)
        if not drawn.geometry.same_grid(self.volume.geometry):
            raise GeometryError(
                f"{path}: the mask lies on {drawn.geometry.describe()}, the input on "
                f"{self.volume.geometry.describe()}; draw it on the input's own grid, with the same orientation"
            )
        return drawn.labels


def _read_json(path: Path) -> object:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise FormatError(f"{path}: cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise FormatError(f"{path}: is not JSON ({error})") from error


def _tell(out: Output, result: SegmentationResult, output_file: Path) -> None:
    for warning in result.warnings:
        out.warn(warning)
    out.table(result_table(result))
    out.say(f"wrote {output_file}")
