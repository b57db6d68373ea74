from itertools import combinations

import numpy as np

from medsam2.reporting.palette import PAGE, PALETTE, WHITE, object_colour


def test_colours_are_distinct_and_stand_out_on_the_page_and_on_white():
    assert len(set(PALETTE)) == len(PALETTE) == 20
    for one, other in combinations((*PALETTE, PAGE, WHITE), 2):
        assert np.abs(np.subtract(one, other)).sum() >= 50


def test_colours_come_again_after_the_last():
    assert object_colour(0) == PALETTE[0] == object_colour(20)
    assert object_colour(39) == PALETTE[19]
