import re

import numpy as np
import pytest

from medsam2.errors import PromptError
from medsam2.prompts import BoxPrompt, CoordinateSpace, PointPrompt, parse_box, parse_point
from medsam2.spatial import Geometry

VOLUME = Geometry((9, 20, 30), np.eye(4))
IMAGE = Geometry((1, 20, 30), np.eye(4))


@pytest.mark.parametrize(
    ("text", "geometry", "expected"),
    [
        ("1,2,3", VOLUME, PointPrompt(1, 2, 3)),
        (" 1, 2 ,3,0", VOLUME, PointPrompt(1, 2, 3, positive=False)),
        ("1.5,2e0,3", VOLUME, PointPrompt(1.5, 2, 3)),
        ("4,5", IMAGE, PointPrompt(4, 5, 0)),
        ("4,5,0", IMAGE, PointPrompt(4, 5, 0, positive=False)),
        ("4,5,0,1", IMAGE, PointPrompt(4, 5, 0)),
    ],
)
def test_points(text, geometry, expected):
    assert parse_point(text, geometry) == expected


def test_whole_numbers_stay_integers():
    assert repr(parse_point("1,2,3", VOLUME)) == "PointPrompt(i=1, j=2, k=3, positive=True)"


@pytest.mark.parametrize("space", [CoordinateSpace.RAS, "ras"])
def test_points_in_mm(space):
    assert parse_point("-4.2,-5.4,3.4,1", VOLUME, space) == PointPrompt(4, 5, 3)


def test_boxes():
    assert parse_box("1,2,3,4,5,3", VOLUME) == BoxPrompt(1, 2, 3, 4, 5, 3)
    assert parse_box("1,2,4,5", IMAGE) == BoxPrompt(1, 2, 0, 4, 5, 0)
    assert parse_box("1,2,3,4,5,3.3", VOLUME, CoordinateSpace.LPS) == BoxPrompt(1, 2, 3, 4, 5, 3)


@pytest.mark.parametrize(
    ("text", "wrong"),
    [("1,2,x", "x"), ("1,,3", ""), ("", ""), ("1;2;3", "1;2;3"), ("1,nan,3", "nan"), ("1,2,inf", "inf")],
)
def test_words_that_are_no_numbers(text, wrong):
    message = f"point '{text}': '{wrong}' is not a number; expected finite numbers between commas."
    with pytest.raises(PromptError, match=re.escape(message)):
        parse_point(text, VOLUME)


def test_messages_quote_the_text():
    with pytest.raises(PromptError, match=re.escape("point '1,2' has 2 numbers; expected i,j,k or i,j,k,label")):
        parse_point("1,2", VOLUME)
    with pytest.raises(PromptError, match=re.escape("box '1,2,3' has 3 numbers; expected the six")):
        parse_box("1,2,3", VOLUME)
    with pytest.raises(PromptError, match=re.escape("box '1,a': 'a' is not a number")):
        parse_box("1,a", VOLUME)
