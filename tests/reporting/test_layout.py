import pytest
from hypothesis import given
from hypothesis import strategies as st

from medsam2.reporting.layout import (
    CONTENT_WIDTH,
    GAP,
    MARGIN,
    PAGE_WIDTH,
    ROW_HEIGHT,
    TALL_HEIGHT,
    Rectangle,
    arrange_views,
    first_beside_others,
    side_by_side,
    split_rows,
    tile_columns,
    tiles_below,
    tiles_beside,
)

ASPECTS = st.lists(st.floats(1 / 16, 16), min_size=1, max_size=3)


def overlap(one, other):
    return one.left < other.right and other.left < one.right and one.top < other.bottom and other.top < one.bottom


def assert_apart(rectangles):
    for number, one in enumerate(rectangles):
        assert one.left >= MARGIN - 2
        assert one.right <= PAGE_WIDTH - MARGIN + 2
        assert min(one.width, one.height) > 0
        assert not any(overlap(one, other) for other in rectangles[:number])


@given(ASPECTS, st.integers(0, 2))
def test_views_do_not_overlap_and_keep_their_proportions(aspects, first):
    places = arrange_views(aspects, first % len(aspects), top=40)
    assert len(places) == len(aspects)
    assert_apart(places)
    for place, aspect in zip(places, aspects, strict=True):
        assert place.top >= 40
        assert place.width == pytest.approx(place.height * aspect, abs=0.51 + 0.51 * aspect)


def test_cubes_stand_side_by_side():
    places = arrange_views([1.0, 1.0, 1.0], 0, 40)
    side = (CONTENT_WIDTH - 2 * GAP) / 3
    assert {(place.top, place.height) for place in places} == {(40, round(side))}
    assert places == side_by_side([1.0, 1.0, 1.0], 40)


def test_few_slices_stand_beside_the_plane_of_acquisition():
    places = arrange_views([1.0, 10.0, 10.0], 0, 40)
    assert places == first_beside_others([1.0, 10.0, 10.0], 0, 40)
    assert (places[0].width, places[0].height) == (ROW_HEIGHT, ROW_HEIGHT)
    assert places[1].left == places[2].left == places[0].right + GAP
    assert places[2].top == places[1].bottom + GAP
    # Together they stand at half height.
    assert (places[1].top + places[2].bottom) / 2 == pytest.approx(40 + ROW_HEIGHT / 2, abs=1)


def test_the_main_view_keeps_its_place_in_the_order():
    places = first_beside_others([8.0, 1.0, 0.25], 1, 40)
    assert places[1].left == MARGIN
    assert places[0].bottom < places[2].top


def test_a_single_view_may_be_taller():
    (place,) = arrange_views([1.0], 0, 40)
    assert place == Rectangle((PAGE_WIDTH - TALL_HEIGHT) // 2, 40, TALL_HEIGHT, TALL_HEIGHT)


@pytest.mark.parametrize(
    ("count", "columns"), [(0, 1), (1, 1), (5, 5), (6, 6), (7, 4), (8, 4), (9, 5), (12, 6), (14, 5), (15, 5), (30, 6)]
)
def test_columns(count, columns):
    assert tile_columns(count) == columns


def test_rows_are_filled_one_after_the_other():
    assert split_rows(14, 5) == [5, 5, 4]
    assert split_rows(0, 5) == []


@given(st.lists(st.integers(1, 6), min_size=1, max_size=6))
def test_tiles_below(rows):
    places = tiles_below(rows, max(rows), top=700)
    assert len(places) == sum(rows)
    assert_apart(places)
    assert len({place.top for place in places}) == len(rows)
    assert len({(place.width, place.height) for place in places}) == 1


@given(st.integers(1, 9), st.integers(300, 900))
def test_tiles_beside_stay_in_their_area(count, height):
    area = Rectangle(812, 44, 764, height)
    places = tiles_beside(count, area)
    assert len(places) == count
    assert_apart(places)
    assert max(place.right for place in places) <= area.right
    assert max(place.bottom for place in places) <= area.bottom + 3


def test_centred():
    assert Rectangle(10, 20, 100, 50).centred(40, 50) == Rectangle(40, 20, 40, 50)
