import numpy as np
import pytest
import torch
from scipy import ndimage

from medsam2.evaluation.picture_sets import (
    PICTURE_SETS,
    PictureSet,
    filled,
    nuclei_tiles,
    picture_scores,
    synthetic_fundus,
    synthetic_skin,
    with_retouched,
    without,
)
from medsam2.examples import example_case
from medsam2.io import read_label_map, read_volume
from medsam2.synthetic import Slab, Structure


def test_tiles_lie_side_by_side_in_the_example():
    case = example_case("nuclei2d")
    picture, nuclei = read_volume(case.image).array[0], read_label_map(case.labels).labels[0] > 0
    tiles = nuclei_tiles(128)
    assert [one.name for one in tiles.images[:5]] == ["tile_00", "tile_01", "tile_02", "tile_03", "tile_10"]
    assert len(tiles.images) == 16
    assert np.array_equal(tiles.images[6].volume.array[0], picture[128:256, 256:384])
    assert np.array_equal(tiles.truths["tile_12"][0], nuclei[128:256, 256:384])


@pytest.mark.parametrize("make", [synthetic_fundus, synthetic_skin])
def test_generated_pictures_are_in_colour_and_show_the_object(make):
    pictures, again = make(3, 64), make(3, 64)
    for one, same in zip(pictures.images, again.images, strict=True):
        assert one.volume.array.shape == (1, 64, 64, 3)
        assert one.volume.array.dtype == np.uint8
        assert np.array_equal(one.volume.array, same.volume.array)  # as often as it is made
        truth = pictures.truths[one.name]
        assert truth.shape == (1, 64, 64)
        assert 0.005 < truth.mean() < 0.9
        rows, columns = np.nonzero(truth[0])
        assert len(np.unique(rows)) > 3
        assert len(np.unique(columns)) > 3


def test_a_structure_is_outlined_with_what_was_painted_into_it():
    """Instance 2 is the disc, 3 the cup in it, 4 a vessel over both, 5 the vessel elsewhere."""
    instances = np.array([[[1, 2, 3], [4, 5, 0]]], np.int16)
    names = [Structure(name, "any") for name in ("outside", "retina", "optic disc", "optic cup", "vessels")]
    slab = Slab(
        torch.from_numpy(instances),
        torch.tensor([0, 1, 2, 3, 4, 4], dtype=torch.int16),
        torch.tensor([0, 0, 0, 2, 3, 0], dtype=torch.int16),
        tuple(names),
        False,
        "fundus",
    )
    assert filled(slab, "optic disc").tolist() == [[[False, True, True], [True, False, False]]]
    assert filled(slab, "optic cup").tolist() == [[[False, False, True], [True, False, False]]]


def block(size):
    mask = np.zeros((1, 8, 8), bool)
    mask[0, :size, :2] = True
    return mask


def test_the_template_is_a_typical_picture_and_is_not_scored():
    truths = {"large": block(8), "small": block(1), "typical": block(4)}
    pictures = PictureSet("blocks", "block", (), truths)
    assert pictures.template == "typical"
    (prompted,) = pictures.prompts.objects
    assert np.array_equal(prompted.masks[0].voxels, truths["typical"])
    large, small = picture_scores(pictures, {"large": block(8), "small": block(2), "typical": block(0)})
    assert (large.name, large.dice, large.copied) == ("large", 1.0, pytest.approx(2 * 8 / (16 + 8)))
    assert (small.name, small.dice, small.copied) == ("small", pytest.approx(2 / 3), pytest.approx(2 * 2 / (8 + 2)))


def test_an_object_is_taken_away_and_nothing_else():
    columns = np.arange(64, dtype=np.uint8)
    picture = np.tile(columns, (64, 1))  # brighter from left to right
    mask = np.zeros((64, 64), bool)
    mask[20:40, 30:34] = True
    picture[mask] = 255
    retouched = without(picture, mask)
    near = ndimage.binary_dilation(mask, iterations=4)
    assert np.array_equal(retouched[~near], picture[~near])
    assert retouched.max() < 64
    assert np.abs(retouched[25:35].astype(int) - columns).max() <= 12  # mirrored at the edge, twelve pixels wide


def test_where_objects_touch_what_is_beside_them_is_drawn_out():
    picture, mask = np.full((32, 32, 3), 7, np.uint8), np.ones((32, 32), bool)
    mask[:, 0] = False
    picture[mask] = 200
    assert (without(picture, mask)[:, 6:] == 7).all()


def test_retouched_pictures_join_the_set():
    pictures = nuclei_tiles(128)
    more = with_retouched(pictures)
    assert more.template == pictures.template
    assert more.images[:16] == pictures.images
    assert [one.name for one in more.images[16:]] == [f"tile_{n}_without" for n in ("00", "01", "03", "10")]
    assert more.showing == tuple(pictures.truths)
    for one in more.images[16:]:
        assert not more.truths[one.name].any()
        before = next(two for two in pictures.images if two.name == one.name.removesuffix("_without"))
        nuclei = pictures.truths[before.name]
        assert one.volume.array[nuclei].mean() < 0.7 * before.volume.array[nuclei].mean()
    found = {name: truth.copy() for name, truth in more.truths.items()}
    assert len(picture_scores(more, found)) == 15


def test_all_sets_are_named_after_themselves():
    assert list(PICTURE_SETS) == ["nuclei", "fundus", "skin"]
