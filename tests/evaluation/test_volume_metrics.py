import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from medsam2.errors import ConfigurationError, MissingDependencyError
from medsam2.evaluation.protocol_options import DEFAULT_OPTIONS, ProtocolOptions
from medsam2.evaluation.protocols import ON_SLICES, PROTOCOLS, Protocol, run_of
from medsam2.evaluation.scores import COLUMNS
from medsam2.evaluation.volume_metrics import DICE_ALONE, PackedMask, VolumeMetric, VolumeMetrics
from medsam2.metrics import surface
from medsam2.segmenter import Segmenter
from reference.intensity_network import IntensityNetwork

EVERY = tuple(VolumeMetric)
SHIFTED = 3.0


def block(first):
    mask = np.zeros((10, 9, 8), bool)
    mask[first : first + 5, 2:7, 2:6] = True
    return mask


@given(st.data())
def test_a_packed_mask_comes_back(data):
    shape = data.draw(st.tuples(*[st.integers(1, 9)] * 3))
    mask = data.draw(arrays(bool, shape))
    packed = PackedMask(shape)
    packed.put(0, ~mask[0])
    for frame, one in enumerate(mask):
        packed.put(frame, one)
    assert np.array_equal(packed.whole(), mask)
    assert not PackedMask(shape).whole().any()


def test_what_was_chosen_is_measured():
    found = VolumeMetrics(EVERY, tolerance_mm=2.0).measure(block(2), block(3), (SHIFTED, 1.0, 1.0))
    assert list(found) == ["iou", "nsd", "hd95", "assd"]
    assert found["iou"] == 4 / 6
    assert found["hd95"] == SHIFTED
    assert 0 < found["assd"] < SHIFTED
    assert 0 < found["nsd"] < 1
    assert VolumeMetrics((VolumeMetric.ASSD,)).measure(block(2), block(2), (1, 1, 1)) == {"assd": 0.0}
    assert DICE_ALONE.measure(block(2), block(3), (1, 1, 1)) == {}
    assert VolumeMetrics(EVERY, tolerance_mm=3.0).measure(block(2), block(3), (SHIFTED, 1.0, 1.0))["nsd"] == 1.0


def test_only_dice_needs_no_masks():
    assert not DICE_ALONE.need_masks
    assert VolumeMetrics((VolumeMetric.IOU,)).need_masks


def test_settings_that_cannot_be():
    for tolerance in (-0.1, math.nan):
        with pytest.raises(ConfigurationError, match="expected 0 or more"):
            VolumeMetrics(tolerance_mm=tolerance)


def test_a_missing_package_is_told_before_anything_runs(monkeypatch):
    monkeypatch.setattr(surface, "find_spec", lambda name: None)
    assert VolumeMetrics((VolumeMetric.IOU,)).need_masks
    with pytest.raises(MissingDependencyError, match=r"medsam2\[evaluate\]"):
        VolumeMetrics((VolumeMetric.HD95,))


@pytest.mark.parametrize("protocol", [Protocol.BOX_VOLUME, Protocol.MASK_VOLUME, Protocol.CLICK_VOLUME])
def test_volumes_of_a_perfect_segmenter(segmenter, case, how, protocol):
    scores = run_of(protocol, ProtocolOptions(VolumeMetrics(EVERY)))(segmenter, case, how)
    column = protocol.column
    for values in scores.values():
        assert {name: values[f"{column}_{name}"] for name in ("iou", "hd95", "nsd", "assd")} == {
            "iou": 1.0,
            "hd95": 0.0,
            "nsd": 1.0,
            "assd": 0.0,
        }
        assert set(values) <= set(COLUMNS)
    plain = run_of(protocol, DEFAULT_OPTIONS)(segmenter, case, how)
    assert not any(name.endswith(("iou", "hd95", "nsd", "assd")) for name in plain[4])


def test_distances_are_in_millimetres(segmenter, case, how):
    """An empty answer beyond the prompted slice leaves the outer slices, 2 mm thick, uncovered."""
    nowhere = Segmenter(IntensityNetwork(score=-5), segmenter.card)
    scores = run_of(Protocol.BOX_VOLUME, ProtocolOptions(VolumeMetrics((VolumeMetric.HD95,))))(nowhere, case, how)
    assert [values["box_volume_hd95"] for values in scores.values()] == [12.0, 12.0]  # seven slices, the first prompted


def test_protocols_of_slices_are_as_before():
    for protocol in ON_SLICES:
        assert run_of(protocol, ProtocolOptions(VolumeMetrics(EVERY))) is PROTOCOLS[protocol]
