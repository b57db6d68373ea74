"""`medsam2 demo`: twelve organs of a real CT, each from one box on one slice; or sets of pictures, see `demo_sets`."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray

from medsam2.cli.demo_sets import demo_sets
from medsam2.cli.options import Debug, Device, Model, Quiet, Verbose
from medsam2.cli.output import Output
from medsam2.engine.volume_result import SegmentationResult
from medsam2.examples import ExampleCase, example_case
from medsam2.io import read_label_map, read_volume, write_segmentation
from medsam2.metrics import dice
from medsam2.prompts import BoxPrompt, ObjectPrompts, PromptSet, prompts_to_json
from medsam2.reporting import build_report, object_statistics, preview, result_table, write_preview, write_report
from medsam2.segmenter import DEFAULT_MODEL, Segmenter
from medsam2.spatial import Segmentation

CASE = "ct_abdomen_pelvis"
ORGANS = (
    "spleen",
    "kidney_right",
    "kidney_left",
    "gallbladder",
    "liver",
    "stomach",
    "pancreas",
    "urinary_bladder",
    "aorta",
    "inferior_vena_cava",
    "sacrum",
    "hip_left",
)


class Demo(StrEnum):
    """What can be shown."""

    VOLUME = "volume"
    ONEPROMPT = "oneprompt"


def demo(
    what: Annotated[
        Demo, typer.Argument(help="volume: organs of a CT, a box each; oneprompt: sets of pictures, one prompted each.")
    ] = Demo.VOLUME,
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for the results.")] = Path("demo-output"),
    model: Model = DEFAULT_MODEL,
    device: Device = "auto",
    quiet: Quiet = False,
    verbose: Verbose = False,
    debug: Debug = False,
) -> None:
    """Segment what comes with the package: twelve organs of a real CT, each from one box, or sets of pictures."""
    out = Output(quiet, verbose)
    if what is Demo.ONEPROMPT:
        demo_sets(output / "oneprompt", Segmenter.from_pretrained(model, device), out)
    else:
        demo_volume(output, model, device, out)


def demo_volume(output: Path, model: str, device: str, out: Output) -> None:
    """Segment twelve organs of a real CT, each from one box on one slice, beside the frozen mask."""
    case = example_case(CASE)
    volume, reference = read_volume(case.image), read_label_map(case.labels)
    prompts = boxes_on_largest_slices(case, reference)
    segmenter = Segmenter.from_pretrained(model, device)
    out.say(f"{CASE}: {volume.geometry.describe()}; one box on one axial slice for each of {len(ORGANS)} organs")
    with out.progress("segmenting") as progress:
        result = segmenter.segment(volume, prompts, progress=progress)
    _write(output, segmenter, result, prompts, reference)
    scores, baseline = compare(result, reference, prompts)
    out.table(result_table(result, dice=scores, baseline=baseline))
    better = sum(scores[label] > baseline[label] for label in scores)
    out.say(
        f"mean Dice {np.mean(list(scores.values())):.3f}, frozen mask {np.mean(list(baseline.values())):.3f}; "
        f"better on {better} of {len(scores)} organs, {result.seconds:.1f} s"
    )
    out.say(f"wrote {output}/segmentation.nii.gz, preview.png, report.json. Research software, not a medical device.")


def boxes_on_largest_slices(case: ExampleCase, reference: Segmentation) -> PromptSet:
    """A tight box around each organ on the axial slice where it is largest, as a user would draw it."""
    labels = {name: label for label, name in case.names.items()}
    objects = []
    for name in ORGANS:
        mask = reference.mask(labels[name])
        k = prompted_slice(mask)
        j, i = (np.flatnonzero(mask[k].any(axis)) for axis in (1, 0))
        box = BoxPrompt(int(i[0]), int(j[0]), k, int(i[-1]), int(j[-1]), k)
        objects.append(ObjectPrompts(name, labels[name], boxes=(box,)))
    return PromptSet(tuple(objects))


def prompted_slice(mask: NDArray[np.bool_]) -> int:
    """The slice k of a mask (D, H, W) where it is largest."""
    return int(mask.sum(axis=(1, 2)).argmax())


def compare(
    result: SegmentationResult, reference: Segmentation, prompts: PromptSet
) -> tuple[dict[int, float], dict[int, float]]:
    """Dice of each organ, and of the frozen mask.

    The frozen mask is the reference's own mask of the prompted slice, repeated on every slice that the reference's
    organ spans: a perfect slice and a perfect extent, and nothing learnt.
    """
    scores, baseline = {}, {}
    for one in prompts.objects:
        truth = reference.mask(one.label)
        frozen = np.zeros_like(truth)
        frozen[truth.any(axis=(1, 2))] = truth[prompted_slice(truth)]
        scores[one.label] = dice(result.segmentation.mask(one.label), truth)
        baseline[one.label] = dice(frozen, truth)
    return scores, baseline


def _write(
    folder: Path, segmenter: Segmenter, result: SegmentationResult, prompts: PromptSet, reference: Segmentation
) -> None:
    case = example_case(CASE)
    volume = read_volume(case.image)
    write_segmentation(result.segmentation, folder / "segmentation.nii.gz")
    picture = preview(volume, result, prompts.resolve(volume.geometry), reference)
    write_preview(picture, folder / "preview.png")
    statistics = object_statistics(volume, result.segmentation)
    report = build_report(result, volume, segmenter.describe(), prompts_to_json(prompts), statistics)
    write_report(report, folder / "report.json")
