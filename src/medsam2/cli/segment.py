"""`medsam2 segment`: one scan, some prompts, one label map."""

from pathlib import Path
from typing import Annotated

import typer

from medsam2.cli.file_clashes import files_of, refuse_clashes
from medsam2.cli.options import (
    Debug,
    Device,
    Encoder,
    Memory,
    MemoryOption,
    MemorySeed,
    Model,
    Precision,
    Quiet,
    Verbose,
)
from medsam2.cli.output import Output
from medsam2.cli.prompt_flags import PromptFlags, collect_prompts
from medsam2.cli.report_flags import ReportFlags
from medsam2.cli.scan_flags import ScanFlags, end_cleanly, read_told
from medsam2.engine.volume_result import Fusion, SegmentationResult, SegmentSettings
from medsam2.errors import ConfigurationError
from medsam2.io import Algorithm, LabelFormat, check_output, write_segmentation
from medsam2.memory import MemoryOptions
from medsam2.prompts import CoordinateSpace
from medsam2.reporting import build_report, result_table
from medsam2.segmenter import DEFAULT_MODEL, Segmenter
from medsam2.spatial import Plane


def segment(
    *,
    input_file: Annotated[
        Path | None,
        typer.Option("-i", "--input", help="Scan: NIfTI, NRRD, MHA, PNG, JPEG, TIFF; DICOM as folder, zip or file."),
    ] = None,
    output_file: Annotated[Path, typer.Option("-o", "--output", help="Label map to write, in the input's geometry.")],
    as_format: Annotated[
        LabelFormat | None,
        typer.Option("--format", help="Write objects with their names; by default, what the output's suffix says."),
    ] = None,
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
    prompts: Annotated[
        Path | None, typer.Option(help="Prompts of many objects: JSON, or DICOM SEG, RTSTRUCT, lines or arrows.")
    ] = None,
    template: Annotated[
        Path | None, typer.Option(help="Another scan, on which the prompts lie; the same is found in the input.")
    ] = None,
    space: Annotated[CoordinateSpace, typer.Option(help="What --point and --box count.")] = CoordinateSpace.VOXEL,
    name: Annotated[str | None, typer.Option(help="Name of the object of --point and --box.")] = None,
    model: Model = DEFAULT_MODEL,
    memory: Memory = "fifo",
    memory_option: MemoryOption = None,
    memory_seed: MemorySeed = None,
    plane: Annotated[Plane | None, typer.Option(help="Slices to go through; by default, as the prompts say.")] = None,
    window: Annotated[
        str, typer.Option(help="Intensities shown: auto, a CT preset (abdomen, lung, ...), percentile, full, or W,L.")
    ] = "auto",
    size: Annotated[int | None, typer.Option(help="Side of the network's input; by default as it was trained.")] = None,
    patience: Annotated[int, typer.Option(help="Stop after this many slices without the object; 0: never.")] = 3,
    orientations: Annotated[
        str, typer.Option(help="Look at what was found in further planes and fuse: e.g. axial,coronal,sagittal.")
    ] = "",
    fusion: Annotated[Fusion, typer.Option(help="How planes become one: vote, or average (of logits).")] = "vote",
    interpolate: Annotated[
        bool, typer.Option(help="Between two drawn slices, add their shapes to what the network finds.")
    ] = True,
    largest_component: Annotated[bool, typer.Option(help="Keep the largest connected part of each object.")] = False,
    fill_holes: Annotated[bool, typer.Option(help="Fill what an object encloses.")] = False,
    volume_index: Annotated[
        int | None, typer.Option(help="Which volume of a 4-D file, or of a DICOM series of several, from 0.")
    ] = None,
    series: Annotated[str | None, typer.Option(help="Which DICOM series: its number, UID, or a UID's start.")] = None,
    dicomweb: Annotated[
        str | None, typer.Option(help="URL of a PACS (DICOMweb) that holds the series of --series; see docs/pacs.md.")
    ] = None,
    study: Annotated[str | None, typer.Option(help="UID of the series' study, for a PACS that needs it.")] = None,
    store: Annotated[bool, typer.Option("--store", help="Store the output (.dcm) in the PACS, too.")] = False,
    pacs_timeout: Annotated[float, typer.Option(help="Seconds that the PACS may be silent.")] = 60.0,
    statistics: Annotated[bool, typer.Option(help="Measure intensity and extent of each object.")] = False,
    report: Annotated[Path | None, typer.Option(help="JSON report to write.")] = None,
    html: Annotated[Path | None, typer.Option(help="HTML report with pictures to write, one file.")] = None,
    identify: Annotated[bool, typer.Option("--identify", help="Name the series by its UIDs in the reports.")] = False,
    preview_file: Annotated[Path | None, typer.Option("--preview", help="PNG picture of the result to write.")] = None,
    device: Device = "auto",
    precision: Precision = "auto",
    encoder: Encoder = "auto",
    quiet: Quiet = False,
    verbose: Verbose = False,
    debug: Debug = False,
) -> None:
    """Segment a scan from clicks, boxes or drawn slices: prompt one slice, get all of them."""
    settings = SegmentSettings(
        memory=memory,
        memory_options=MemoryOptions.parse(memory_option or ()),
        memory_seed=memory_seed,
        plane=plane,
        window=window,
        size=size,
        patience=patience,
        orientations=parse_planes(orientations),
        fusion=fusion,
        interpolate=interpolate,
        largest_component=largest_component,
        fill_holes=fill_holes,
    )
    flags = PromptFlags(tuple(point or ()), tuple(box or ()), tuple(mask or ()), prompts, space, name)
    scan = ScanFlags(
        input_file, output_file, as_format, volume_index, series, dicomweb, study, store, timeout=pacs_timeout
    )
    reports = ReportFlags(report, html, preview_file, statistics, identify)
    out = Output(quiet, verbose)
    pacs = scan.pacs()
    end_cleanly()
    volume = scan.read(pacs, out)
    prompted = volume if template is None else read_told(template, out)
    given = collect_prompts(flags, prompted, out.warn)
    read = [*files_of("input", volume), *files_of("template", prompted), *given.named_files, ("model", Path(model))]
    refuse_clashes(read, [("output", output_file), *reports.files])
    check_output(volume, output_file, as_format)
    reports.check_writable()
    segmenter = Segmenter.from_pretrained(model, device, precision, encoder)
    out.detail(f"{segmenter.card.name} on {segmenter.network.device}, {volume.geometry.describe()}")
    with out.progress("segmenting") as progress:
        if template is None:
            result = segmenter.segment(volume, given.prompts, settings, progress)
        else:
            result = segmenter.segment_like(volume, prompted, given.prompts, settings, progress)
    made_by = Algorithm(segmenter.card.name, automatic=template is not None)
    for lost in write_segmentation(result.segmentation, output_file, as_format, made_by):
        out.warn(lost)
    resolved = given.prompts.resolve(volume.geometry, plane) if template is None else []
    others = {role: file.name for role, file in given.files.items()}
    if template is not None and prompted.source is not None:
        others["template"] = prompted.source.name
    measured = reports.measured(volume, result)
    content = build_report(result, volume, segmenter.describe(), given.to_json(), measured, others)
    reports.write(content, volume, result, resolved)
    _tell(out, result, output_file)
    if store and pacs is not None:
        pacs.store(output_file)
        out.say("stored in the PACS")


def parse_planes(text: str) -> tuple[Plane, ...]:
    """Planes from a list with commas; none from an empty one.

    Raises:
        ConfigurationError: there is no such plane.
    """
    names = [name.strip() for name in text.split(",") if name.strip()]
    for name in names:
        if name not in list(Plane):
            raise ConfigurationError(f"there is no plane '{name}' in --orientations; expected {', '.join(Plane)}")
    return tuple(Plane(name) for name in names)


def _tell(out: Output, result: SegmentationResult, output_file: Path) -> None:
    for warning in result.warnings:
        out.warn(warning)
    out.table(result_table(result))
    out.say(f"wrote {output_file}")
