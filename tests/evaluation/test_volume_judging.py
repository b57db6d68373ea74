import math
from types import SimpleNamespace

import numpy as np
import pytest

from medsam2.evaluation.volume_judging import judged_volume, spacing_mm
from medsam2.evaluation.volume_metrics import DICE_ALONE, VolumeMetric, VolumeMetrics


def slices(case, label, change):
    """The truth slice by slice, as the file counts them, after a change."""
    masks = case.truth(label)
    for frame, mask in change.items():
        masks[frame] = mask
    return iter([SimpleNamespace(label=label, slice_index=frame, mask=mask) for frame, mask in enumerate(masks)])


@pytest.fixture
def nothing(case):
    return np.zeros(case.view.frame_shape, bool)


def test_slices_are_judged_but_for_the_prompted_ones(case, nothing):
    """The dark block is on slices 2..8, 25 pixels each; three of its slices are missed and slice 0 is false."""
    found = slices(case, 4, {2: nothing, 3: nothing, 4: nothing, 0: case.truth_on(2, 4)})
    (values,) = judged_volume(found, case, {4: (2, 5)}, "c", DICE_ALONE).values()
    assert values["c"] == pytest.approx(2 * 100 / (175 + 125))
    assert values["c_false"] == pytest.approx(1 / 7)
    assert values["c_missed"] == pytest.approx(2 / 5)
    assert values["c_unprompted"] == pytest.approx(2 * 75 / (125 + 100))
    assert values["c_seconds"] > 0


def test_metrics_are_those_of_the_whole_mask(case, nothing):
    found = slices(case, 4, {8: nothing})
    metrics = VolumeMetrics((VolumeMetric.IOU,))
    (values,) = judged_volume(found, case, {4: (2,)}, "c", metrics).values()
    assert values["c_iou"] == pytest.approx(6 / 7)


def test_where_all_slices_are_prompted_there_are_no_others(case):
    (values,) = judged_volume(slices(case, 4, {}), case, {4: tuple(range(2, 9))}, "c", DICE_ALONE).values()
    assert math.isnan(values["c_unprompted"])
    assert math.isnan(values["c_missed"])


def test_spacing_is_of_slices_rows_and_columns(case):
    assert spacing_mm(case) == (2.0, 0.5, 0.5)
