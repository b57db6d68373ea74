import pytest
import torch

from medsam2.errors import ConfigurationError
from medsam2.synthetic import FAMILIES, ClipRecipe, RandomSource, make_clip, make_scene, render


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("kind", sorted(FAMILIES))
def test_every_family_gives_images_and_labels(kind):
    recipe = ClipRecipe(frames=4, size=64, kinds=(kind,), unordered_share=0.0)
    clip = make_clip(recipe, generator())
    assert clip.images.shape in ((4, 64, 64), (4, 3, 64, 64))
    assert clip.images.dtype == torch.float32
    assert float(clip.images.min()) >= 0.0
    assert float(clip.images.max()) <= 1.0
    assert clip.labels.shape == (4, 64, 64)
    assert clip.labels.dtype == torch.int16
    assert len(clip.labels.unique()) > 1
    assert int(clip.labels.max()) < len(clip.slab.structures)


@pytest.mark.parametrize("size", [64, 128, 256])
def test_sizes(size):
    clip = make_clip(ClipRecipe(frames=2, size=size), generator(3))
    assert clip.labels.shape == (2, size, size)


def test_same_seed_same_clip_other_seed_other_clip():
    recipe = ClipRecipe(frames=3, size=64)
    first, again, other = (make_clip(recipe, generator(seed)) for seed in (5, 5, 6))
    assert torch.equal(first.images, again.images)
    assert torch.equal(first.slab.instances, again.slab.instances)
    assert first.images.shape != other.images.shape or not torch.equal(first.images, other.images)


@pytest.mark.parametrize("kind", ["body", "generic", "nuclei"])
def test_unordered_scenes_keep_the_meaning_of_labels(kind):
    slab = make_scene(kind, ClipRecipe(frames=3, size=64), RandomSource(generator(1)), ordered=False)
    assert not slab.ordered
    assert slab.instances.shape == (3, 64, 64)
    assert int(slab.instances.max()) < len(slab.instance_labels)


@pytest.mark.parametrize("kind", ["tubes", "head", "skin"])
def test_unordered_share_is_kept_for_every_family(kind):
    clip = make_clip(ClipRecipe(frames=2, size=64, kinds=(kind,), unordered_share=1.0), generator(2))
    assert not clip.ordered


def test_one_scene_many_contrasts():
    source = RandomSource(generator(2))
    slab = make_scene("body", ClipRecipe(frames=2, size=64), source)
    first, second = render(slab, source), render(slab, source)
    assert first.shape[-1] == second.shape[-1]
    assert first.shape != second.shape or not torch.equal(first, second)


def test_unknown_kind_is_refused():
    with pytest.raises(ConfigurationError, match="unknown scene kinds"):
        ClipRecipe(kinds=("unicorn",))
    with pytest.raises(ConfigurationError, match="unknown scene kind"):
        make_scene("unicorn", ClipRecipe(), RandomSource(generator()))


def test_impossible_size_is_refused():
    with pytest.raises(ConfigurationError, match="need >= 1 and >= 16 px"):
        ClipRecipe(size=4)
