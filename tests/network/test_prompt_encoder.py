import pytest
import torch

from medsam2.network import FramePrompt, PointKind
from medsam2.network.prompt_encoder import DRAWN_LEVEL, PromptEncoder, draw

SIZE = 128
NEGATIVE, POSITIVE, FIRST, LAST, PADDING = PointKind


def prompt_of(points: list[list[tuple[float, float]]], kinds: list[list[int]]) -> FramePrompt:
    return FramePrompt(torch.tensor(points), torch.tensor(kinds))


TWO_CLICKS = prompt_of([[(10, 20), (100, 90)], [(64, 64), (3, 127)]], [[POSITIVE, NEGATIVE], [POSITIVE, POSITIVE]])
BOXES = prompt_of([[(10, 20), (100, 90)], [(0, 0), (127, 127)]], [[FIRST, LAST], [FIRST, LAST]])


@pytest.mark.parametrize("prompt", [TWO_CLICKS, BOXES], ids=["clicks", "boxes"])
def test_points_equal_the_reference(pair, prompt):
    sparse, dense = pair.network.prompt_encoder(prompt, SIZE)

    expected = pair.reference.prompt_encoder(
        input_points=prompt.points[:, None], input_labels=prompt.kinds[:, None], input_boxes=None, input_masks=None
    )
    torch.testing.assert_close(sparse, expected[0][:, 0], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(dense, expected[1])


def test_boxes_are_two_points(pair):
    sparse, _ = pair.network.prompt_encoder(BOXES, SIZE)

    expected, _ = pair.reference.prompt_encoder(
        input_points=None, input_labels=None, input_boxes=BOXES.points.flatten(1)[:, None], input_masks=None
    )
    torch.testing.assert_close(sparse, expected[:, 0], atol=1e-5, rtol=1e-5)


def test_masks_equal_the_reference(pair, generator):
    masks = 5 * torch.randn(2, 1, SIZE // 4, SIZE // 4, generator=generator)
    nothing = FramePrompt.none(2)

    sparse, dense = pair.network.prompt_encoder(FramePrompt(nothing.points, nothing.kinds, masks), SIZE)

    expected = pair.reference.prompt_encoder(
        input_points=torch.zeros(2, 1, 1, 2),
        input_labels=torch.full((2, 1, 1), -1),
        input_boxes=None,
        input_masks=masks,
    )
    torch.testing.assert_close(sparse, expected[0][:, 0])
    torch.testing.assert_close(dense, expected[1], atol=1e-5, rtol=1e-5)


def test_padding_has_no_place(pair):
    first = prompt_of([[(10, 20), (0, 0)]], [[POSITIVE, PADDING]])
    second = prompt_of([[(10, 20), (99, 77)]], [[POSITIVE, PADDING]])

    assert torch.equal(pair.network.prompt_encoder(first, SIZE)[0], pair.network.prompt_encoder(second, SIZE)[0])


@pytest.fixture
def drawing_encoder() -> PromptEncoder:
    torch.manual_seed(0)
    return PromptEncoder(64, drawn_prompts=True)


def test_a_click_is_drawn_as_a_spot():
    drawing = draw(prompt_of([[(81.5, 41.5)], [(81.5, 41.5)]], [[POSITIVE], [NEGATIVE]]), SIZE // 4)

    assert drawing.shape == (2, 1, 32, 32)
    assert float(drawing[0, 0, 10, 20]) == pytest.approx(DRAWN_LEVEL)
    assert int(drawing[0].argmax()) == 10 * 32 + 20
    assert float(drawing[0, 0, 30, 5].abs()) < 1e-3
    assert torch.equal(drawing[1], -drawing[0])


def test_a_box_is_drawn_filled():
    drawing = draw(prompt_of([[(20, 40), (60, 100)]], [[FIRST, LAST]]), SIZE // 4)[0, 0]

    rows, columns = torch.where(drawing == DRAWN_LEVEL)
    assert (int(rows.min()), int(rows.max()), int(columns.min()), int(columns.max())) == (10, 25, 5, 15)
    assert len(rows) == 16 * 11
    assert (drawing != DRAWN_LEVEL).sum() == (drawing == -DRAWN_LEVEL).sum()


def test_a_click_in_a_box_adds_to_it():
    box = prompt_of([[(20, 40), (60, 100)]], [[FIRST, LAST]])
    click = prompt_of([[(41.5, 61.5)]], [[POSITIVE]])
    both = prompt_of([[(20, 40), (60, 100), (41.5, 61.5)]], [[FIRST, LAST, POSITIVE]])

    torch.testing.assert_close(draw(both, 32), draw(box, 32) + draw(click, 32))


def test_padding_draws_nothing():
    assert not draw(FramePrompt.none(2), 32).any()


def test_objects_without_a_prompt_get_the_embedding_for_no_mask(drawing_encoder):
    prompt = prompt_of([[(10, 20)], [(10, 20)]], [[POSITIVE], [PADDING]])

    _, dense = drawing_encoder(prompt, SIZE)

    none = drawing_encoder.no_mask.weight[0, :, None, None].expand(-1, 8, 8)
    assert torch.equal(dense[1], none)
    assert not torch.equal(dense[0], none)


def test_drawn_prompts_add_to_a_mask(drawing_encoder):
    mask = torch.full((2, 1, 32, 32), -3.0)
    with_mask = FramePrompt(TWO_CLICKS.points, TWO_CLICKS.kinds, mask)

    _, dense = drawing_encoder(with_mask, SIZE)

    torch.testing.assert_close(dense, drawing_encoder.mask_encoder(draw(TWO_CLICKS, 32) + mask))


def test_a_mask_without_points_is_not_dropped(drawing_encoder):
    nothing, mask = FramePrompt.none(1), torch.ones(1, 1, 32, 32)

    _, dense = drawing_encoder(FramePrompt(nothing.points, nothing.kinds, mask), SIZE)

    torch.testing.assert_close(dense, drawing_encoder.mask_encoder(mask))


def test_sam2_adds_nothing_to_the_fine_maps(pair):
    assert pair.network.prompt_encoder.fine(TWO_CLICKS, SIZE) is None


def test_drawn_prompts_reach_the_fine_maps_of_prompted_objects(drawing_encoder):
    prompt = prompt_of([[(10, 20)], [(10, 20)]], [[POSITIVE], [PADDING]])

    stride4, stride8 = drawing_encoder.fine(prompt, SIZE)

    assert (stride4.shape, stride8.shape) == ((2, 8, 32, 32), (2, 16, 16, 16))
    assert stride4[0].any()
    assert stride8[0].any()
    assert not stride4[1].any()
    assert not stride8[1].any()


def test_louder_masks_do_not_drown_the_fine_maps(drawing_encoder):
    nothing = FramePrompt.none(1)
    masks = [FramePrompt(nothing.points, nothing.kinds, torch.full((1, 1, 32, 32), level)) for level in (50.0, 1000.0)]

    loud, louder = (drawing_encoder.fine(mask, SIZE)[0] for mask in masks)

    torch.testing.assert_close(loud, louder)
