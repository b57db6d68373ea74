"""Simulated prompts must be ones that a user could have given."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from medsam2.network.outputs import PointKind
from medsam2.training.prompting import (
    BOX_JITTER,
    EROSION_STEPS,
    PromptMix,
    corrective_clicks,
    depth,
    first_prompts,
    interior_points,
    jittered_boxes,
)

SIDE = 32


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@st.composite
def shapes(draw, least=1):
    """Masks (B, SIDE, SIDE) of rectangles and noise, none of them empty."""
    count, seed = draw(st.integers(least, 4)), draw(st.integers(0, 2**31))
    generator = seeded(seed)
    found = torch.zeros(count, SIDE, SIDE, dtype=torch.bool)
    for index in range(count):
        top, left, height, width = (int(torch.randint(low, SIDE, (), generator=generator)) for low in (0, 0, 1, 1))
        found[index, top : top + height, left : left + width] = True
        if draw(st.booleans()):
            found[index] &= torch.rand(SIDE, SIDE, generator=generator) < 0.3
        found[index, top, left] = True
    return found


def extent(mask):
    rows, columns = mask.nonzero().T
    return columns.min(), rows.min(), columns.max(), rows.max()


@settings(deadline=None)
@given(shapes(), st.integers(0, 1000), st.floats(0, 1))
def test_clicks_lie_in_their_objects(truth, seed, central):
    points = interior_points(truth, seeded(seed), central)
    assert points.shape == (len(truth), 2)
    for mask, (x, y) in zip(truth, points.long().tolist(), strict=True):
        assert mask[y, x]


def test_central_clicks_lie_in_the_middle():
    mask = torch.zeros(1, 64, 64, dtype=torch.bool)
    mask[0, 8:40, 20:52] = True
    for seed in range(20):
        x, y = interior_points(mask, seeded(seed), central=1.0)[0].tolist()
        assert abs(x - 35.5) <= 8
        assert abs(y - 23.5) <= 8


def test_other_clicks_lie_anywhere():
    mask = torch.zeros(200, SIDE, SIDE, dtype=torch.bool)
    mask[:, 4:28, 4:28] = True
    points = interior_points(mask, seeded(), central=0.0)
    assert points.amin() <= 6
    assert points.amax() >= 25
    assert len(points.unique(dim=0)) > 100


def test_an_empty_mask_gives_the_corner():
    assert interior_points(torch.zeros(2, SIDE, SIDE, dtype=torch.bool), seeded(), 0.5).tolist() == [[0, 0], [0, 0]]


@settings(deadline=None)
@given(shapes(), st.integers(0, 1000))
def test_boxes_lie_around_their_objects(truth, seed):
    boxes = jittered_boxes(truth, seeded(seed))
    assert boxes.shape == (len(truth), 2, 2)
    for mask, box in zip(truth, boxes, strict=True):
        x0, y0, x1, y1 = (float(one) for one in extent(mask))
        off_x, off_y = (2 * BOX_JITTER * (side + 1) + 1e-4 for side in (x1 - x0, y1 - y0))
        (left, top), (right, bottom) = box.tolist()
        assert 0 <= left <= right <= SIDE - 1
        assert 0 <= top <= bottom <= SIDE - 1
        assert abs(left - x0) <= off_x
        assert abs(right - x1) <= off_x
        assert abs(top - y0) <= off_y
        assert abs(bottom - y1) <= off_y


def test_boxes_are_right_on_average():
    mask = torch.zeros(2000, SIDE, SIDE, dtype=torch.bool)
    mask[:, 10:21, 8:19] = True
    mean = jittered_boxes(mask, seeded()).mean(0)
    torch.testing.assert_close(mean, torch.tensor([[8.0, 10.0], [18.0, 20.0]]), rtol=0, atol=0.1)


def test_depth_counts_cells_from_the_edge():
    mask = torch.zeros(1, 64, 64, dtype=torch.bool)
    mask[0, 8:56, 8:56] = True  # 12 x 12 cells
    found = depth(mask)
    assert found.shape == (1, 64, 64)
    assert found[0, 10, 10] == pytest.approx(1, abs=0.5)
    assert found[0, 31, 31] == pytest.approx(6, abs=0.5)
    assert found[0, 0, 0] == 0
    middle = found[0].flatten().argmax()
    assert abs(middle // 64 - 31.5) <= 4
    assert abs(middle % 64 - 31.5) <= 4


def test_depth_counts_the_border_of_the_image_as_edge():
    found = depth(torch.ones(1, 64, 64, dtype=torch.bool))[0]
    assert found[1, 32] == pytest.approx(1, abs=0.5)
    assert found.max() == pytest.approx(8, abs=0.5)


def test_depth_has_a_limit():
    assert depth(torch.ones(1, 128, 128, dtype=torch.bool)).max() == EROSION_STEPS + 1


def test_deeper_is_greater_for_a_thicker_object():
    masks = torch.zeros(2, SIDE, SIDE, dtype=torch.bool)
    masks[0, 8:24, 8:24] = True
    masks[1, 12:18, 4:28] = True
    thick, thin = depth(masks).flatten(1).amax(1)
    assert thick > thin > 0


MIXES = {"box": PromptMix(1, 0, 0), "mask": PromptMix(0, 1, 0), "click": PromptMix(0, 0, 0.5)}


@pytest.mark.parametrize("kind", MIXES)
@settings(max_examples=20, deadline=None)
@given(truth=shapes(), seed=st.integers(0, 1000))
def test_first_prompts_of_one_kind(kind, truth, seed):
    prompts = first_prompts(truth, MIXES[kind], seeded(seed))
    assert len(prompts) == len(truth)
    for mask, prompt in zip(truth, prompts, strict=True):
        if kind == "mask":
            assert torch.equal(prompt.drawn[0] > 0, mask)
            assert prompt.kinds.tolist() == [PointKind.PADDING]
            continue
        expected = [PointKind.BOX_FIRST, PointKind.BOX_LAST] if kind == "box" else [PointKind.POSITIVE]
        assert prompt.kinds.tolist() == expected
        assert prompt.drawn is None
        assert prompt.points.shape == (len(expected), 2)
        assert not prompt.remembers


def test_prompts_are_mixed_as_asked():
    truth = torch.ones(2000, 8, 8, dtype=torch.bool)
    prompts = first_prompts(truth, PromptMix(box=0.4, mask=0.2), seeded())
    drawn = sum(one.drawn is not None for one in prompts) / 2000
    boxes = sum(len(one.kinds) == 2 for one in prompts) / 2000
    assert boxes == pytest.approx(0.4, abs=0.04)
    assert drawn == pytest.approx(0.2, abs=0.04)


def test_the_same_seed_gives_the_same_prompts():
    truth = torch.ones(6, 16, 16, dtype=torch.bool)
    first, again, other = (first_prompts(truth, PromptMix(), seeded(seed)) for seed in (1, 1, 2))
    assert all(torch.equal(a.points, b.points) for a, b in zip(first, again, strict=True))
    assert not all(
        a.points.shape == b.points.shape and torch.equal(a.points, b.points) for a, b in zip(first, other, strict=True)
    )


def answer_of(mask):
    """Logits at stride 4 of a mask of whole cells."""
    return torch.where(mask[:, 2::4, 2::4], 10.0, -10.0)


def block(rows, columns):
    mask = torch.zeros(1, SIDE, SIDE, dtype=torch.bool)
    mask[0, slice(*rows), slice(*columns)] = True
    return mask


def test_a_missed_part_is_clicked_as_positive():
    truth, found = block((4, 28), (4, 28)), block((4, 28), (4, 16))
    points, kinds = corrective_clicks(truth, answer_of(found), seeded())
    assert (points.shape, kinds.shape) == ((1, 1, 2), (1, 1))
    assert kinds.item() == PointKind.POSITIVE
    x, y = points[0, 0].tolist()
    assert 16 <= x < 28
    assert 4 <= y < 28


def test_a_wrong_part_is_clicked_as_negative():
    truth, found = block((4, 16), (4, 28)), block((4, 28), (4, 28))
    points, kinds = corrective_clicks(truth, answer_of(found), seeded())
    assert kinds.item() == PointKind.NEGATIVE
    assert 16 <= points[0, 0, 1].item() < 28


def test_a_perfect_answer_is_confirmed():
    # At the corners an enlarged mask is never perfect; a stripe through the whole image is.
    truth = block((0, SIDE), (8, 24))
    points, kinds = corrective_clicks(truth, answer_of(truth), seeded())
    assert kinds.item() == PointKind.POSITIVE
    assert 8 <= points[0, 0, 0].item() < 24


@settings(deadline=None)
@given(shapes(), st.integers(0, 1000))
def test_corrective_clicks_lie_in_errors(truth, seed):
    logits = torch.randn(len(truth), SIDE // 4, SIDE // 4, generator=seeded(seed))
    found = torch.nn.functional.interpolate(logits[:, None], truth.shape[-2:], mode="bilinear")[:, 0] > 0
    points, kinds = corrective_clicks(truth, logits, seeded(seed))
    for index, (x, y) in enumerate(points[:, 0].long().tolist()):
        positive = kinds[index].item() == PointKind.POSITIVE
        assert truth[index, y, x] == positive
        if not torch.equal(found[index], truth[index]):
            assert found[index, y, x] != positive
