import numpy as np
import pytest
import torch

from medsam2.datasets.cases import joint_sha256
from medsam2.errors import ConfigurationError, ShapeError
from medsam2.evaluation import synthetic_set as module
from medsam2.evaluation.synthetic_set import SEED, SyntheticSettings, unseen_synthetic_set

SMALL = SyntheticSettings(volumes=2, sets=1, size=64, frames=8, pictures=3)

SMALL_LABELS = "3fe357f53df022412576aa90b1ba7bb44b09a087640cd0fac9835eea5c4f2a2c"
"""SHA-256 over the labels of the small set. If it changes, scores of before and after cannot be compared: say so in
CHANGELOG.md, and score the models anew."""

SMALL_MEANS = {"volume-00-abdomen": 0.16872, "set-00-skin": 140.85322, "volume-01-head": 0.61236}
"""Mean grey of each case. The exact hash of pictures is in scores.json; it depends on the processor's last bits."""


@pytest.fixture(scope="module")
def cases():
    return [source.load() for source in unseen_synthetic_set(SMALL).sources]


def test_the_set_is_the_same_for_ever(cases):
    assert joint_sha256([case.labels_sha256 for case in cases]) == SMALL_LABELS
    greys = {case.name: float(case.volume.array.mean()) for case in cases}
    assert greys == pytest.approx(SMALL_MEANS, rel=1e-3)


def test_the_same_case_is_made_again_to_the_bit(cases):
    again = unseen_synthetic_set(SMALL).sources[0].load()
    assert again.sha256 == cases[0].sha256


def test_a_case_does_not_depend_on_how_many_there_are(cases):
    more = unseen_synthetic_set(SyntheticSettings(volumes=1, sets=0, size=64, frames=8)).sources[0].load()
    assert more.name == cases[0].name
    assert more.sha256 == cases[0].sha256


def test_volumes_come_as_plain_intensities_and_sets_unordered(cases):
    assert [case.ordered for case in cases] == [True, False, True]
    assert [case.volume.array.shape[0] for case in cases] == [8, 3, 12]
    for case in cases:
        assert case.volume.array.dtype in (np.float32, np.uint8)
        assert case.volume.array.max() <= (255 if case.volume.is_rgb else 1)
        assert np.array_equal(case.volume.geometry.affine, np.eye(4))


def test_structures_are_large_enough_and_apart(cases):
    for case in cases:
        assert 1 <= len(case.names) <= 3
        for label in case.names:
            areas = case.truth(label).sum((1, 2))
            assert areas.max() >= 96 / 256**2 * 64 * 64
            assert not case.ordered or np.count_nonzero(areas) >= 3


def test_the_full_set_is_large_mixed_and_named_once():
    full = unseen_synthetic_set()
    names = [source.name for source in full.sources]
    assert len(names) == len(set(names)) == 34
    assert sum(name.startswith("volume") for name in names) == 24
    assert [name.partition("-")[0] for name in names[:3]] == ["volume", "set", "volume"]
    assert full.facts == {"seed": SEED, "size": 256, "volumes": 24, "unordered_sets": 10}


def test_seeds_are_far_from_those_of_training():
    """Training: 1000 a process + 7919 a step; a hundred thousand processes and steps stay below."""
    assert SEED > 100_000 * (1000 + 7919) * 1000


def test_most_structures_begin_and_end_inside():
    settings = SyntheticSettings(volumes=8, sets=0, size=64, frames=16)
    cases = [source.load() for source in unseen_synthetic_set(settings).sources]
    spans = [case.truth(label).any((1, 2)) for case in cases for label in case.names]
    assert np.mean([not span.all() for span in spans]) > 0.7
    assert np.mean([not span[[0, -1]].any() for span in spans]) > 0.3


def test_overlapping_small_and_scattered_structures_are_left_out():
    masks = torch.zeros(6, 4, 32, 32, dtype=torch.bool)
    masks[0, :, 4:12, 4:12] = True  # on every slice: comes after those that are absent somewhere
    masks[1, :3, 6:14, 6:14] = True
    masks[2, :3, 20:21, 20:21] = True  # too small
    masks[3, 1:2, 20:28, 2:10] = True  # on one slice only
    masks[4, :3, range(16, 26), range(16, 26)] = True  # scattered: a tenth of its rows and columns
    masks[5, :3, range(16, 26), range(17, 27)] = True  # another
    chosen = module._choose(masks, 3, ordered=True)
    assert [torch.equal(one, two) for one, two in zip(chosen, masks[[1, 4]], strict=True)] == [True, True]


def test_a_scene_without_anything_is_made_anew_and_then_given_up(monkeypatch):
    monkeypatch.setattr(module, "_choose", lambda *_: [])
    with pytest.raises(ShapeError, match="volume-00-abdomen: 8 scenes held no structure"):
        unseen_synthetic_set(SMALL).sources[0].load()


def test_an_empty_set_is_refused():
    with pytest.raises(ConfigurationError, match="0 volumes and 0 sets"):
        SyntheticSettings(volumes=0, sets=0)
