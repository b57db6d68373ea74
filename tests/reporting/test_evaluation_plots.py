"""Plots are read back as XML: where things lie is what they say."""

import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medsam2.reporting.evaluation_plots import LEFT, RIGHT, WIDTH, Dot, Strip, scatter_plot, strip_plot


def all_of(svg, kind):
    return [one for one in ET.fromstring(svg).iter() if one.get("class") == kind]


def titles(elements):
    return [one.find("title").text for one in elements]


def test_dots_lie_at_their_scores_and_the_box_at_the_quartiles():
    dots = [Dot(f"case {n}", n / 4) for n in range(5)]
    svg = strip_plot([Strip("liver", dots, [("ellipse", 0.5)])], "Dice")
    field = WIDTH - LEFT - RIGHT
    assert [float(one.get("cx")) for one in all_of(svg, "dot")] == [LEFT + field * n / 4 for n in range(5)]
    assert titles(all_of(svg, "dot"))[1] == "case 1: 0.250"
    (box,) = all_of(svg, "quartiles")
    assert (float(box.get("x")), float(box.get("width"))) == (LEFT + field / 4, field / 2)
    (median,) = all_of(svg, "median")
    assert float(median.get("x1")) == LEFT + field / 2
    assert titles(all_of(svg, "mark")) == ["mean of ellipse: 0.500"]
    assert "n = 5" in svg


def test_equal_dots_of_a_row_do_not_cover_each_other():
    svg = strip_plot([Strip("liver", [Dot("a", 0.5), Dot("b", 0.5), Dot("c", 0.5)])], "Dice")
    assert len({one.get("cy") for one in all_of(svg, "dot")}) == 3


def test_names_are_told_whatever_they_hold():
    name = "<vena cava> & the portal, splenic veins"
    svg = strip_plot([Strip(name, [Dot("a<b", 1.0)])], "Dice")
    texts = [one for one in ET.fromstring(svg).iter() if one.tag.endswith("text") and one.find("title") is not None]
    assert titles(texts) == [name]
    assert titles(all_of(svg, "dot")) == ["a<b: 1.000"]


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(1e-3, 1e6)), min_size=1, max_size=20))
def test_dots_stay_inside_the_field_whatever_their_size(pairs):
    svg = scatter_plot([Dot("a", score, size) for score, size in pairs], "Dice", "mL")
    grid = all_of(svg, "grid")
    xs, ys = ([float(one.get(end)) for one in grid for end in ends] for ends in (("x1", "x2"), ("y1", "y2")))
    for dot in all_of(svg, "dot"):
        assert min(xs) - 0.1 <= float(dot.get("cx")) <= max(xs) + 0.1
        assert min(ys) - 0.1 <= float(dot.get("cy")) <= max(ys) + 0.1


def test_sizes_are_logarithmic():
    svg = scatter_plot([Dot("a", 0.5, 1.0), Dot("b", 0.5, 10.0), Dot("c", 0.5, 100.0)], "Dice", "mL")
    first, middle, last = (float(one.get("cx")) for one in all_of(svg, "dot"))
    assert middle - first == pytest.approx(last - middle)
    assert titles(all_of(svg, "dot"))[2] == "c: 0.500, 100"
