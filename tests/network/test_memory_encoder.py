import torch

from medsam2.network.memory_encoder import LAYER_SCALE, FuserBlock, MemoryEncoder


def test_memories_equal_the_reference(pair, generator):
    features = torch.randn(2, 128, 8, 8, generator=generator)
    mask = torch.rand(2, 1, 128, 128, generator=generator)

    memory = pair.network.memory_encoder(features, mask)

    expected, _ = pair.reference.memory_encoder(features, 20 * mask - 10)
    torch.testing.assert_close(memory, expected, atol=1e-4, rtol=1e-4)


def test_absent_objects_are_marked_as_in_the_reference(pair, images, generator):
    features = pair.network.encode_image(images[:1])
    logits = 3 * torch.randn(2, 1, 128, 128, generator=generator)

    memory = pair.network.encode_memory(features, logits.sigmoid(), present=torch.tensor([True, False]))

    expected, _ = pair.reference._encode_new_memory(
        current_vision_feats=features.stride16.flatten(2).permute(2, 0, 1).expand(-1, 2, -1),
        pred_masks_high_res=logits,
        object_score_logits=torch.tensor([1.0, -1.0])[:, None, None],
        is_mask_from_pts=False,
    )
    # Transformers rounds to bfloat16 here.
    torch.testing.assert_close(memory.flatten(2), expected.permute(1, 2, 0).float(), atol=1e-2, rtol=1e-2)


def test_one_frame_serves_all_objects(generator):
    encoder = MemoryEncoder(64)
    features, mask = torch.randn(1, 64, 4, 4, generator=generator), torch.rand(3, 1, 64, 64, generator=generator)

    memory = encoder(features, mask)

    assert memory.shape == (3, 64, 4, 4)
    torch.testing.assert_close(memory[1:2], encoder(features, mask[1:2]), atol=1e-5, rtol=1e-5)


def test_a_new_fuser_block_hardly_changes_its_input(generator):
    x = torch.randn(1, 64, 4, 4, generator=generator)
    block = FuserBlock(64)

    assert torch.equal(block.gain, torch.full((64,), LAYER_SCALE))
    torch.testing.assert_close(block(x), x, atol=1e-5, rtol=0)
