"""`medsam2 oneprompt`: one image of a set is prompted, and the same is found on all the others."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any

import typer

from medsam2.cli.file_clashes import refuse_clashes
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
from medsam2.cli.prompt_flags import GivenPrompts, PromptFlags, collect_prompts, read_json, written_prompts
from medsam2.cli.set_folder import COCO, REPORT, SHEET, TABLE, SetFolder, SetFormat, run_identity
from medsam2.engine.set_log import SetLog
from medsam2.engine.set_result import SetResult, SetSettings
from medsam2.engine.set_run import SetRun
from medsam2.errors import FormatError, InputError, PromptError
from medsam2.frames import image_view
from medsam2.io import ImageFile, find_images
from medsam2.io.atomic import check_writable
from medsam2.memory import MemoryOptions
from medsam2.prompts import CoordinateSpace
from medsam2.reporting import (
    ContactSheet,
    build_set_report,
    set_table,
    write_image_table,
    write_preview,
    write_report,
)
from medsam2.reporting.contact_sheet import shown_images
from medsam2.segmenter import DEFAULT_MODEL, Segmenter

MOST_NAMED = 5
"""Images that the last line names, of those that could not be used."""

Templates = dict[ImageFile, GivenPrompts]


def oneprompt(
    images: Annotated[
        list[Path],
        typer.Argument(help="The set: a folder, or files; PNG, JPEG, TIFF (each page an image), NIfTI, NRRD, MHA."),
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for the label maps, table, picture, report.")],
    template: Annotated[
        list[str] | None,
        typer.Option(help="The prompted image: its path, or its name in the set; a page is stack.tif:PAGE, from 0."),
    ] = None,
    point: Annotated[
        list[str] | None, typer.Option(help="Click x,y[,label] on the template (label 0: not here). Repeatable.")
    ] = None,
    box: Annotated[list[str] | None, typer.Option(help="Box x0,y0,x1,y1 on the template, inclusive.")] = None,
    mask: Annotated[
        list[Path] | None, typer.Option(help="Label map of the template; each value is an object. Repeatable.")
    ] = None,
    prompts: Annotated[
        Path | None, typer.Option(help='JSON file with many objects; "image" tells an object\'s template.')
    ] = None,
    name: Annotated[str | None, typer.Option(help="Name of the object of --point and --box.")] = None,
    format_: Annotated[
        SetFormat, typer.Option("--format", help=f"coco: also write all objects into one {COCO}.")
    ] = SetFormat.MAPS,
    instances: Annotated[bool, typer.Option(help="Number the connected parts of each image's objects 1..n.")] = False,
    model: Model = DEFAULT_MODEL,
    memory: Memory = "self-sorting",
    memory_option: MemoryOption = None,
    memory_seed: MemorySeed = None,
    window: Annotated[
        str, typer.Option(help="Intensities shown: auto (each image by itself), a CT preset, percentile, full, or W,L.")
    ] = "auto",
    size: Annotated[int | None, typer.Option(help="Side of the network's input; by default as it was trained.")] = None,
    least_confidence: Annotated[
        float, typer.Option(help="Leave out masks of which the network is less sure, 0 to 1.")
    ] = SetSettings.least_confidence,
    device: Device = "auto",
    precision: Precision = "auto",
    encoder: Encoder = "auto",
    quiet: Quiet = False,
    verbose: Verbose = False,
    debug: Debug = False,
) -> None:
    """Segment a set of images from one prompted image, the template; their order changes nothing.

    A run that was interrupted goes on where it was if it is started again with the same flags.
    """
    out = Output(quiet, verbose)
    settings = SetSettings(
        memory, MemoryOptions.parse(memory_option or ()), memory_seed, window, size, instances, least_confidence
    )
    flags = PromptFlags(tuple(point or ()), tuple(box or ()), tuple(mask or ()), prompts, CoordinateSpace.VOXEL, name)
    found = find_images(images)
    templates = collect_templates(flags, template or (), found)
    found += [image for image in templates if image not in found]
    folder = SetFolder(output, found, name_label_maps(found, output))
    read = [("image", image.path) for image in found] + [("model", Path(model))]
    read += [file for one in templates.values() for file in one.named_files]
    refuse_clashes(read, folder.files)
    folder.refuse_strangers()
    check_writable(output / REPORT)
    segmenter = Segmenter.from_pretrained(model, device, precision, encoder)
    prompted = {image.name: one.prompts for image, one in templates.items()}
    log = folder.log(run_identity(segmenter.describe(), asdict(settings), prompted, found))
    run = SetRun(segmenter.network, found, prompted, settings, log)
    out.detail(f"{segmenter.card.name} on {segmenter.network.device}, {len(found)} images")
    if log.is_new:
        folder.clear_results()
    else:
        out.say(f"going on after {log.count} images of {len(found)} that are done")
    _segment(run, folder, log, out)
    result = _without_folders(run.result(), found)
    told = {image.name: one.to_json() for image, one in templates.items()}
    if format_ is SetFormat.COCO:
        folder.write_coco(result, segmenter.card.name)
    write_image_table(result, output / TABLE, folder.label_maps)
    write_report(build_set_report(result, segmenter.describe(), told, folder.label_maps), output / REPORT)
    log.remove()
    _tell(out, result, output, (TABLE, SHEET, REPORT, *([COCO] if format_ is SetFormat.COCO else [])))


def collect_templates(flags: PromptFlags, texts: Sequence[str], images: Sequence[ImageFile]) -> Templates:
    """The prompts of the command line, by the image that they are on.

    Args:
        flags: the prompts.
        texts: what was given as templates.
        images: the set.

    Raises:
        PromptError: no template is named, one has no prompt, or prompts are given in two ways.
        FormatError: a template or another file cannot be read.
        InputError: a template is not one image.
    """
    named = list(dict.fromkeys(choose_image(text, images) for text in texts))
    if flags.file is None:
        if len(named) != 1:
            raise PromptError(
                f"{len(named)} templates were named; expected one, with --template IMAGE. "
                'Several are prompted in a file, --prompts FILE, with an "image" for each object'
            )
        return {named[0]: _read_prompts(named[0], flags)}
    if flags.points or flags.boxes or flags.masks:
        raise PromptError("prompts were given in --prompts and in other flags; give all of them in one place")
    content = split_by_image(read_json(flags.file), named, lambda text: choose_image(text, images, flags.file))
    return {image: _read_prompts(image, flags, part) for image, part in content.items()}


def choose_image(text: str, images: Sequence[ImageFile], beside: Path | None = None) -> ImageFile:
    """The image that a text means: by path or name in the set, else a file that is to join the set.

    Args:
        text: path or name; a page of a TIFF has its number after a colon.
        images: the set.
        beside: a file to whose folder the path is relative; None: the working folder.

    Raises:
        FormatError: there is no such image.
        InputError: it has several pages.
    """
    path = Path(text) if beside is None else beside.parent / text
    file = _page_of(path)
    known = [image for image in images if file and _place(image) == _place(file)]
    known += [image for image in images if image.name == text]
    if known:
        return known[0]
    if file is not None:
        return file
    near = get_close_matches(text, [image.name for image in images], 1)
    hint = f"; did you mean '{near[0]}'?" if near else ""
    raise FormatError(f"template '{text}' is neither a file nor the name of one of the {len(images)} images{hint}")


def _page_of(path: Path) -> ImageFile | None:
    """The image at a path, or the page of a stack that is named stack.tif:PAGE; None if there is none."""
    file, _, number = path.name.rpartition(":")
    if path.exists():
        pages = find_images([path])
        if len(pages) > 1:
            raise InputError(f"template {path} holds {len(pages)} images; name one of them, e.g. '{pages[0].name}'")
        return pages[0]
    stack = path.with_name(file) if file and number.isdecimal() else None
    if stack is None or not stack.is_file():
        return None
    pages = find_images([stack])
    if int(number) >= len(pages):
        raise InputError(f"template {path}: {stack} has no page {number}; expected 0..{len(pages) - 1}")
    return pages[int(number)]


def _place(image: ImageFile) -> tuple[Path, int | None]:
    return image.path.resolve(), image.page


def split_by_image(
    content: Any, named: Sequence[ImageFile], choose: Callable[[str], ImageFile]
) -> dict[ImageFile, Any]:
    """Part what a prompts file holds by the "image" of its objects, which the reader of prompts does not know.

    Args:
        content: what a JSON parser returned.
        named: the templates that were named; objects without "image" are on the only one.
        choose: finds the image that a text means.

    Raises:
        PromptError: it is not clear which image an object is on, an object on several templates has no label, or a
            template has no object.
    """
    objects = content.get("objects") if isinstance(content, dict) else None
    if not isinstance(objects, list) or not all(isinstance(item, dict) for item in objects):
        # What is wrong is for the reader of prompts to say.
        return {_image_of({}, 0, named, choose): content}
    parts: dict[ImageFile, list[Any]] = {}
    for number, item in enumerate(objects):
        own = {key: value for key, value in item.items() if key != "image"}
        parts.setdefault(_image_of(item, number, named, choose), []).append(own)
    if len(parts) > 1 and not all("label" in item for item in objects):
        raise PromptError('an object has no "label"; on several templates it is the label that tells which is which')
    unprompted = [image.name for image in named if image not in parts]
    if unprompted:
        raise PromptError(f'template {unprompted[0]} has no prompt; name it as the "image" of an object')
    return {image: {**content, "objects": part} for image, part in parts.items()}


def _image_of(
    item: Mapping[str, Any], number: int, named: Sequence[ImageFile], choose: Callable[[str], ImageFile]
) -> ImageFile:
    if "image" not in item:
        if len(named) != 1:
            raise PromptError(
                f'objects[{number}] has no "image" and {len(named)} templates were named; '
                "say which image its prompts are on, or name one --template"
            )
        return named[0]
    if not isinstance(item["image"], str):
        raise PromptError(f"objects[{number}].image: {item['image']!r}; expected a text, the path or name of an image")
    return choose(item["image"])


def name_label_maps(images: Sequence[ImageFile], output: Path) -> dict[str, str]:
    """Name the label map of each image, by the image's name.

    Raises:
        InputError: two would have one name.
        FormatError: they would lie among the images.
    """
    if any(image.path.resolve().parent == output.resolve() for image in images):
        raise FormatError(f"{output} is the folder of the images themselves; choose another output")
    taken: dict[str, str] = {SHEET: "the contact sheet"}
    for image in images:
        # Some file systems do not tell a.png from A.png.
        other = taken.setdefault(image.label_map_name.casefold(), str(image.path))
        if other != str(image.path) or image.label_map_name.casefold() == SHEET:
            raise InputError(
                f"{image.path} and {other} would both become {output / image.label_map_name}; "
                "rename one of them, or segment them in two runs"
            )
    return {image.name: image.label_map_name for image in images}


def _read_prompts(image: ImageFile, flags: PromptFlags, content: Any = None) -> GivenPrompts:
    """The prompts on a template: of the flags, or of its part of the prompts file."""
    volume = image.read()
    image_view(volume.geometry, str(image.path))
    if flags.file is None:
        return collect_prompts(flags, volume)
    try:
        return written_prompts(content, flags.file, volume)
    except PromptError as error:
        raise PromptError(f"{flags.file.name}, on {image.name}: {error}") from error


def _segment(run: SetRun, folder: SetFolder, log: SetLog, out: Output) -> None:
    """Write each label map as its image is done, and at the end the picture of all."""
    templates = [run.images.position(name) for name in run.templates]
    shown = set(shown_images(len(run.images), templates))
    sheet = ContactSheet(len(run.images), templates, {} if run.settings.instances else run.names)
    with out.progress("segmenting") as progress:
        for mask in run.stream(progress):
            folder.write(mask)
            if mask.failure is not None:
                out.warn(mask.failure)
            elif mask.segmentation is not None:
                log.add(mask)
            sheet.add(folder.with_pixels(mask) if mask.position in shown else mask, run.prompts_on(mask.position))
    write_preview(sheet.image(), folder.path / SHEET)


def _without_folders(result: SetResult, images: Sequence[ImageFile]) -> SetResult:
    """The result without the folders that messages of failures name: the table and the report are passed on."""
    paths = {image.name: image.path for image in images}
    told = [
        replace(one, failure=one.failure and one.failure.replace(str(paths[one.name]), paths[one.name].name))
        for one in result.images
    ]
    return replace(result, images=tuple(told))


def _tell(out: Output, result: SetResult, output: Path, files: Sequence[str]) -> None:
    """Say what was found.

    Raises:
        FormatError: images could not be used.
    """
    for warning in result.warnings:
        out.warn(warning)
    out.table(set_table(result))
    done, failed = len(result.images) - len(result.failures), [one.name for one in result.failures]
    out.say(f"wrote {output}: {done} label maps, {', '.join(files)}")
    if failed:
        named = ", ".join(failed[:MOST_NAMED]) + (", ..." if len(failed) > MOST_NAMED else "")
        raise FormatError(
            f"{len(failed)} of {len(result.images)} images could not be used: {named}; all others are done"
        )
