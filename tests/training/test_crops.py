import pytest
import torch

from medsam2.frames import Region
from medsam2.synthetic import RandomSource
from medsam2.training.crops import FOLLOWING, cut, follow

SIDE = 128


def source_of(seed=0):
    return RandomSource(torch.Generator().manual_seed(seed), "cpu")


def walking(frames=6, step=8):
    """A square of 20 pixels that walks to the right."""
    mask = torch.zeros(frames, SIDE, SIDE, dtype=torch.bool)
    for t in range(frames):
        mask[t, 50:70, 20 + step * t : 40 + step * t] = True
    return mask


def test_regions_follow_the_object_a_frame_late():
    for seed in range(20):
        regions = follow(walking(), source_of(seed), ordered=True)
        if regions[0] == Region.whole((SIDE, SIDE)):
            continue
        for t, region in enumerate(regions[1:]):
            middle = 30 + 8 * t
            assert region.x0 < middle < region.x1
            assert 20 * FOLLOWING[0] * 0.7 < region.x1 - region.x0 < 20 * FOLLOWING[1] * 1.4


def test_some_ordered_clips_are_seen_whole_from_end_to_end():
    whole = Region.whole((SIDE, SIDE))
    seen = [follow(walking(), source_of(seed), ordered=True) for seed in range(80)]
    counts = [regions.count(whole) for regions in seen]
    assert set(counts) <= {0, 6}
    assert 2 < counts.count(6) < 25


def test_where_the_object_is_gone_the_last_region_stays():
    mask = walking()
    mask[3:] = False
    regions = follow(mask, source_of(1), ordered=True)
    assert regions[4] == regions[5] == regions[3]


def test_the_images_of_a_set_are_looked_at_whole():
    assert follow(walking(), source_of(), ordered=False) == [Region.whole((SIDE, SIDE))] * 6


def test_an_image_alone_is_looked_at_from_near_as_it_is_prompted():
    regions = [follow(walking(frames=1), source_of(seed), ordered=False)[0] for seed in range(40)]
    assert 30 < sum(region != Region.whole((SIDE, SIDE)) for region in regions) < 40


@pytest.mark.parametrize("channels", [1, 3])
def test_images_and_masks_are_cut_alike(channels):
    mask = walking(frames=3)
    images = mask[:, None].float().expand(-1, channels, -1, -1)
    for seed in range(6):
        regions = follow(mask, source_of(seed), ordered=True)
        crop = cut(images, mask[None], regions, 64, source_of(seed))
        assert crop.images.shape == (3, channels, 64, 64)
        assert crop.masks.shape == (1, 3, 64, 64)
        differing = ((crop.images[:, 0] > 0.5) != crop.masks[0]).float().mean()
        assert differing < 0.08  # coarse pixels blur the edge
        assert crop.regions[0].tolist() == pytest.approx(regions[0].shares((SIDE, SIDE)))


def test_the_same_seed_cuts_the_same():
    assert follow(walking(), source_of(3), ordered=True) == follow(walking(), source_of(3), ordered=True)
