from medsam2.evaluation.headings import BASELINE_NAMES, MEASURES, ROWS
from medsam2.evaluation.scores import BASELINES, COLUMNS
from medsam2.evaluation.volume_metrics import VolumeMetric


def test_every_column_that_people_read_of_has_a_heading():
    assert set(ROWS) <= set(COLUMNS)
    assert {baseline for known in BASELINES.values() for baseline in known} == set(BASELINE_NAMES)
    assert set(BASELINES) <= set(ROWS)
    assert set(MEASURES) == set(VolumeMetric) - {VolumeMetric.DICE}
