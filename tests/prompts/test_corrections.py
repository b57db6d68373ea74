import numpy as np
import pytest

from medsam2.errors import PromptError
from medsam2.prompts import BoxPrompt, FrameBox, FramePoint, MaskPrompt, ObjectPrompts, PointPrompt
from medsam2.prompts.corrections import with_corrections
from medsam2.prompts.resolution import resolve_object
from medsam2.spatial import Geometry, Plane, PlaneView

SHAPE = (9, 20, 30)
BOX = BoxPrompt(5, 5, 4, 12, 12, 4)


@pytest.fixture(params=[1.0, -1.0], ids=["upward", "downward"])
def view(request):
    """The slices of a file, stored from below or from above."""
    return PlaneView.of(Geometry(SHAPE, np.diag([1.0, request.param, request.param * 3, 1.0])), Plane.AXIAL)


@pytest.fixture
def found(view):
    """On slices k = 3..5 of the file, as frames of the view."""
    array = np.zeros(SHAPE, bool)
    array[3:6, 6:11, 7:15] = True
    return view.to_frames(array)


def slices_of(prompts, view):
    """By the file's slice, what is prompted on it."""
    resolved = resolve_object(prompts, view.geometry, Plane.AXIAL, Plane.AXIAL)
    last = view.frame_count - 1
    return {last - t if view.flipped[0] else t: prompt for t, prompt in resolved.slices.items()}


def corrected(view, found, *clicks, **prompts):
    given = prompts or {"boxes": (BOX,)}
    return with_corrections(ObjectPrompts("liver", 1, **given), clicks, found, view)


def test_a_negative_click_is_joined_by_the_box_around_what_was_found(view, found):
    after = corrected(view, found, PointPrompt(8, 7, 5, positive=False))
    assert after.boxes == (BOX, BoxPrompt(7, 6, 5, 14, 10, 5))
    assert slices_of(after, view)[5].points[0].positive is False


def test_the_box_grows_to_positive_clicks(view, found):
    after = corrected(view, found, PointPrompt(20, 7, 5), PointPrompt(1, 1, 5, positive=False))
    assert after.boxes[1] == BoxPrompt(7, 6, 5, 20, 10, 5)
    assert len(slices_of(after, view)[5].points) == 2


def test_a_slice_that_is_prompted_keeps_its_prompt(view, found):
    after = corrected(view, found, PointPrompt(8, 8, 4, positive=False))
    assert after.boxes == (BOX,)
    assert [point.positive for point in slices_of(after, view)[4].points] == [False]


def test_a_slice_that_is_clicked_already_keeps_its_clicks(view, found):
    missed = PointPrompt(25, 17, 5)
    after = corrected(view, found, PointPrompt(8, 7, 5, positive=False), points=(missed,))
    assert after.boxes == ()
    assert [point.positive for point in slices_of(after, view)[5].points] == [True, False]


def test_where_nothing_was_found_a_positive_click_stands_alone_and_a_negative_one_is_met(view, found):
    after = corrected(view, found, PointPrompt(8, 7, 0, positive=False), PointPrompt(8, 7, 1))
    slices = slices_of(after, view)
    assert set(slices) == {1, 4}
    assert slices[1].box is None


def test_clicks_on_a_drawn_slice_contradict_it(view, found):
    drawn = MaskPrompt(view.from_frames(found))
    after = corrected(view, found, PointPrompt(8, 7, 3, positive=False), masks=(drawn,))
    with pytest.raises(PromptError, match="a mask together with points"):
        slices_of(after, view)


def test_what_comes_out_can_be_resolved_whatever_is_clicked(view):
    generator = np.random.default_rng(0)
    for _ in range(30):
        found = generator.random(SHAPE) < 0.002
        places = generator.integers(0, (30, 20, 9), (6, 3))
        clicks = [
            PointPrompt(*map(int, place), positive=bool(n % 2)) for n, place in enumerate(places) if place[2] != 4
        ]
        slices = slices_of(corrected(view, found, *clicks), view)
        assert slices[4].box is not None


def test_without_clicks_nothing_changes(view, found):
    assert corrected(view, found).boxes == (BOX,)


def test_frames_count_as_the_view_does(view, found):
    prompt = corrected(view, found, PointPrompt(8, 7, 5, positive=False))
    resolved = resolve_object(prompt, view.geometry, Plane.AXIAL, Plane.AXIAL)
    (frame,) = (t for t, one in resolved.slices.items() if one.points)
    rows, columns = np.nonzero(found[frame])
    assert resolved.slices[frame].box == FrameBox(columns.min(), rows.min(), columns.max(), rows.max())
    assert isinstance(resolved.slices[frame].points[0], FramePoint)
