import math

import pytest

from medsam2.evaluation.scores import BASELINES, COLUMNS, Comparison, StructureScores, comparisons, is_known, means


def row(**values):
    return StructureScores("case", "organ", 1, "axial", 3, 20, values)


def test_means_are_of_what_is_known():
    rows = [row(box=0.5, click=math.nan), row(box=1.0), row(flood=0.25)]
    assert means(rows) == {"box": (0.75, 2), "flood": (0.25, 1)}
    assert means([]) == {}


def test_comparisons_by_hand():
    rows = [
        row(box=0.8, ellipse=0.7, otsu=0.9),
        row(box=0.6, ellipse=0.6, otsu=math.nan),
        row(box=0.9, ellipse=0.2),
        row(click=0.5, flood=math.nan),
    ]
    assert comparisons(rows) == {
        "box": [
            Comparison("ellipse", pytest.approx(0.5), pytest.approx(2 / 3), 3),  # to be equal is not to be better
            Comparison("otsu", 0.9, 0.0, 1),
        ]
    }


def test_every_name_is_a_column():
    assert set(BASELINES) | {name for names in BASELINES.values() for name in names} <= set(COLUMNS)
    assert all(COLUMNS[name].startswith("baseline") for names in BASELINES.values() for name in names)


def test_known():
    assert is_known({"box": 0.0}, "box")
    assert not is_known({"box": math.nan}, "box")
    assert not is_known({}, "box")
