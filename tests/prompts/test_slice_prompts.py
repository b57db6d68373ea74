import pytest

from medsam2.prompts import FrameBox, FramePoint, SlicePrompt


@pytest.mark.parametrize(
    ("x", "y", "inside"),
    [(2, 3, True), (4, 6, True), (1.5, 6.5, True), (1.4, 4, False), (3, 6.6, False), (5, 5, False)],
)
def test_box_contains_the_pixels_of_its_corners(x, y, inside):
    assert FrameBox(2, 3, 4, 6).contains(FramePoint(x, y)) is inside


def test_slice_prompt_is_empty_unless_told():
    prompt = SlicePrompt()
    assert prompt.points == ()
    assert prompt.box is None
    assert prompt.mask is None
