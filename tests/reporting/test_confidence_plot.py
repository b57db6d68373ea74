from xml.etree import ElementTree as ET

import pytest

from medsam2.engine.volume_result import SliceConfidence
from medsam2.reporting.confidence_plot import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, confidence_plot, ticks


def slices(*confidences, first=4, prompted=()):
    return [
        SliceConfidence(first + n, value, 1.0, first + n in prompted)
        for n, value in enumerate(confidences)
        if value is not None
    ]


def drawn(*confidences, **given):
    return ET.fromstring(confidence_plot(slices(*confidences, **given), (230, 159, 0), "k"))


def test_each_slice_has_its_place():
    svg = drawn(0.0, 0.5, 1.0, prompted=(5,))
    (line,) = svg.findall("polyline")
    places = [tuple(map(float, pair.split(","))) for pair in line.get("points").split()]
    lower, upper = HEIGHT - BOTTOM, TOP

    assert places == [(LEFT, lower), ((LEFT + WIDTH - RIGHT) / 2, (lower + upper) / 2), (WIDTH - RIGHT, upper)]
    assert line.get("stroke") == "#e69f00"
    assert [dot.find("title").text for dot in svg.findall("circle")] == [
        "k = 4: 0.00",
        "k = 5: 0.50, prompted",
        "k = 6: 1.00",
    ]
    (mark,) = [one for one in svg.findall("line") if one.get("class") == "prompt"]
    assert mark.get("x1") == f"{places[1][0]:.1f}"
    assert svg.get("aria-label") == "confidence of slices k = 4 to 6"


def test_a_gap_is_not_joined_and_numbers_stay_inside():
    svg = drawn(0.2, 0.3, None, None, 1.7)
    assert len(svg.findall("polyline")) == 2
    assert min(float(dot.get("cy")) for dot in svg.findall("circle")) >= TOP


def test_of_many_slices_only_the_prompted_ones_have_dots():
    assert len(drawn(*[0.5] * 300, prompted=(40, 50)).findall("circle")) == 2


def test_one_slice_and_none():
    assert len(drawn(0.5).findall("circle")) == 1
    assert confidence_plot([], (0, 0, 0), "k") == ""


@pytest.mark.parametrize(
    ("first", "last", "expected"),
    [(0, 9, list(range(10))), (3, 3, [3]), (0, 100, [0, 20, 40, 60, 80, 100]), (0, 20000, list(range(0, 20001, 1000)))],
)
def test_ticks_are_round(first, last, expected):
    assert ticks(first, last) == expected
