"""Unordered sets of pictures that need no download, of which every mask is known: to demonstrate and test on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage

from medsam2.examples import example_case
from medsam2.frames import NamedVolume
from medsam2.io import read_label_map, read_volume
from medsam2.metrics import dice
from medsam2.prompts import MaskPrompt, ObjectPrompts, PromptSet
from medsam2.prompts.prompt_types import MaskArray
from medsam2.spatial import Geometry, Volume
from medsam2.synthetic import ClipRecipe, RandomSource, Slab, make_scene, render

TILE = 128
"""Side of a tile of the nuclei, pixels: a dozen nuclei each."""

PICTURES = 12
"""Of a generated set."""

SIDE = 256
"""Of a generated picture, pixels."""

RETOUCHED = 4
"""Pictures of each set that are shown once more, without the object."""

MARGIN = 4
"""Pixels around an object that go with it when it is taken away: its blurred edge."""

SEED = (0xE7A1 << 32) + (1 << 17)
"""Of the first generated set; far from any that training or the evaluation's synthetic set draws from."""


@dataclass(frozen=True, eq=False)
class PictureSet:
    """Pictures of one kind, with the masks of one kind of object.

    Attributes:
        name: of the set.
        object_name: what is looked for.
        images: the pictures, in no order.
        truths: by picture, (1, R, C) bool.
    """

    name: str
    object_name: str
    images: tuple[NamedVolume, ...]
    truths: Mapping[str, MaskArray]

    @property
    def template(self) -> str:
        """The picture to prompt: neither the easiest nor the hardest, the one with the median area."""
        by_area = sorted(self.showing, key=lambda name: int(self.truths[name].sum()))
        return by_area[len(by_area) // 2]

    @property
    def showing(self) -> tuple[str, ...]:
        """Names of the pictures that show the object."""
        return tuple(name for name, truth in self.truths.items() if truth.any())

    @property
    def prompts(self) -> PromptSet:
        """The true mask of the template."""
        drawn = MaskPrompt(self.truths[self.template])
        return PromptSet((ObjectPrompts(self.object_name, 1, masks=(drawn,)),))


@dataclass(frozen=True)
class PictureScore:
    """How well an object was found on a picture that shows it.

    Attributes:
        name: of the picture.
        dice: of what was found.
        copied: Dice of the template's true mask, copied.
    """

    name: str
    dice: float
    copied: float


def picture_scores(pictures: PictureSet, found: Mapping[str, MaskArray]) -> list[PictureScore]:
    """Score all pictures that show the object, but the template, beside the template's mask.

    Args:
        pictures: what was segmented.
        found: masks by picture, (1, R, C).
    """
    copied = pictures.truths[pictures.template]
    others = {name: pictures.truths[name] for name in pictures.showing if name != pictures.template}
    return [PictureScore(name, dice(found[name], truth), dice(copied, truth)) for name, truth in others.items()]


def with_retouched(pictures: PictureSet) -> PictureSet:
    """The same set and, once more, its first pictures with the object taken away: there nothing is to be found."""
    chosen = [one for one in pictures.images if one.name != pictures.template][:RETOUCHED]
    more = {f"{one.name}_without": without(one.volume.array[0], pictures.truths[one.name][0]) for one in chosen}
    images = (*pictures.images, *(_picture(name, array) for name, array in more.items()))
    nothing = {name: np.zeros((1, *array.shape[:2]), bool) for name, array in more.items()}
    return replace(pictures, images=images, truths={**pictures.truths, **nothing})


def without(picture: NDArray[np.uint8], mask: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Take an object away: what surrounds it is mirrored at its edge, and where that meets another one, drawn out.

    Args:
        picture: (R, C) or (R, C, 3).
        mask: (R, C), not the whole picture.
    """
    covered = ndimage.binary_dilation(mask, iterations=MARGIN)
    edge = ndimage.distance_transform_edt(covered, return_distances=False, return_indices=True)
    last = np.array(mask.shape)[:, None, None] - 1
    rows, columns = np.clip(2 * edge - np.indices(mask.shape), 0, last)
    taken = np.where(covered[rows, columns], edge, (rows, columns))
    retouched: NDArray[np.uint8] = picture[tuple(taken)]
    return retouched


def nuclei_tiles(side: int = TILE) -> PictureSet:
    """The fluorescent nuclei of the shipped example, cut into square tiles, row by row.

    Args:
        side: of a tile, pixels; what is left over at the border is left out.
    """
    case = example_case("nuclei2d")
    picture, nuclei = read_volume(case.image).array[0], read_label_map(case.labels).labels[0] > 0
    rows, columns = (length // side for length in picture.shape)
    images, truths = [], {}
    for row, column in np.ndindex(rows, columns):
        here = (slice(row * side, (row + 1) * side), slice(column * side, (column + 1) * side))
        images.append(_picture(f"tile_{row}{column}", picture[here]))
        truths[images[-1].name] = nuclei[here][None].copy()
    return PictureSet("nuclei", "nuclei", tuple(images), truths)


def synthetic_fundus(count: int = PICTURES, side: int = SIDE) -> PictureSet:
    """Generated eye backgrounds, of which the optic disc is looked for.

    Args:
        count: of pictures.
        side: of each, pixels.
    """
    return _generated("fundus", "optic disc", SEED, count, side)


def synthetic_skin(count: int = PICTURES, side: int = SIDE) -> PictureSet:
    """Generated dermoscopic pictures, of which the lesion is looked for.

    Args:
        count: of pictures.
        side: of each, pixels.
    """
    return _generated("skin", "lesion", SEED + 1, count, side)


PICTURE_SETS: Mapping[str, Callable[[], PictureSet]] = {
    "nuclei": nuclei_tiles,
    "fundus": synthetic_fundus,
    "skin": synthetic_skin,
}
"""All sets by name, made when they are asked for; every picture shows the object."""


def _generated(family: str, structure: str, seed: int, count: int, side: int) -> PictureSet:
    source = RandomSource(torch.Generator().manual_seed(seed))
    slab = make_scene(family, ClipRecipe(count, side, (family,), 1.0), source, ordered=False)
    colours = (render(slab, source, "colour") * 255).round().to(torch.uint8).numpy().transpose(0, 2, 3, 1)
    images = tuple(_picture(f"{family}_{number:02d}", array) for number, array in enumerate(colours))
    masks = filled(slab, structure)
    return PictureSet(family, structure, images, {one.name: masks[n : n + 1] for n, one in enumerate(images)})


def filled(slab: Slab, structure: str) -> MaskArray:
    """A structure of painted scenes with all that was painted into it, as people outline it: (T, S, S)."""
    label = next(number for number, one in enumerate(slab.structures) if one.name == structure)
    belongs = slab.instance_labels == label
    for instance, parent in enumerate(slab.instance_parents.tolist()):  # a parent comes before its children
        belongs[instance] |= parent > 0 and belongs[parent]
    mask: MaskArray = belongs[slab.instances.long()].numpy()
    return mask


def _picture(name: str, array: NDArray[np.uint8]) -> NamedVolume:
    """A picture, grey (R, C) or in colours (R, C, 3)."""
    one = np.ascontiguousarray(array[None])
    return NamedVolume(name, Volume(one, Geometry(one.shape[:3], np.eye(4))))
