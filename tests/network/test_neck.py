import torch

from medsam2.network.neck import Neck


def test_levels_equal_the_reference(pair, images):
    levels = pair.network.neck(pair.network.image_encoder(images))

    reference = pair.reference.vision_encoder(images).fpn_hidden_states
    for level, expected in zip(levels, reference, strict=True):
        torch.testing.assert_close(level, expected, atol=1e-4, rtol=1e-4)


def test_the_coarsest_stage_reaches_stride_16_only(generator):
    neck = Neck([2, 4, 8, 16], 8)
    stages = [torch.randn(1, 2 * 2**n, 16 // 2**n, 16 // 2**n, generator=generator) for n in range(4)]
    changed = [*stages[:3], stages[3] + 1]

    before, after = neck(stages), neck(changed)

    assert [level.shape for level in before] == [(1, 8, 16, 16), (1, 8, 8, 8), (1, 8, 4, 4)]
    assert torch.equal(before[0], after[0])
    assert torch.equal(before[1], after[1])
    difference = (after[2] - before[2])[0, 0]
    torch.testing.assert_close(difference[:2, :2], difference[0, 0].expand(2, 2))
    assert not torch.equal(before[2], after[2])
