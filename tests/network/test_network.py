import copy
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from medsam2.engine.step import step, step_with_mask
from medsam2.errors import ConfigurationError, ShapeError
from medsam2.memory import FifoBank, MemoryQuery
from medsam2.network import (
    PRESETS,
    FramePrompt,
    ImageFeatures,
    MemoryEntry,
    MemorySelection,
    NetworkConfig,
    PointKind,
    Sam2Network,
    choose_mask,
)
from reference.random_weights import randomise
from reference.sam2_transformers import SMALL, image_model

PUBLISHED = [name for name in PRESETS if name != "starter"]
# Millions of parameters, as SAM 2's release notes give them.
PUBLISHED_SIZES = {"tiny": 38.9, "small": 46.0, "base-plus": 80.8, "large": 224.4}


def box_and_click(scale: float = 1.0) -> FramePrompt:
    """Two objects: a box, and a click beside a negative one."""
    points = scale * torch.tensor([[(20.0, 30.0), (70.0, 90.0)], [(84.0, 41.0), (10.0, 90.0)]])
    kinds = torch.tensor([[PointKind.BOX_FIRST, PointKind.BOX_LAST], [PointKind.POSITIVE, PointKind.NEGATIVE]])
    return FramePrompt(points, kinds)


@pytest.mark.parametrize("ambiguous", [True, False])
def test_an_image_is_segmented_as_by_the_reference(pair, images, ambiguous):
    prompt = box_and_click()

    features = pair.network.condition(pair.network.encode_image(images), None)
    prediction = pair.network.decode(features, prompt)
    chosen = choose_mask(prediction, torch.tensor([ambiguous, ambiguous]))

    reference = image_model(pair)(
        images, input_points=prompt.points[:, None], input_labels=prompt.kinds[:, None], multimask_output=ambiguous
    )
    best = reference.iou_scores[:, 0].argmax(1)
    rows = torch.arange(2)
    torch.testing.assert_close(chosen.logits, reference.pred_masks[rows, 0, best], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(chosen.iou, reference.iou_scores[rows, 0, best], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(prediction.object_score, reference.object_score_logits[:, 0, 0], atol=1e-5, rtol=1e-5)


def test_object_pointers_equal_the_reference(pair, generator):
    token, present = torch.randn(2, 128, generator=generator), torch.tensor([True, False])

    pointer = pair.network.point_to_object(token, present)

    torch.testing.assert_close(pointer[0], pair.reference.object_pointer_proj(token)[0], atol=1e-5, rtol=1e-5)
    assert torch.equal(pointer[1:], pair.reference.no_object_pointer)


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_networks_have_the_published_sizes(name):
    with torch.device("meta"):
        network = Sam2Network(PRESETS[name])

    millions = sum(parameter.numel() for parameter in network.parameters()) / 1e6
    assert millions == pytest.approx(PUBLISHED_SIZES[name.split("hiera-")[1]], abs=0.1)


@pytest.mark.parametrize("name", PRESETS)
def test_shapes_of_the_presets(name):
    config = PRESETS[name]
    side, width = config.size // 16, config.width
    with torch.device("meta"):
        network = Sam2Network(config)
        features = network.encode_image(torch.empty(1, 3, config.size, config.size))
        one = torch.ones(1)
        entry = MemoryEntry(torch.empty(1, 64, side, side), torch.empty(1, width), one, one, 0)
        selection = MemorySelection((entry, entry), (6, 0), (entry.pointer,), (0.5,))
        prediction = network.decode(network.condition(features, [selection] * 3), FramePrompt.none(3, "meta"))
        memory = network.encode_memory(features, torch.empty(3, 1, config.size, config.size), torch.ones(3) > 0)

    assert features.size == config.size
    assert features.stride4.shape == (1, width // 8, 4 * side, 4 * side)
    assert features.stride8.shape == (1, width // 4, 2 * side, 2 * side)
    assert features.stride16.shape == (1, width, side, side)
    assert prediction.logits.shape == (3, 4, 4 * side, 4 * side)
    assert prediction.tokens.shape == (3, 4, width)
    assert network.point_to_object(prediction.tokens[:, 0], prediction.object_score > 0).shape == (3, width)
    assert memory.shape == (3, 64, side, side)


@pytest.mark.parametrize("size", [32, 96, 160, 224])
def test_any_multiple_of_32_is_an_input_side(tiny_network, size, generator):
    images = torch.randn(1, 3, size, size, generator=generator)

    entry, prediction = two_frames(tiny_network, images, box_and_click(size / 128))

    assert prediction.logits.shape == (2, 4, size // 4, size // 4)
    assert prediction.logits.isfinite().all()
    assert entry.features.shape == (2, 64, size // 16, size // 16)


def two_frames(network: Sam2Network, images: Tensor, prompt: FramePrompt):
    """Prompt a frame, then see it again with the memory of it."""
    features = network.encode_image(images)
    found, entry = step(network, features, prompt, None, frame=0)
    selections = [
        MemorySelection((one,), (6,), (one.pointer,), (0.5,)) for one in map(entry.of_object, range(len(found.iou)))
    ]
    prediction = network.decode(network.condition(features, selections), FramePrompt.none(len(selections)))
    return entry, prediction


def test_one_channel_is_repeated(tiny_network, generator):
    grey = torch.randn(2, 1, 64, 64, generator=generator)

    one, three = tiny_network.encode_image(grey), tiny_network.encode_image(grey.expand(-1, 3, -1, -1).clone())

    assert torch.equal(one.stride4, three.stride4)
    assert torch.equal(one.stride8, three.stride8)
    assert torch.equal(one.stride16, three.stride16)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((3, 64, 64), r"images have shape \(3, 64, 64\); expected \(frames, 1 or 3 channels, S, S\), square"),
        ((1, 2, 64, 64), r"shape \(1, 2, 64, 64\)"),
        ((1, 3, 64, 96), r"shape \(1, 3, 64, 96\)"),
    ],
)
def test_images_of_a_wrong_shape_are_refused(tiny_network, shape, message):
    with pytest.raises(ShapeError, match=message):
        tiny_network.encode_image(torch.zeros(shape))


def test_a_side_that_the_stages_cannot_divide_is_refused(tiny_network):
    with pytest.raises(ConfigurationError, match="input side is 100 pixels; it must be a positive multiple of 32"):
        tiny_network.encode_image(torch.zeros(1, 3, 100, 100))


def test_frames_are_encoded_independently(tiny_network, generator):
    images = torch.randn(3, 3, 64, 64, generator=generator)

    together = tiny_network.encode_image(images)

    alone = tiny_network.encode_image(images[1:2])
    torch.testing.assert_close(together.take(slice(1, 2)).stride16, alone.stride16, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(together.take(slice(1, 2)).stride4, alone.stride4, atol=1e-4, rtol=1e-4)


def test_memory_changes_what_is_seen_only_through_stride_16(tiny_network, generator):
    features = tiny_network.encode_image(torch.randn(1, 3, 64, 64, generator=generator))
    _, entry = step(tiny_network, features, box_and_click(0.5), None, frame=0)

    conditioned = tiny_network.condition(features, [MemorySelection((entry.of_object(1),), (0,))])
    fresh = tiny_network.condition(features, None)

    assert torch.equal(conditioned.stride4, features.stride4)
    assert torch.equal(fresh.stride8, features.stride8)
    assert torch.equal(fresh.stride16, features.stride16 + tiny_network.no_memory)
    assert not torch.allclose(conditioned.stride16, fresh.stride16, atol=0.1)


def everything(network: Sam2Network, images: Tensor) -> Tensor:
    """A number that every parameter has a part in: all kinds of prompts, objects here and gone, a frame with a past."""
    features = network.encode_image(images)
    first = features.take(slice(0, 1))
    prompt = box_and_click(0.5)
    fresh, entry = step(network, first, prompt, None, 0, present=torch.tensor([True, False]))
    mask = (torch.arange(64) < 30).float().expand(2, 1, 64, 64)
    drawn, drawn_entry = step_with_mask(network, first, mask, 1)
    banks = [FifoBank(), FifoBank()]
    for row, bank in enumerate(banks):
        bank.add_prompted(entry.of_object(row))
        bank.add(drawn_entry.of_object(row))
    second = features.take(slice(1, 2))
    memory = [bank.select(MemoryQuery(2, 1, 3, second.stride16)) for bank in banks]
    corrected = replace(prompt, mask=fresh.candidates.logits[:, :1])
    again, _ = step(network, second, corrected, memory, 2)
    tracked, last = step(network, second, FramePrompt.none(2), memory, 2)
    parts = [fresh.candidates, again.candidates, tracked.candidates]
    outputs = [one for part in parts for one in (part.logits, part.iou, part.object_score)]
    outputs += [last.features, last.pointer, drawn.pointer, drawn_entry.features]
    weights = torch.Generator().manual_seed(1)
    return sum((one.float() * torch.randn(one.shape, generator=weights)).mean() for one in outputs)


@pytest.mark.parametrize(
    "config", [SMALL, replace(SMALL, timed_memory=False), PRESETS["starter"]], ids=["2.1", "2.0", "starter"]
)
def test_backward_reaches_every_parameter(config, generator):
    torch.manual_seed(0)
    network = Sam2Network(config).train()
    randomise(network, seed=0)
    torch.nn.init.constant_(network.mask_decoder.object_score_head.layers[-1].bias, 5.0)  # what it sees is present

    loss = everything(network, torch.randn(2, 3, 64, 64, generator=generator))
    loss.backward()

    assert loss.isfinite()
    unreached = [
        name
        for name, parameter in network.named_parameters()
        if parameter.grad is None or not parameter.grad.isfinite().all() or not parameter.grad.any()
    ]
    assert unreached == []


def nearness(found: Tensor, expected: Tensor) -> float:
    """Their correlation."""
    return float(torch.corrcoef(torch.stack((found.detach().float().flatten(), expected.detach().flatten())))[0, 1])


@pytest.mark.parametrize("config", [SMALL, PRESETS["starter"]], ids=["small", "starter"])
def test_bfloat16_weights_stay_near_float32(config, generator):
    torch.manual_seed(0)
    network = Sam2Network(config).eval().requires_grad_(False)
    randomise(network, seed=0)
    images = torch.randn(1, 3, 64, 64, generator=generator)
    entry, prediction = two_frames(network, images, box_and_click(0.5))

    rounded = copy.deepcopy(network).in_precision(torch.bfloat16)
    rounded_entry, rounded_prediction = two_frames(rounded, images, box_and_click(0.5))

    assert (rounded.precision, rounded.dtype) == (torch.bfloat16, torch.float32)
    large = ("image_encoder.", "neck.", "memory_layout.", "memory_attention.", "memory_encoder.")
    for key, tensor in rounded.state_dict().items():
        assert tensor.dtype == (torch.bfloat16 if key.startswith(large) else torch.float32), key
    assert rounded_prediction.logits.dtype == torch.float32
    assert nearness(rounded_entry.features, entry.features.float()) > 0.98
    assert nearness(rounded_prediction.logits, prediction.logits) > 0.98


@pytest.mark.parametrize("config", [SMALL, PRESETS["starter"]], ids=["small", "starter"])
def test_autocast_stays_near_float32_and_trains(config, generator):
    torch.manual_seed(0)
    network = Sam2Network(config).train()
    randomise(network, seed=0)
    images = torch.randn(1, 3, 64, 64, generator=generator)
    entry, prediction = two_frames(network, images, box_and_click(0.5))

    with torch.autocast("cpu", torch.bfloat16):
        cast_entry, cast_prediction = two_frames(network, images, box_and_click(0.5))
    cast_prediction.logits.float().square().mean().backward()

    assert nearness(cast_entry.features, entry.features.float()) > 0.98
    assert nearness(cast_prediction.logits, prediction.logits) > 0.98
    assert network.image_encoder.patch_embedding.weight.grad.isfinite().all()


def test_where_the_network_is(tiny_network):
    assert tiny_network.device == torch.device("cpu")
    assert tiny_network.dtype == torch.float32


def test_features_are_typed(tiny_network):
    assert isinstance(tiny_network.encode_image(torch.zeros(1, 1, 32, 32)), ImageFeatures)


def test_what_varies_with_the_configuration():
    timed, untimed = (
        Sam2Network(NetworkConfig(**{**SMALL.to_dict(), "timed_memory": timed})) for timed in (True, False)
    )

    assert timed.state_dict().keys() - untimed.state_dict().keys() == {
        "no_object_memory",
        "memory_layout.pointer_time.weight",
        "memory_layout.pointer_time.bias",
    }
