import pytest

from medsam2.engine.volume_result import ObjectResult, SegmentSettings, SliceConfidence
from medsam2.errors import ConfigurationError
from medsam2.spatial import Plane


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"patience": -1}, r"patience is -1; expected 0 \(never give up\)"),
        ({"memory": "fifi"}, "no memory policy is called 'fifi'.*Did you mean 'fifo'"),
        ({"size": 0}, "input side is 0 pixels; it must be a positive multiple of 32"),
        ({"size": 100}, "input side is 100 pixels"),
        ({"fusion": "mean"}, "fusion is 'mean'; expected one of average, vote"),
    ],
)
def test_settings_that_cannot_be_are_refused(setting, message):
    with pytest.raises(ConfigurationError, match=message):
        SegmentSettings(**setting)


def test_the_prompted_slices_of_an_object():
    slices = tuple(SliceConfidence(index, 0.5, 1.0, prompted=index in (4, 7)) for index in range(3, 9))
    assert ObjectResult("liver", 1, Plane.AXIAL, 9, 0.1, slices, 0.5).prompted_slices == (4, 7)
