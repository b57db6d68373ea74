import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from medsam2.errors import ConfigurationError, PromptError, ShapeError
from medsam2.prompts import FrameBox, FramePoint
from medsam2.prompts.simulation import box_around, corrective_click, first_click, random_click

masks = arrays(bool, st.tuples(st.integers(1, 12), st.integers(1, 12)))
some_masks = masks.filter(np.any)


def rectangle(y, x, shape=(20, 30)):
    mask = np.zeros(shape, bool)
    mask[y, x] = True
    return mask


def test_box_around_a_rectangle():
    assert box_around(rectangle(slice(3, 8), slice(10, 21))) == FrameBox(10, 3, 20, 7)


@given(some_masks)
@settings(deadline=None)
def test_the_box_is_the_smallest(mask):
    box = box_around(mask)
    inside = np.zeros_like(mask)
    inside[box.y0 : box.y1 + 1, box.x0 : box.x1 + 1] = True
    assert not (mask & ~inside).any()
    assert mask[box.y0].any()
    assert mask[box.y1].any()
    assert mask[:, box.x0].any()
    assert mask[:, box.x1].any()


@given(some_masks, st.integers(0, 5), st.integers(0, 99))
@settings(deadline=None)
def test_a_jittered_box_stays_near_and_in_the_image(mask, jitter, seed):
    exact, box = box_around(mask), box_around(mask, jitter, np.random.default_rng(seed))
    rows, columns = mask.shape
    assert 0 <= box.x0 <= box.x1 < columns
    assert 0 <= box.y0 <= box.y1 < rows
    sides = np.array([(b.x0, b.y0, b.x1, b.y1) for b in (exact, box)])
    # Sides that cross are exchanged, which moves them by at most the jitter and the other's distance.
    width, height = exact.x1 - exact.x0, exact.y1 - exact.y0
    reach = np.array([max(0, 2 * jitter - side) for side in (width, height)] * 2)
    assert (np.abs(sides[1] - sides[0]) <= jitter + reach).all()
    assert box == box_around(mask, jitter, np.random.default_rng(seed))


def test_jitter_moves_the_sides():
    mask, generator = rectangle(slice(8, 12), slice(10, 21)), np.random.default_rng(0)
    assert len({box_around(mask, 3, generator) for _ in range(20)}) > 10
    assert box_around(mask, 0, generator) == box_around(mask)


@pytest.mark.parametrize("jitter", [2, -1])
def test_jitter_needs_a_generator(jitter):
    with pytest.raises(ConfigurationError, match=f"jitter is {jitter} pixels; expected 0, or more together with a"):
        box_around(rectangle(3, 4), jitter)


def test_first_click_is_the_deepest_pixel():
    mask = rectangle(slice(5, 12), slice(10, 17))
    mask[8, 17:29] = True  # a thin tail moves the centre of mass, not the click
    assert first_click(mask) == FramePoint(13, 8)


def test_the_border_of_the_image_is_an_edge():
    assert first_click(rectangle(slice(0, 7), slice(0, 7))) == FramePoint(3, 3)
    assert first_click(np.ones((5, 5), bool)) == FramePoint(2, 2)


@given(some_masks, st.integers(0, 99))
@settings(deadline=None)
def test_clicks_lie_on_the_mask(mask, seed):
    for click in (first_click(mask), random_click(mask, np.random.default_rng(seed))):
        assert mask[click.y, click.x]
        assert click.positive


def test_random_clicks_reach_every_pixel():
    mask, generator = rectangle(slice(2, 4), slice(5, 8)), np.random.default_rng(0)
    clicks = {random_click(mask, generator) for _ in range(200)}
    assert clicks == {FramePoint(x, y) for x in (5, 6, 7) for y in (2, 3)}


@given(masks, st.data())
@settings(deadline=None)
def test_corrective_clicks_name_their_error(truth, data):
    prediction = data.draw(arrays(bool, truth.shape))
    click = corrective_click(truth, prediction)
    if click is None:
        np.testing.assert_array_equal(truth, prediction)
    else:
        assert truth[click.y, click.x] == click.positive
        assert prediction[click.y, click.x] != click.positive


def test_the_largest_error_is_clicked_first():
    truth = rectangle(slice(2, 9), slice(2, 9)) | rectangle(slice(14, 17), slice(20, 23))
    miss_all = np.zeros_like(truth)
    assert corrective_click(truth, miss_all) == FramePoint(5, 5)
    too_much = truth | rectangle(slice(0, 9), slice(15, 24))
    assert corrective_click(truth, too_much) == FramePoint(19, 4, positive=False)


def test_touching_corners_make_one_component():
    miss = rectangle(slice(0, 2), slice(0, 2)) | rectangle(slice(2, 4), slice(2, 4))  # 8 pixels in one component
    lone = rectangle(slice(10, 12), slice(10, 13))  # 6 pixels
    assert corrective_click(lone | miss, np.zeros_like(miss)) == FramePoint(0, 0)


def test_a_miss_comes_before_a_false_positive_of_its_size():
    truth, prediction = rectangle(slice(10, 13), slice(10, 13)), rectangle(slice(0, 3), slice(0, 3))
    assert corrective_click(truth, prediction) == FramePoint(11, 11)


def test_empty_masks_are_refused():
    empty = np.zeros((4, 5), bool)
    for simulate in (box_around, first_click, lambda mask: random_click(mask, np.random.default_rng(0))):
        with pytest.raises(PromptError, match="the mask is empty, so there is nothing to prompt; choose a slice"):
            simulate(empty)
    assert corrective_click(empty, empty) is None


def test_shapes_must_agree():
    with pytest.raises(ShapeError, match=r"the prediction has shape \(2, 3\), the truth \(3, 2\); expected the same"):
        corrective_click(np.zeros((3, 2), bool), np.zeros((2, 3), bool))
