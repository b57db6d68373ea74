import numpy as np
import pytest

from medsam2.prompts import FrameBox, FramePoint, SlicePrompt
from medsam2.reporting.palette import NEGATIVE, PALETTE, POSITIVE, WHITE
from medsam2.reporting.panel import FILL_OPACITY, Panel
from medsam2.reporting.viewport import Region, Viewport, whole_frame

GREY = 102
COLOUR = PALETTE[0]


@pytest.fixture
def panel():
    """A grey frame of 20 rows and 30 columns, ten pixels to each."""
    return Panel(np.full((20, 30), 0.4, np.float32), Viewport(whole_frame((20, 30)), 300, 200))


def pixels(panel):
    return np.asarray(panel.image()).astype(int)


def changed(panel):
    return (pixels(panel) != GREY).any(axis=2)


def shows(panel, colour):
    return (np.abs(pixels(panel) - colour) <= 3).all(axis=2)


def rectangle(mask):
    rows, columns = np.nonzero(mask)
    return rows.min(), rows.max(), columns.min(), columns.max()


def mask(rows, columns):
    result = np.zeros((20, 30), bool)
    result[rows, columns] = True
    return result


def test_frames_in_grey_and_colours():
    grey = Panel(np.array([[0.0, 1.0]], np.float32), Viewport(whole_frame((1, 2)), 2, 1)).image()
    assert (grey.mode, grey.size) == ("RGB", (2, 1))
    assert np.asarray(grey).tolist() == [[[0, 0, 0], [255, 255, 255]]]
    red = Panel(np.array([[[1.0, 0, 0]]], np.float32), Viewport(whole_frame((1, 1)), 4, 4)).image()
    assert np.asarray(red)[2, 2].tolist() == [255, 0, 0]


def test_enlarged_frames_have_no_steps_and_keep_their_mean():
    frame = np.zeros((20, 20), np.float32)
    frame[:, 10:] = 1
    row = np.asarray(Panel(frame, Viewport(whole_frame((20, 20)), 200, 200)).image())[100, :, 0].astype(int)
    assert np.diff(row).max() < 40
    assert row.mean() == pytest.approx(127.5, abs=1)


def test_an_object_is_filled_lightly_inside_its_contour(panel):
    panel.draw_object(mask(np.s_[5:15], np.s_[10:20]), COLOUR)
    centre = np.array(COLOUR) * FILL_OPACITY + GREY * (1 - FILL_OPACITY)
    assert pixels(panel)[100, 150] == pytest.approx(centre, abs=1)
    assert rectangle(shows(panel, COLOUR)) == pytest.approx((50, 149, 100, 199), abs=1)
    assert rectangle(changed(panel)) == pytest.approx((49, 150, 99, 200), abs=2)


def test_an_object_beyond_the_edge_of_the_view_is_cut():
    viewport = Viewport(Region(0, 0, 15, 20), 150, 200)
    panel = Panel(np.full((20, 30), 0.4, np.float32), viewport)
    panel.draw_object(mask(np.s_[5:15], np.s_[10:20]), COLOUR)
    assert changed(panel)[100, 149]
    assert not changed(panel)[100, 90]


@pytest.mark.parametrize("columns", [np.s_[0:0], np.s_[25:28]])
def test_what_is_empty_or_out_of_view_leaves_no_trace(columns):
    panel = Panel(np.full((20, 30), 0.4, np.float32), Viewport(Region(0, 0, 15, 20), 150, 200))
    nothing = mask(np.s_[5:8], columns)
    panel.draw_object(nothing, COLOUR)
    panel.draw_reference(nothing)
    panel.draw_mask_prompt(SlicePrompt(mask=nothing))
    panel.draw_mask_prompt(SlicePrompt())
    assert not changed(panel).any()


def test_a_box_is_drawn_dashed_around_its_pixels(panel):
    panel.draw_box_and_clicks(SlicePrompt(box=FrameBox(10, 5, 19, 14)))
    white = shows(panel, WHITE)
    assert rectangle(white) == (50, 149, 100, 199)
    for side in (white[50, 100:200], white[149, 100:200], white[50:150, 100], white[50:150, 199]):
        assert 0.4 < side.mean() < 0.8
    assert not changed(panel)[60:140, 110:190].any()


def test_clicks_are_green_inside_and_red_outside(panel):
    panel.draw_box_and_clicks(SlicePrompt(points=(FramePoint(4, 5), FramePoint(20, 15, positive=False))))
    for colour, x, y in ((POSITIVE, 45, 55), (NEGATIVE, 205, 155)):
        rows, columns = np.nonzero(shows(panel, colour))
        assert (rows.mean(), columns.mean()) == pytest.approx((y - 0.5, x - 0.5), abs=0.6)
        assert 70 < rows.size < 110
    assert shows(panel, WHITE).any()


def test_clicks_at_the_edge_and_out_of_view_do_not_matter(panel):
    panel.draw_box_and_clicks(SlicePrompt(points=(FramePoint(0, 0), FramePoint(29, 19), FramePoint(-9, 50))))
    assert changed(panel)[5, 5]
    assert changed(panel)[195, 295]
    assert not changed(panel)[30:170].any()


def test_a_reference_is_dotted(panel):
    panel.draw_reference(mask(np.s_[5:15], np.s_[10:20]))
    white = shows(panel, WHITE)
    top, bottom, left, right = rectangle(white)
    assert (top, bottom, left, right) == pytest.approx((50, 149, 100, 199), abs=4)
    assert 0.1 < white[48:53, 105:195].any(axis=0).mean() < 0.6
    assert not changed(panel)[60:140, 110:190].any()


def test_the_result_s_contour_lies_on_a_drawn_mask(panel):
    drawn = mask(np.s_[5:15], np.s_[10:20])
    panel.draw_mask_prompt(SlicePrompt(mask=drawn))
    assert shows(panel, WHITE)[100, 98:102].all()
    panel.draw_object(drawn, COLOUR)
    assert pixels(panel)[100, 100] == pytest.approx(COLOUR, abs=25)
    assert pixels(panel)[100, 97].mean() > GREY
