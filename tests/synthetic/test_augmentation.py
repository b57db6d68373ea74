import torch

from medsam2.synthetic import ClipRecipe, RandomSource, augment_slab, make_scene
from medsam2.synthetic.augmentation import scatter_slab


def test_augmented_slab_keeps_size_tables_and_identifiers():
    source = RandomSource(torch.Generator().manual_seed(0))
    slab = make_scene("body", ClipRecipe(frames=3, size=64), source)
    for _ in range(5):
        other = augment_slab(slab, source)
        assert other.instances.shape == slab.instances.shape
        assert torch.equal(other.instance_labels, slab.instance_labels)
        assert set(other.instances.unique().tolist()) <= set(slab.instances.unique().tolist()) | {0}


def test_scattered_slab_is_unordered():
    source = RandomSource(torch.Generator().manual_seed(0))
    slab = make_scene("generic", ClipRecipe(frames=4, size=64), source)
    scattered = scatter_slab(slab, source)
    assert not scattered.ordered
    assert scattered.instances.shape == slab.instances.shape
