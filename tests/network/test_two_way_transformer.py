import torch


def test_tokens_and_image_equal_the_reference(pair, generator):
    tokens = torch.randn(2, 9, 128, generator=generator)
    image, position = torch.randn(2, 2, 128, 6, 8, generator=generator)

    found_tokens, found_image = pair.network.mask_decoder.transformer(tokens, image, position)

    expected_tokens, expected_image = pair.reference.mask_decoder.transformer(
        point_embeddings=tokens[:, None],
        image_embeddings=image,
        image_positional_embeddings=position,
        attention_similarity=None,
    )
    torch.testing.assert_close(found_tokens, expected_tokens[:, 0], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(found_image.flatten(2).mT, expected_image[:, 0], atol=1e-5, rtol=1e-5)
