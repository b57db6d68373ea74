from dataclasses import replace

import pytest
import torch
from torch import Tensor

from medsam2.network import ImageFeatures, MaskPrediction, agree_on_mask, choose_mask
from medsam2.network.mask_decoder import FineLayer, MaskDecoder
from medsam2.network.position import FourierPosition


@pytest.fixture
def features(generator) -> ImageFeatures:
    """Two frames at width 128, input side 128."""
    maps = ((16, 32), (32, 16), (128, 8))
    return ImageFeatures(*(torch.randn(2, width, side, side, generator=generator) for width, side in maps))


@pytest.fixture
def prompt(generator) -> tuple[Tensor, Tensor]:
    """Three sparse tokens and a dense embedding of two objects."""
    return torch.randn(2, 3, 128, generator=generator), torch.randn(2, 128, 8, 8, generator=generator)


def reference_decode(pair, features: ImageFeatures, prompt: tuple[Tensor, Tensor], multimask: bool):
    position = pair.reference.get_image_wide_positional_embeddings()
    masks, iou, tokens, score = pair.reference.mask_decoder(
        image_embeddings=features.stride16,
        image_positional_embeddings=position.expand(2, -1, -1, -1),
        sparse_prompt_embeddings=prompt[0][:, None],
        dense_prompt_embeddings=prompt[1],
        multimask_output=multimask,
        high_resolution_features=[features.stride4, features.stride8],
    )
    return masks[:, 0], iou[:, 0], tokens[:, 0], score[:, 0, 0]


def decode(pair, features: ImageFeatures, prompt: tuple[Tensor, Tensor]) -> MaskPrediction:
    return pair.network.mask_decoder(features, *prompt, pair.network.prompt_encoder.position)


def test_candidates_equal_the_reference(pair, features, prompt):
    prediction = decode(pair, features, prompt)

    masks, iou, tokens, score = reference_decode(pair, features, prompt, multimask=True)
    torch.testing.assert_close(prediction.logits[:, 1:], masks, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(prediction.iou[:, 1:], iou)
    torch.testing.assert_close(prediction.tokens[:, 1:], tokens, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(prediction.object_score, score)


@pytest.mark.parametrize("loudness", [1, 300], ids=["unstable", "stable"])
def test_choice_for_a_clear_prompt_equals_the_reference(pair, features, prompt, loudness):
    # Louder features make steeper masks, which depend less on the threshold.
    louder = replace(features, stride4=loudness * features.stride4)
    prediction = decode(pair, louder, prompt)

    chosen = choose_mask(prediction, torch.zeros(2, dtype=torch.bool))

    masks, iou, tokens, _ = reference_decode(pair, louder, prompt, multimask=False)
    torch.testing.assert_close(chosen.logits, masks[:, 0], atol=1e-4 * loudness, rtol=1e-4)
    torch.testing.assert_close(chosen.iou, iou[:, 0])
    torch.testing.assert_close(chosen.token, tokens[:, 0], atol=1e-5, rtol=1e-5)
    assert torch.equal(chosen.logits, prediction.logits[:, 0]) == (loudness > 1)


def test_one_frame_serves_all_objects(pair, features, prompt):
    shared, copied = features.take(slice(0, 1)), features.take(torch.tensor([0, 0]))

    torch.testing.assert_close(
        decode(pair, shared, prompt).logits, decode(pair, copied, prompt).logits, atol=1e-5, rtol=1e-5
    )


def test_shapes(generator):
    decoder = MaskDecoder(64, 32)
    features = ImageFeatures(
        *decoder.skips(torch.zeros(1, 64, 24, 24), torch.zeros(1, 64, 12, 12)), torch.zeros(1, 64, 6, 6)
    )

    prediction = decoder(features, torch.zeros(5, 2, 64), torch.zeros(5, 64, 6, 6), FourierPosition(64))

    assert prediction.logits.shape == (5, 4, 24, 24)
    assert prediction.iou.shape == (5, 4)
    assert prediction.tokens.shape == (5, 4, 64)
    assert prediction.object_score.shape == (5,)


STEEP = torch.tensor([[9.0, -9.0], [9.0, -9.0]])
FLAT = torch.tensor([[9.0, 0.01], [9.0, -9.0]])
EMPTY = torch.full((2, 2), -9.0)


def prediction_of(first: Tensor, iou: tuple[float, ...] = (0.9, 0.1, 0.8, 0.3)) -> MaskPrediction:
    """One object with `first` as candidate 0; candidate m > 0 is full of m, and token m is full of m."""
    others = torch.arange(1.0, 4.0)[:, None, None].expand(3, 2, 2)
    tokens = torch.arange(4.0)[None, :, None]
    return MaskPrediction(torch.cat((first[None], others))[None], torch.tensor([iou]), tokens, torch.ones(1))


@pytest.mark.parametrize(
    ("first", "ambiguous", "prefer_stable", "mask", "token"),
    [
        (STEEP, False, True, 0, 0),
        (FLAT, False, True, 2, 0),
        (FLAT, False, False, 0, 0),
        (EMPTY, False, True, 0, 0),
        (STEEP, True, True, 2, 2),
        (FLAT, True, False, 2, 2),
    ],
    ids=["stable", "unstable", "unstable-in-training", "empty", "ambiguous", "ambiguous-in-training"],
)
def test_choice(first, ambiguous, prefer_stable, mask, token):
    prediction = prediction_of(first)

    chosen = choose_mask(prediction, torch.tensor([ambiguous]), prefer_stable)

    assert torch.equal(chosen.logits, prediction.logits[:, mask])
    assert chosen.iou.item() == prediction.iou[0, mask].item()
    assert chosen.token.item() == token


def test_98_percent_is_stable_enough():
    logits = torch.full((10, 10), 1.0)
    logits[0, 0] = logits[0, 1] = 0.05  # not above the higher threshold, but above the lower
    just_less = logits.clone()
    just_less[0, 2] = 0.0

    for first, candidate in ((logits, 0), (just_less, 3)):
        prediction = MaskPrediction(
            torch.stack((first, -first, -first, 2 * first))[None],
            torch.tensor([[0.1, 0.2, 0.3, 0.4]]),
            torch.zeros(1, 4, 1),
            torch.ones(1),
        )
        chosen = choose_mask(prediction, torch.tensor([False]))
        assert torch.equal(chosen.logits, prediction.logits[:, candidate])


def test_each_object_has_its_own_choice():
    two = [prediction_of(STEEP), prediction_of(FLAT, (0.9, 0.8, 0.1, 0.3))]
    both = MaskPrediction(
        *(torch.cat([getattr(one, name) for one in two]) for name in ("logits", "iou", "tokens", "object_score"))
    )

    chosen = choose_mask(both, torch.tensor([True, False]))

    assert chosen.iou.tolist() == pytest.approx([0.8, 0.8])
    assert chosen.logits[:, 0, 0].tolist() == [2, 1]
    assert chosen.token.flatten().tolist() == [2, 0]


def test_the_candidates_agree_on_their_mean():
    logits = torch.tensor([-3.0, 1.0, 2.0, 4.0]).view(1, 4, 1, 1).expand(2, 4, 3, 3)
    iou, tokens = torch.tensor([[0.1, 0.2, 0.3, 0.8]] * 2), torch.arange(8.0).view(1, 4, 2).expand(2, 4, 2)
    agreed = agree_on_mask(MaskPrediction(logits, iou, tokens, torch.zeros(2)))
    assert torch.equal(agreed.logits, torch.ones(2, 3, 3))
    torch.testing.assert_close(agreed.iou, torch.full((2,), 0.35))
    assert agreed.token.tolist() == [[3.0, 4.0]] * 2


def test_fine_layers_mix_neighbours_at_the_finest_map(generator):
    layer = FineLayer(16)
    fine = torch.randn(2, 16, 12, 12, generator=generator)
    assert layer(fine).shape == fine.shape
    spot = fine.clone()
    spot[0, 0, 6, 6] += 1.0
    moved = (layer(spot) - layer(fine)).abs().sum(1) > 1e-6
    rows, columns = moved[0].nonzero(as_tuple=True)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (4, 8, 4, 8)
    assert not moved[1].any()


def test_a_decoder_without_fine_layers_has_sam_2_s_keys():
    assert not [key for key in MaskDecoder(128, 256).state_dict() if key.startswith("fine_layers")]
    assert len([key for key in MaskDecoder(128, 256, 2).state_dict() if key.startswith("fine_layers")]) == 2 * 6
