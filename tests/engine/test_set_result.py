import re

import pytest

from medsam2.engine.set_result import ImageMask, ImageObject, SetResult, SetSettings, set_warnings
from medsam2.errors import ConfigurationError


def look(area, prompted=False, label=1):
    return ImageObject("cell", label, 0.5, 1.0, area, None, False, prompted)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"memory": "self-sort"}, "no memory policy is called 'self-sort'"),
        ({"size": 100}, "input side is 100 pixels"),
        ({"least_confidence": 25}, "least_confidence is 25; expected a number from 0 to 1"),
    ],
)
def test_settings_that_cannot_be_are_refused(setting, message):
    with pytest.raises(ConfigurationError, match=message):
        SetSettings(**setting)


@pytest.mark.parametrize(
    ("template", "other", "warning"),
    [
        (5, 5, None),
        (0, 5, None),
        (5, 0, "cell (label 1): found on no image but the template"),
        (0, 0, "cell (label 1): nothing was found, not even on the template"),
    ],
)
def test_objects_of_which_nothing_was_found_are_told(template, other, warning):
    images = [ImageMask("a", 0, (look(template, prompted=True),)), ImageMask("b", 1, (look(other),))]
    warnings = set_warnings([*images, ImageMask("c", 2, failure="damaged")], {1: "cell"})
    assert len(warnings) == (warning is not None)
    assert all(re.match(re.escape(warning), one) for one in warnings)


def test_a_set_of_templates_alone_is_no_reason_to_warn():
    assert set_warnings([ImageMask("a", 0, (look(5, prompted=True),))], {1: "cell"}) == ()
    assert set_warnings([], {1: "cell"}) == ()


def test_failures_are_those_images_that_could_not_be_used():
    images = (ImageMask("a", 0, (look(5),)), ImageMask("b", 1, failure="damaged"))
    result = SetResult(images, ("a",), {1: "cell"}, SetSettings(), (), 1.0)
    assert [one.name for one in result.failures] == ["b"]
