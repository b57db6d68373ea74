import copy
from dataclasses import fields, replace

import pytest
import torch
from torch import Tensor

from medsam2.engine.step import DRAWN_LOGIT, FramePrediction, step, step_with_mask
from medsam2.network import FramePrompt, ImageFeatures, MemoryEntry, MemorySelection, PointKind, Sam2Network
from medsam2.network.outputs import NO_OBJECT_LOGIT

SIZE = 64
HERE, GONE = torch.tensor([True]), torch.tensor([False])


@pytest.fixture
def network(tiny_network: Sam2Network) -> Sam2Network:
    """The tiny network, sure that objects are there."""
    sure = copy.deepcopy(tiny_network)
    torch.nn.init.constant_(sure.mask_decoder.object_score_head.layers[-1].bias, 5.0)
    return sure


@pytest.fixture
def features(network, generator) -> ImageFeatures:
    """Two frames."""
    return network.encode_image(torch.randn(2, 3, SIZE, SIZE, generator=generator))


@pytest.fixture
def first(features) -> ImageFeatures:
    return features.take(slice(0, 1))


TWO_BOXES = FramePrompt(
    torch.tensor([[(5.0, 9.0), (30.0, 40.0)], [(20.0, 2.0), (60.0, 33.0)]]),
    torch.tensor([[PointKind.BOX_FIRST, PointKind.BOX_LAST]] * 2),
)


def of_object(prompt: FramePrompt, row: int) -> FramePrompt:
    one = slice(row, row + 1)
    return FramePrompt(prompt.points[one], prompt.kinds[one], None if prompt.mask is None else prompt.mask[one])


def memories_of(entry: MemoryEntry) -> list[MemorySelection]:
    """Each object's own memory of a prompted frame."""
    entries = [entry.of_object(row) for row in range(len(entry.iou))]
    return [MemorySelection((one,), (6,), (one.pointer,), (1 / 15,)) for one in entries]


def check_row(found: FramePrediction, row: int, alone: FramePrediction) -> None:
    for field in fields(FramePrediction):
        together, apart = getattr(found, field.name), getattr(alone, field.name)
        if isinstance(together, Tensor):
            torch.testing.assert_close(together[row], apart[0], atol=1e-4, rtol=1e-4)


def test_objects_prompted_together_equal_each_alone(network, first):
    found, entry = step(network, first, TWO_BOXES, None, 0)

    for row in range(2):
        alone, own_entry = step(network, first, of_object(TWO_BOXES, row), None, 0)
        check_row(found, row, alone)
        torch.testing.assert_close(entry.of_object(row).features, own_entry.features, atol=0.05, rtol=0.02)


def test_objects_tracked_together_equal_each_alone(network, features, first):
    _, entry = step(network, first, TWO_BOXES, None, 0)
    memories, second = memories_of(entry), features.take(slice(1, 2))

    found, _ = step(network, second, FramePrompt.none(2), memories, 1)

    for row in range(2):
        alone, _ = step(network, second, FramePrompt.none(1), memories[row : row + 1], 1)
        check_row(found, row, alone)
    assert not torch.allclose(found.logits[0], found.logits[1], atol=1e-3)


def test_each_object_may_have_a_frame_of_its_own(network, features):
    found, entry = step(network, features, TWO_BOXES, None, 0)

    alone, own_entry = step(network, features.take(slice(1, 2)), of_object(TWO_BOXES, 1), None, 0)

    check_row(found, 1, alone)
    torch.testing.assert_close(entry.image[1:], own_entry.image)


def test_the_memory_says_what_was_found(network, first):
    found, entry = step(network, first, TWO_BOXES, None, frame=17)

    assert entry.frame == 17
    assert entry.features.shape == (2, 64, 4, 4)
    assert entry.pointer is found.pointer
    assert entry.iou is found.iou
    assert entry.object_score is found.object_score
    assert torch.equal(entry.image, first.stride16.expand(2, -1, -1, -1))


def test_a_clear_prompt_and_an_ambiguous_one_in_one_batch(network, first):
    padded = FramePrompt(
        TWO_BOXES.points,
        torch.tensor([[PointKind.POSITIVE, PointKind.POSITIVE], [PointKind.POSITIVE, PointKind.PADDING]]),
    )

    found, _ = step(network.train(), first, padded, None, 0)

    best = found.candidates.iou[1, 1:].argmax() + 1
    assert torch.equal(found.logits[0], found.candidates.logits[0, 0])
    assert torch.equal(found.logits[1], found.candidates.logits[1, best])


@pytest.mark.parametrize("score_bias", [-50.0, 50.0])
def test_the_network_decides_whether_the_object_is_there(network, first, score_bias):
    torch.nn.init.constant_(network.mask_decoder.object_score_head.layers[-1].bias, score_bias)

    found, entry = step(network, first, TWO_BOXES, None, 0)

    absent = score_bias < 0
    assert found.present.tolist() == [not absent] * 2
    assert bool((found.logits == NO_OBJECT_LOGIT).all()) == absent
    assert torch.equal(entry.pointer, network.no_object_pointer.expand(2, -1)) == absent


@pytest.mark.parametrize("least_iou", [0.0, 0.5])
def test_an_unlikely_mask_is_taken_for_none_unless_it_was_prompted(network, features, first, least_iou):
    network.config = replace(network.config, least_iou=least_iou)
    network.mask_decoder.iou_head.layers[-1].bias.data.fill_(-30.0)  # no mask is likely
    found, entry = step(network, first, of_object(TWO_BOXES, 0), None, 0)
    assert found.present.tolist() == [True]
    second, nothing = features.take(slice(1, 2)), FramePrompt.none(1, torch.device("cpu"))
    found, _ = step(network, second, nothing, memories_of(entry), 1)
    assert found.present.tolist() == [not least_iou]
    assert bool((found.logits == NO_OBJECT_LOGIT).all()) == bool(least_iou)
    found, _ = step(network.train(), second, nothing, memories_of(entry), 1)
    assert found.present.tolist() == [True]  # while it learns, the score alone decides


@pytest.mark.parametrize("training", [False, True])
def test_without_a_prompt_the_candidates_may_agree(network, features, first, training):
    network.config = replace(network.config, consensus=True)
    found, entry = step(network.train(training), first, of_object(TWO_BOXES, 0), None, 0)
    assert not torch.equal(found.logits, found.candidates.logits.mean(1))  # the prompt is clear
    nothing = FramePrompt.none(1, torch.device("cpu"))
    found, entry = step(network, features.take(slice(1, 2)), nothing, memories_of(entry), 1)
    torch.testing.assert_close(found.logits, found.candidates.logits.mean(1))
    torch.testing.assert_close(found.iou, found.candidates.iou.mean(1))
    torch.testing.assert_close(entry.iou, found.iou)


def test_known_presence_overrides_the_network(network, first):
    free, _ = step(network, first, TWO_BOXES, None, 0)

    found, entry = step(network, first, TWO_BOXES, None, 0, present=torch.tensor([True, False]))

    assert torch.equal(found.logits[0], free.logits[0])
    assert (found.logits[1] == NO_OBJECT_LOGIT).all()
    assert torch.equal(found.object_score, free.object_score)
    assert torch.equal(entry.pointer[1], network.no_object_pointer[0])
    assert torch.equal(entry.pointer[0], free.pointer[0])


@pytest.fixture
def remembered_masks(network, monkeypatch) -> list[Tensor]:
    """The masks that are handed to the memory encoder."""
    masks: list[Tensor] = []
    encode = network.encode_memory

    def spy(features: ImageFeatures, mask: Tensor, present: Tensor) -> Tensor:
        masks.append(mask)
        return encode(features, mask, present)

    monkeypatch.setattr(network, "encode_memory", spy)
    return masks


def is_rounded(mask: Tensor) -> bool:
    return bool(((mask == 0) | (mask == 1)).all())


@pytest.mark.parametrize("training", [False, True])
def test_prompted_masks_are_rounded_for_the_memory_unless_training(network, first, remembered_masks, training):
    found, entry = step(network.train(training), first, TWO_BOXES, None, 0)

    (mask,) = remembered_masks
    assert mask.shape == (2, 1, SIZE, SIZE)
    assert is_rounded(mask) != training
    assert entry.features.dtype == (torch.float32 if training else torch.bfloat16)
    enlarged = torch.nn.functional.interpolate(found.logits[:, None], (SIZE, SIZE), mode="bilinear")
    torch.testing.assert_close(mask, enlarged.sigmoid() if training else (enlarged > 0).float())


def test_tracked_masks_stay_soft(network, first, remembered_masks):
    _, entry = step(network, first, TWO_BOXES, None, 0)
    step(network, first, FramePrompt.none(2), memories_of(entry), 1)

    assert is_rounded(remembered_masks[0])
    assert not is_rounded(remembered_masks[1])


def test_an_unstable_mask_is_only_replaced_outside_training(network, first):
    inference, _ = step(network, first, TWO_BOXES, None, 0)
    training, _ = step(network.train(), first, TWO_BOXES, None, 0)

    assert torch.equal(training.logits, training.candidates.logits[:, 0])
    torch.testing.assert_close(inference.candidates.logits, training.candidates.logits)
    assert not torch.equal(inference.logits, training.logits)
    torch.testing.assert_close(inference.pointer, training.pointer)


def test_previous_logits_prompt_the_decoder(network, first):
    before, _ = step(network, first, TWO_BOXES, None, 0)
    corrected = FramePrompt(TWO_BOXES.points, TWO_BOXES.kinds, before.logits[:, None])

    after, _ = step(network, first, corrected, None, 0)

    expected = network.decode(network.condition(first, None), corrected)
    assert torch.equal(after.candidates.logits, expected.logits)
    assert not torch.allclose(after.candidates.logits, before.candidates.logits, atol=1e-2)


def drawn_square(low: int, high: int) -> Tensor:
    mask = torch.zeros(1, 1, SIZE, SIZE)
    mask[..., low:high, low:high] = 1
    return mask


def test_a_drawn_mask_is_the_result(network, first, remembered_masks):
    mask = torch.cat((drawn_square(8, 40), drawn_square(20, 60)))

    found, entry = step_with_mask(network, first, mask, frame=3)

    assert torch.equal(found.logits > 0, mask[:, 0, ::4, ::4] > 0)
    assert found.logits.abs().max() == DRAWN_LOGIT
    assert found.iou.tolist() == [1, 1]
    assert found.object_score.tolist() == [DRAWN_LOGIT] * 2
    assert found.candidates is None
    assert torch.equal(remembered_masks[0], mask)
    assert (entry.frame, entry.features.dtype) == (3, torch.bfloat16)


def test_the_pointer_of_a_drawn_mask_comes_from_the_clear_token(network, first):
    found, _ = step_with_mask(network, first, drawn_square(8, 40), 0)

    nothing = FramePrompt.none(1)
    prompt = FramePrompt(nothing.points, nothing.kinds, network.mask_to_logits(drawn_square(8, 40)))
    token = network.decode(first, prompt).tokens[:, 0]
    torch.testing.assert_close(found.pointer, network.pointer_head(token))


def test_an_empty_drawing_says_that_the_object_is_gone(network, first):
    found, _ = step_with_mask(network, first, torch.cat((drawn_square(8, 40), drawn_square(0, 0))), 0)

    assert found.present.tolist() == [True, False]
    assert found.object_score.tolist() == [DRAWN_LOGIT, -DRAWN_LOGIT]
    assert (found.logits[1] == -DRAWN_LOGIT).all()
    assert torch.equal(found.pointer[1], network.no_object_pointer[0])


def test_soft_borders_of_a_drawn_mask(network, first, remembered_masks):
    mask = drawn_square(8, 40)
    mask[..., 40, 8:40] = 0.4
    mask[..., 41, 8:40] = 0.6

    step_with_mask(network, first, mask, 0)

    assert torch.equal(remembered_masks[0], (mask > 0.5).float())


def test_gradients_flow_through_memory(network, features, first):
    network.train().requires_grad_()
    _, entry = step(network, first, TWO_BOXES, None, 0)

    tracked, _ = step(network, features.take(slice(1, 2)), FramePrompt.none(2), memories_of(entry), 1)
    tracked.candidates.logits.square().mean().backward()

    assert network.memory_encoder.mask_downsampler[0].weight.grad.any()
    assert network.prompt_encoder.kinds.weight.grad.any()
    assert network.pointer_head.layers[0].weight.grad.any()


def test_a_drawn_mask_that_is_known_to_be_there_is_pointed_at_whatever_the_decoder_sees(network, first):
    mask = drawn_square(8, 40)
    seen, _ = step_with_mask(network, first, mask, 0, torch.tensor([True]))
    unseen, _ = step_with_mask(network, first, mask, 0, torch.tensor([False]))
    assert torch.equal(unseen.pointer, network.no_object_pointer)
    assert not torch.allclose(seen.pointer, unseen.pointer)
    assert bool(unseen.present)
