from dataclasses import replace

import pytest
import torch

from medsam2.errors import ConfigurationError, ShapeError
from medsam2.memory.similarity import dissimilarity, pairwise_similarity, similarity


def test_cosines_by_hand(entry_of, query_of):
    entries = [entry_of(n, direction) for n, direction in enumerate(("east", "north", "northeast", "west"))]

    torch.testing.assert_close(similarity(query_of("east").image, entries), torch.tensor([1.0, 0.0, 0.6, -1.0]))
    torch.testing.assert_close(
        pairwise_similarity(entries[:3]), torch.tensor([[1.0, 0.0, 0.6], [0.0, 1.0, 0.8], [0.6, 0.8, 1.0]])
    )


def test_dissimilarities_by_hand(entry_of):
    entries = [entry_of(n, direction) for n, direction in enumerate(("east", "north", "northeast"))]

    torch.testing.assert_close(dissimilarity(entries), torch.tensor([1 + 0.4, 1 + 0.2, 0.4 + 0.2]))


def test_opposite_features_are_more_than_dissimilar(entry_of):
    entries = [entry_of(n, direction) for n, direction in enumerate(("east", "west", "north"))]

    torch.testing.assert_close(dissimilarity(entries), torch.tensor([2.0 + 1, 2.0 + 1, 1.0 + 1]))


def test_scale_does_not_count(entry_of):
    entries = [entry_of(0, (3.0, 0.0)), entry_of(1, (0.0, 0.1))]

    torch.testing.assert_close(dissimilarity(entries), torch.tensor([1.0, 1.0]))


def test_a_frame_is_like_itself_only_if_query_and_memory_are_flattened_alike(entry_of, generator):
    """The released code flattens the query (h w, C) and the memory (C, h w): the cosine then means nothing."""
    image = torch.randn(1, 16, 4, 4, generator=generator)
    entry = replace(entry_of(0), image=image)
    as_released = image.flatten(2).transpose(1, 2).reshape(1, 16, 4, 4)

    assert similarity(image, [entry]).item() == pytest.approx(1)
    assert abs(similarity(as_released, [entry]).item()) < 0.5


def test_channels_last_are_refused_where_they_show(entry_of, generator):
    image = torch.randn(1, 8, 4, 4, generator=generator)

    with pytest.raises(ShapeError, match=r"shapes \[\(1, 4, 4, 8\), \(1, 8, 4, 4\)\]; expected \(1, C, h, w\)"):
        similarity(image.permute(0, 2, 3, 1), [replace(entry_of(0), image=image)])


def test_half_precision_is_compared_in_single(entry_of, generator):
    image = torch.randn(1, 64, 8, 8, generator=generator).bfloat16()

    cosine = similarity(image, [replace(entry_of(0), image=image)])

    assert cosine.dtype == torch.float32
    assert cosine.item() == pytest.approx(1, abs=1e-5)


def test_no_gradient_passes(entry_of, query_of):
    image = query_of("east").image.requires_grad_()

    assert not similarity(image, [entry_of(0)]).requires_grad


def test_entries_without_image_features_are_refused(entry_of, query_of):
    with pytest.raises(ConfigurationError, match="frame 3 holds no image features; a policy that compares frames"):
        similarity(query_of().image, [entry_of(3, None)])
