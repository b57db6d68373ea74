import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from medsam2.frames import resize_image, resize_logits, resize_mask
from medsam2.frames.resizing import move_logits

sizes = st.integers(1, 20)


def ramp(rows, columns):
    y, x = torch.meshgrid(torch.arange(rows) + 0.5, torch.arange(columns) + 0.5, indexing="ij")
    return torch.stack([x / columns, y / rows])


def test_a_frame_is_stretched_to_the_square():
    resized = resize_image(ramp(10, 40)[None], 20)
    assert resized.shape == (1, 2, 20, 20)
    # Pixel centres keep their share of the frame, away from the border.
    torch.testing.assert_close(resized[0, :, 2:-2, 2:-2], ramp(20, 20)[:, 2:-2, 2:-2], atol=1e-2, rtol=0)


def test_shrinking_an_image_averages_but_logits_are_picked():
    stripes = torch.zeros(1, 1, 64, 64)
    stripes[..., ::8] = 8.0
    image = resize_image(stripes, 8)
    assert image.std() < 0.5
    torch.testing.assert_close(image.mean(), torch.tensor(1.0), atol=0.2, rtol=0)
    assert resize_logits(stripes, (8, 8)).unique().tolist() == [0.0]


@given(sizes, sizes, sizes)
@settings(deadline=None, max_examples=30)
def test_constants_stay_constant(rows, columns, size):
    torch.testing.assert_close(
        resize_image(torch.full((2, 3, rows, columns), 0.3), size), torch.full((2, 3, size, size), 0.3)
    )
    torch.testing.assert_close(
        resize_logits(torch.full((2, rows, columns), -4.5), (size, 7)), torch.full((2, size, 7), -4.5)
    )
    assert resize_mask(torch.ones(rows, columns, dtype=torch.bool), size).all()


@pytest.mark.parametrize("leading", [(), (1,), (3,), (2, 3), (0,), (2, 0)])
def test_leading_dimensions_are_kept(leading):
    assert resize_logits(torch.zeros(*leading, 4, 6), (9, 5)).shape == (*leading, 9, 5)
    assert resize_mask(torch.zeros(*leading, 4, 6, dtype=torch.bool), 9).shape == (*leading, 9, 9)


def test_leading_dimensions_are_not_mixed():
    logits = torch.randn(2, 3, 4, 6, generator=torch.Generator().manual_seed(0))
    resized = resize_logits(logits, (9, 5))
    torch.testing.assert_close(resized[1, 2], resize_logits(logits[1, 2], (9, 5)))


def test_the_same_size_is_exact():
    image = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    assert torch.equal(resize_image(image, 8), image)
    assert torch.equal(resize_logits(image, (8, 8)), image)


@given(st.integers(2, 12), st.integers(2, 12), st.data())
@settings(deadline=None, max_examples=30)
def test_masks_grow_by_whole_factors_to_the_pixel_inside(rows, columns, data):
    y0, y1 = sorted(data.draw(st.tuples(*[st.integers(0, rows - 1)] * 2)))
    x0, x1 = sorted(data.draw(st.tuples(*[st.integers(0, columns - 1)] * 2)))
    mask = torch.zeros(rows, columns, dtype=torch.bool)
    mask[y0 : y1 + 1, x0 : x1 + 1] = True
    size = rows * columns
    grown = resize_mask(mask, size)
    assert grown.dtype == torch.bool
    expected = np.zeros((size, size), bool)
    expected[y0 * columns : (y1 + 1) * columns, x0 * rows : (x1 + 1) * rows] = True
    # Corners are rounded off: a quarter of a coarse pixel may be lost there, nothing is gained.
    assert not (grown.numpy() & ~expected).any()
    assert (expected & ~grown.numpy()).sum() <= 4 * (rows / 2) * (columns / 2)


def test_logits_keep_their_gradient():
    logits = torch.zeros(1, 4, 4, requires_grad=True)
    resize_logits(logits, (9, 9)).sum().backward()
    assert logits.grad.sum().item() == pytest.approx(81)


WHOLE = torch.tensor([[0.0, 0.0, 1.0, 1.0]])


def test_the_same_part_gives_the_same_logits():
    logits = torch.randn(2, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    region = torch.tensor([[0.1, 0.2, 0.6, 0.7], [0.0, 0.0, 1.0, 1.0]])
    torch.testing.assert_close(move_logits(logits, region, region, outside=-10.0), logits)


def test_a_quarter_of_a_frame_seen_from_near():
    logits = torch.arange(16.0).view(1, 1, 4, 4)
    quarter = torch.tensor([[0.5, 0.0, 1.0, 0.5]])  # the upper right one
    near = move_logits(logits, WHOLE, quarter, outside=-10.0)
    # Cells of the quarter are half as wide; their centres lie 1/4 and 3/4 of the way between those of the whole.
    torch.testing.assert_close(near[0, 0, 1:3, 1:3], torch.tensor([[3.25, 3.75], [5.25, 5.75]]) - 0.0)


def test_what_was_not_seen_is_outside():
    left, right = torch.tensor([[0.0, 0.0, 0.5, 1.0]]), torch.tensor([[0.5, 0.0, 1.0, 1.0]])
    moved = move_logits(torch.full((1, 1, 4, 4), 7.0), left, WHOLE, outside=-10.0)
    assert moved[..., 0].unique().item() == 7.0
    assert moved[..., 3].unique().item() == -10.0
    assert move_logits(torch.full((1, 1, 4, 4), 7.0), left, right, outside=-10.0)[..., 1:].unique().item() == -10.0


def test_moving_is_exact_in_half_precision():
    logits = torch.full((1, 1, 64, 64), -8.0, dtype=torch.bfloat16)
    logits[..., 40:] = 8.0
    assert move_logits(logits, WHOLE, WHOLE, outside=-10.0).equal(logits.float())
