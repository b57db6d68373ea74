"""Scenes that are painted from real label maps."""

from importlib import resources

import pytest
import torch

from medsam2.synthetic import ClipRecipe, RandomSource, make_scene
from medsam2.synthetic.canvas import Extent
from medsam2.synthetic.mapped import BRAIN_STRUCTURES, _map, paint_brain_map, paint_nuclei_map


def source(seed=0):
    return RandomSource(torch.Generator().manual_seed(seed), "cpu")


def test_the_maps_tell_where_they_come_from():
    folder = resources.files("medsam2.synthetic.maps")
    told = folder.joinpath("PROVENANCE.md").read_text(encoding="utf-8")
    shipped = {one.name for one in folder.iterdir() if one.name.endswith(".npz")}
    assert shipped == {"brain.npz", "nuclei.npz"}
    assert all(name in told for name in shipped)
    assert _map("brain").unique().tolist() == [0, 1, 2, 3]
    assert len(_map("nuclei").unique()) == 126


@pytest.mark.parametrize("seed", range(6))
def test_a_brain_has_grey_matter_around_white_matter(seed):
    slab = paint_brain_map(Extent(5, 96, 0.1), source(seed))
    areas = torch.bincount(slab.labels.flatten().long(), minlength=len(BRAIN_STRUCTURES))
    assert areas[1] > 300
    assert areas[2] > 100
    assert areas[0] > areas[1]  # background around it
    assert slab.ordered


def test_slices_follow_each_other_through_the_brain():
    slab = paint_brain_map(Extent(9, 96, 0.05), source(1))
    brain = slab.labels > 0
    neighbours = (brain[:-1] & brain[1:]).sum() / (brain[:-1] | brain[1:]).sum()
    ends = (brain[:1] & brain[-1:]).sum() / (brain[:1] | brain[-1:]).sum()
    assert neighbours > 0.8
    assert ends < neighbours


def test_every_nucleus_is_an_instance_of_one_label():
    slab = paint_nuclei_map(Extent(1, 96, 0.1), source(2))
    found = slab.instances.unique()
    assert len(found) > 3
    assert len(slab.instance_labels.unique()) == 2  # background and nucleus
    assert slab.instances.max() == len(slab.instance_labels) - 1


@pytest.mark.parametrize("kind", ["brain map", "nuclei map"])
def test_no_two_scenes_are_alike_and_a_seed_gives_its_own(kind):
    first, again, other = (make_scene(kind, ClipRecipe(2, 64), source(seed)).instances for seed in (3, 3, 4))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
