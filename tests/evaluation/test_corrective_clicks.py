"""The rules of the challenge, worked by hand."""

from types import SimpleNamespace

import numpy as np
import pytest

from medsam2.errors import MissingDependencyError
from medsam2.evaluation.corrective_clicks import clicks_to_volume, next_clicks
from medsam2.evaluation.scores import COLUMNS
from medsam2.metrics import surface
from medsam2.prompts import PointPrompt
from medsam2.spatial import Geometry, Plane, PlaneView

SHAPE = (9, 12, 12)
VIEW = PlaneView.of(Geometry(SHAPE, np.diag([1.0, 1.0, 3.0, 1.0])), Plane.AXIAL)


def block(*where):
    mask = np.zeros(SHAPE, bool)
    mask[where] = True
    return mask


def test_the_click_is_in_the_middle_of_the_largest_error():
    truth = block(slice(1, 6), slice(2, 7), slice(3, 8))
    assert next_clicks(np.zeros(SHAPE, bool), truth, VIEW) == [PointPrompt(5, 4, 3)]
    small = block(slice(8, 9), slice(0, 2), slice(0, 2))
    assert next_clicks(truth | small, truth, VIEW)[0].positive is False
    assert next_clicks(small, truth, VIEW) == [PointPrompt(5, 4, 3)]


def test_nothing_is_clicked_where_nothing_is_wrong():
    truth = block(slice(1, 6), slice(2, 7), slice(3, 8))
    assert next_clicks(truth, truth, VIEW) == []


def test_voxels_that_touch_at_a_corner_are_one_error_and_the_border_counts_as_its_edge():
    truth = block(slice(0, 2), slice(0, 2), slice(0, 2)) | block(slice(2, 4), slice(2, 4), slice(2, 4))
    single = block(slice(6, 9), slice(6, 9), slice(11, 12))
    (click,) = next_clicks(np.zeros(SHAPE, bool), truth | single, VIEW)
    assert max(click.voxel) < 4  # 16 voxels against 9
    corner = block(slice(0, 3), slice(0, 3), slice(0, 3))
    assert next_clicks(np.zeros(SHAPE, bool), corner, VIEW) == [PointPrompt(1, 1, 1)]


def test_ties_are_broken_as_the_challenge_does():
    """numpy's legacy generator, seed 42, one choice among the deepest voxels in row-major order."""
    truth = block(slice(2, 3), slice(1, 11), slice(4, 5))
    np.random.seed(42)  # noqa: NPY002 - the challenge's own words
    expected = np.argwhere(truth)[np.random.choice(10)]  # noqa: NPY002
    (click,) = next_clicks(np.zeros(SHAPE, bool), truth, VIEW)
    assert click.voxel == tuple(expected[::-1])


def test_slices_that_are_stored_from_above():
    view = PlaneView.of(Geometry(SHAPE, np.diag([1.0, 1.0, -3.0, 1.0])), Plane.AXIAL)
    truth = block(slice(1, 4), slice(2, 5), slice(3, 6))
    assert next_clicks(np.zeros(SHAPE, bool), truth, view) == [PointPrompt(4, 3, 8 - 2)]


def test_a_perfect_segmenter_is_never_clicked(segmenter, case, how):
    told = []

    class Recorder:
        network = segmenter.network

        def stream(self, volume, prompts, settings=None):
            told.append(prompts)
            return segmenter.stream(volume, prompts, settings)

    scores = clicks_to_volume(Recorder(), case, how)
    assert len(told) == 6
    assert all(not one.points and len(one.boxes) == 1 for prompts in told for one in prompts.objects)
    for values in scores.values():
        assert values["clicks5_volume"] == 1.0
        assert [values[f"clicks5_volume_{what}_{n}"] for what in ("dsc", "nsd") for n in range(1, 7)] == [1.0] * 12
        assert set(values) <= set(COLUMNS)


def test_every_click_is_answered(segmenter, case, how):
    """One that finds the object on prompted slices only is shown one slice more each time."""

    class Literal:
        network = segmenter.network

        def stream(self, volume, prompts, settings=None):
            for one in prompts.objects:
                places = [*(box.voxels[0] for box in one.boxes), *(point.voxel for point in one.points)]
                for k in {k for _, _, k in places}:
                    yield SimpleNamespace(label=one.label, slice_index=k, mask=case.reference.labels[k] == one.label)

    for values in clicks_to_volume(Literal(), case, how).values():
        dice = [values[f"clicks5_volume_dsc_{n}"] for n in range(1, 7)]
        assert dice == pytest.approx([2 * n / (7 + n) for n in range(1, 7)])
        assert values["clicks5_volume"] == dice[-1]
        assert values["clicks5_volume_nsd_1"] < values["clicks5_volume_nsd_6"]
        assert values["clicks5_volume_seconds"] > 0


def test_pictures_are_not_clicked(segmenter, new_case, how):
    assert clicks_to_volume(segmenter, new_case(ordered=False), how) == {}


def test_monai_is_asked_for_before_anything_runs(segmenter, case, how, monkeypatch):
    monkeypatch.setattr(surface, "find_spec", lambda name: None)
    with pytest.raises(MissingDependencyError, match="monai"):
        clicks_to_volume(segmenter, case, how)
