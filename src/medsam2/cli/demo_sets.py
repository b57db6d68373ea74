"""`medsam2 demo oneprompt`: sets of pictures, each from one drawn mask on one of them."""

from collections.abc import Mapping
from pathlib import Path
from statistics import mean

from rich.box import SIMPLE_HEAD
from rich.table import Table

from medsam2.cli.output import Output
from medsam2.engine.set_result import SetSettings
from medsam2.engine.set_run import SetRun
from medsam2.evaluation.picture_sets import PICTURE_SETS, PictureScore, PictureSet, picture_scores, with_retouched
from medsam2.io import write_segmentation
from medsam2.prompts import prompts_to_json
from medsam2.prompts.prompt_types import MaskArray
from medsam2.reporting import ContactSheet, build_set_report, write_image_table, write_preview, write_report
from medsam2.segmenter import Segmenter


def demo_sets(output: Path, segmenter: Segmenter, out: Output) -> None:
    """Segment each set, compare it with the copied mask of its template, and write what `medsam2 oneprompt` writes.

    Args:
        output: folder; each set has one of its own in it.
        segmenter: that does it.
        out: to speak to.
    """
    for name, make in PICTURE_SETS.items():
        pictures = with_retouched(make())
        out.say(f"{name}: {len(pictures.images)} pictures; the {pictures.object_name} drawn on {pictures.template}")
        found, seconds = segment_pictures(pictures, output / name, segmenter, out)
        scores = picture_scores(pictures, found)
        out.table(score_table(scores))
        out.say(f"{summary(scores)}, {seconds:.1f} s")
        out.say(f"{absence(pictures, found)}\n")
    folders = ", ".join(PICTURE_SETS)
    out.say(f"wrote {output}/({folders}): label maps, contact_sheet.png. Research software, not a medical device.")


def segment_pictures(
    pictures: PictureSet, folder: Path, segmenter: Segmenter, out: Output
) -> tuple[dict[str, MaskArray], float]:
    """Find on all pictures what is drawn on the template.

    Returns:
        Masks by picture, and the seconds that it took.
    """
    run = SetRun(segmenter.network, pictures.images, {pictures.template: pictures.prompts}, SetSettings())
    sheet = ContactSheet(len(run.images), [run.images.position(pictures.template)], run.names)
    found, label_maps = {}, {image.name: f"{image.name}.png" for image in pictures.images}
    with out.progress("segmenting") as progress:
        for mask in run.stream(progress):
            sheet.add(mask, run.prompts_on(mask.position))
            if mask.segmentation is not None:
                write_segmentation(mask.segmentation, folder / label_maps[mask.name])
                found[mask.name] = mask.segmentation.labels == 1
    result = run.result()
    told = {pictures.template: prompts_to_json(pictures.prompts, lambda *_: "the reference")}
    write_preview(sheet.image(), folder / "contact_sheet.png")
    write_image_table(result, folder / "images.csv", label_maps)
    write_report(build_set_report(result, segmenter.describe(), told, label_maps), folder / "report.json")
    return found, result.seconds


def summary(scores: list[PictureScore]) -> str:
    """How well the object was found, in a sentence."""
    better = sum(one.dice > one.copied for one in scores)
    return (
        f"mean Dice {mean(one.dice for one in scores):.3f}, copied mask {mean(one.copied for one in scores):.3f}; "
        f"better on {better} of {len(scores)} pictures"
    )


def absence(pictures: PictureSet, found: Mapping[str, MaskArray]) -> str:
    """On how many pictures something was found that is not there, in a sentence."""
    nothing = [name for name, truth in pictures.truths.items() if not truth.any()]
    marked = [name for name in nothing if found[name].any()]
    named = f" ({', '.join(marked)})" if marked else ""
    return f"{pictures.object_name} taken away on {len(nothing)} pictures; found all the same on {len(marked)}{named}"


def score_table(scores: list[PictureScore]) -> Table:
    """Dice of each picture, beside that of the copied mask."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("picture", min_width=10)
    for heading in ("Dice", "copied mask"):
        table.add_column(heading, justify="right", no_wrap=True)
    for one in scores:
        table.add_row(one.name, f"{one.dice:.2f}", f"{one.copied:.2f}")
    return table
