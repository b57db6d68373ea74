import numpy as np
import pytest

from medsam2.evaluation.prompted_share import drawn_frames, nearest_mask, share_to_volume
from medsam2.evaluation.protocol_options import ProtocolOptions
from medsam2.evaluation.scores import COLUMNS
from medsam2.evaluation.simulated_prompts import PromptKind
from medsam2.evaluation.volume_metrics import VolumeMetric, VolumeMetrics


@pytest.mark.parametrize("kind", PromptKind)
def test_a_perfect_segmenter(segmenter, case, how, kind):
    scores = share_to_volume(kind, segmenter, case, how, ProtocolOptions(share=0.5))
    column = f"{kind}_share_volume"
    for label, values in scores.items():
        assert (values[column], values[f"{column}_unprompted"]) == (1.0, 1.0)
        assert (values[f"{column}_false"], values[f"{column}_missed"]) == (0.0, 0.0)
        assert values["nearest_mask"] == 1.0  # blocks
        assert values[f"{column}_prompts"] == len(drawn_frames(case, label, ProtocolOptions(share=0.5)))
        assert set(values) <= set(COLUMNS)


def test_every_slice_can_be_prompted(segmenter, case, how):
    scores = share_to_volume(PromptKind.BOX, segmenter, case, how, ProtocolOptions(share=1.0))
    assert {label: values["box_share_volume_prompts"] for label, values in scores.items()} == {4: 7.0, 7: 7.0}
    assert all(np.isnan(values["box_share_volume_unprompted"]) for values in scores.values())


def test_the_share_is_that_of_the_paper_and_the_seed_decides(new_case):
    cases = [new_case(name=f"case {n}") for n in range(60)]
    shares = [len(drawn_frames(case, 4, ProtocolOptions())) / 7 for case in cases]
    assert np.mean(shares) == pytest.approx(0.25, abs=0.06)
    one = [drawn_frames(cases[0], 4, ProtocolOptions(share=0.5, seed=seed)) for seed in range(8)]
    assert len(set(one)) > 3
    assert drawn_frames(cases[0], 4, ProtocolOptions(share=0.5)) == one[0]


def test_where_nothing_is_drawn_the_largest_slice_is_prompted(case):
    assert drawn_frames(case, 4, ProtocolOptions(share=1e-9)) == (case.prompted_frames[4],)


def test_pictures_have_no_slices_to_share(segmenter, new_case, how):
    assert share_to_volume(PromptKind.BOX, segmenter, new_case(ordered=False), how) == {}


def test_the_nearest_prompted_mask_on_the_true_extent():
    truth = np.zeros((6, 2, 2), bool)
    truth[1:5] = np.array([[1, 0], [0, 0]], bool)
    truth[4] = True
    mask = nearest_mask(truth, (1, 4))
    assert [int(one.sum()) for one in mask] == [0, 1, 1, 4, 4, 0]


def test_metrics_are_measured(segmenter, case, how):
    options = ProtocolOptions(VolumeMetrics((VolumeMetric.IOU,)))
    scores = share_to_volume(PromptKind.MASK, segmenter, case, how, options)
    assert [values["mask_share_volume_iou"] for values in scores.values()] == [1.0, 1.0]
