"""How good weights are on the validation split, used as a user would: volumes from a box, sets from one picture."""

from collections.abc import Iterator, Sequence

import numpy as np

from medsam2.datasets import Case, CaseSet, CaseSource
from medsam2.engine.set_result import SetSettings
from medsam2.engine.set_run import SetRun
from medsam2.engine.volume_result import SegmentSettings
from medsam2.engine.volume_run import VolumeRun
from medsam2.frames import NamedVolume
from medsam2.metrics import SliceOverlap, dice
from medsam2.network import Sam2Network
from medsam2.prompts import BoxPrompt, MaskPrompt, ObjectPrompts, PromptSet
from medsam2.prompts.simulation import box_around
from medsam2.training.recipe import Recipe

PICTURES_OF_A_SET = 16
"""At most, spread over those to choose by: a trial of one-prompt segmentation takes each picture three times through
the network."""


def trial(
    network: Sam2Network, sources: Sequence[CaseSource], recipe: Recipe, share: tuple[int, int] = (0, 1)
) -> Iterator[float]:
    """Dice of one structure after another, [0, 1].

    Pictures without an order are a set that is prompted once if the weights are for sets (`Recipe.for_sets`); else each
    is prompted.

    Args:
        network: in evaluation mode.
        sources: the cases; each is read once.
        recipe: says how many structures of a case, and which intensities are shown.
        share: number of this process and of all; each tries its part of the cases, the first one a set as a whole.
    """
    rank, count = share
    if recipe.for_sets and len(sources) > 1:
        if rank == 0:
            pictures = CaseSet("validation", tuple(sources), {}).spread(PICTURES_OF_A_SET).sources
            yield from _from_one_picture(network, pictures, recipe)
        return
    for source in sources[rank::count]:
        yield from _from_boxes(network, source.load(), recipe)


def _from_boxes(network: Sam2Network, case: Case, recipe: Recipe) -> Iterator[float]:
    """Each structure of a volume or picture from its box on the slice where it is largest."""
    labels = _largest(case, recipe.validation.structures)
    prompts = PromptSet(tuple(_box(case, label) for label in labels))
    settings = SegmentSettings(window=recipe.data.window, size=recipe.side, plane=case.view.plane)
    overlaps = {label: SliceOverlap(case.truth(label)) for label in labels}
    for one in VolumeRun.of_prompts(network, case.volume, prompts, settings).stream():
        frame = case.view.frame_number(one.slice_index)
        overlaps[one.label].add(frame, one.mask, case.truth_on(frame, one.label))
    yield from (overlap.dice for overlap in overlaps.values())


def _largest(case: Case, count: int) -> list[int]:
    """The structures with the most voxels, ascending by number."""
    sizes = {label: np.count_nonzero(case.truth(label)) for label in case.names}
    return sorted(sorted(sizes, key=lambda label: -sizes[label])[:count])


def _box(case: Case, label: int) -> ObjectPrompts:
    frame = case.prompted_frames[label]
    box = box_around(case.truth_on(frame, label))
    first, last = case.view.to_index([(frame, box.x0, box.y0), (frame, box.x1, box.y1)]).tolist()
    return ObjectPrompts(f"structure {label}", label, boxes=(BoxPrompt(*first, *last),))


def _from_one_picture(network: Sam2Network, sources: Sequence[CaseSource], recipe: Recipe) -> Iterator[float]:
    """Each structure of the first picture on all the others, from its mask there."""
    cases = {source.name: source.load() for source in sources}
    template = next(iter(cases.values()))
    images = [NamedVolume(name, case.volume) for name, case in cases.items()]
    settings = SetSettings(window=recipe.data.window, size=recipe.side)
    for label in _largest(template, recipe.validation.structures):
        drawn = MaskPrompt(template.view.from_frames(template.truth(label)))
        prompts = PromptSet((ObjectPrompts("structure", 1, masks=(drawn,)),))
        for found in SetRun(network, images, {template.name: prompts}, settings).stream():
            case = cases[found.name]
            if found.segmentation is not None and case is not template and label in case.names:
                truth = case.view.from_frames(case.truth(label))
                yield dice(found.segmentation.labels == 1, truth)
