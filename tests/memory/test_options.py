from dataclasses import fields

import pytest

from medsam2.errors import ConfigurationError
from medsam2.memory import MemoryOptions
from medsam2.memory.options import READERS


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"capacity": 0}, "capacity is 0; it must be at least 1"),
        ({"confidence_threshold": -0.1}, r"threshold is -0\.1; it must lie in \[0, 1\]"),
        ({"confidence_threshold": 1.5}, r"threshold is 1\.5; it must lie in \[0, 1\]"),
        ({"weights": "clip"}, "weights are 'clip'; expected one of clamp, shift, softmax"),
        ({"draws": 0}, "0 memories are to be drawn; expected at least 1"),
        ({"resample": False, "weights": "shift"}, "resample is off, yet weights or draws are given"),
        ({"resample": False, "draws": 3}, "resample is off, yet weights or draws are given"),
    ],
)
def test_bad_options_are_refused(options, message):
    with pytest.raises(ConfigurationError, match=message):
        MemoryOptions(**options)


def test_only_what_was_chosen_is_given():
    assert MemoryOptions().given() == {}
    assert MemoryOptions(confidence_threshold=0.0, dissimilar=False).given() == {
        "confidence_threshold": 0.0,
        "dissimilar": False,
    }


def test_options_are_read_as_they_are_typed():
    texts = ["capacity=8", " confidence_threshold = 0.25", "dissimilar=False", "weights=softmax", "draws=3"]
    assert MemoryOptions.parse(texts) == MemoryOptions(8, 0.25, False, None, "softmax", 3)
    assert MemoryOptions.parse([]) == MemoryOptions()
    assert {one.name for one in fields(MemoryOptions)} == set(READERS)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("capasity=8", r"'capasity=8': expected name=value; .* Did you mean 'capacity'\?"),
        ("8", "'8': expected name=value; the names are capacity, "),
        ("capacity=many", "'capacity=many': 'many' is no value of capacity"),
        ("resample=maybe", "'maybe' is no value of resample"),
        ("capacity=0", "capacity is 0; it must be at least 1"),
    ],
)
def test_what_is_no_option_is_refused(text, message):
    with pytest.raises(ConfigurationError, match=message):
        MemoryOptions.parse([text])
