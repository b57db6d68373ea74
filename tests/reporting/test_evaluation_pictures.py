from io import BytesIO

import numpy as np
from PIL import Image

from medsam2.prompts import FrameBox, SlicePrompt
from medsam2.reporting.evaluation_pictures import SIDE, contour_picture
from medsam2.reporting.palette import object_colour

SHAPE = (64, 48)
GREY = np.full(SHAPE, 0.4, np.float32)


def block(*where):
    mask = np.zeros(SHAPE, bool)
    mask[where] = True
    return mask


def pixels(png):
    return np.asarray(Image.open(BytesIO(png))).astype(int)


def count_near(picture, colour):
    return int((np.abs(picture - np.array(colour)).sum(-1) < 60).sum())


def test_the_result_is_coloured_and_the_reference_dotted():
    found, reference = block(slice(20, 30), slice(10, 20)), block(slice(24, 40), slice(14, 30))
    both = pixels(contour_picture(GREY, found, reference, (1.0, 1.0)))
    assert max(both.shape[:2]) == SIDE
    assert count_near(both, object_colour(0)) > 50
    assert count_near(both, (255, 255, 255)) > 20
    alone = pixels(contour_picture(GREY, found, np.zeros(SHAPE, bool), (1.0, 1.0)))
    assert count_near(alone, (255, 255, 255)) == 0


def test_nothing_at_all_shows_the_whole_frame_in_its_proportions():
    nothing = np.zeros(SHAPE, bool)
    picture = pixels(contour_picture(GREY, nothing, nothing, (1.0, 2.0)))
    assert picture.shape == (round(SIDE * 64 / 96), SIDE, 3)
    assert np.ptp(picture) <= 1


def test_the_prompt_is_drawn():
    reference = block(slice(20, 40), slice(10, 30))
    nothing = np.zeros(SHAPE, bool)
    plain = contour_picture(GREY, nothing, reference, (1.0, 1.0))
    boxed = contour_picture(GREY, nothing, reference, (1.0, 1.0), SlicePrompt(box=FrameBox(10, 20, 29, 39)))
    masked = contour_picture(GREY, nothing, reference, (1.0, 1.0), SlicePrompt(mask=reference))
    assert count_near(pixels(boxed), (255, 255, 255)) > count_near(pixels(plain), (255, 255, 255))
    assert count_near(pixels(masked), (255, 255, 255)) > count_near(pixels(boxed), (255, 255, 255))


def test_colours_stay_colours():
    red = np.zeros((*SHAPE, 3), np.float32)
    red[..., 0] = 1
    nothing = np.zeros(SHAPE, bool)
    assert (pixels(contour_picture(red, nothing, nothing, (1.0, 1.0))) == (255, 0, 0)).all()
