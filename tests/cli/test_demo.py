"""`medsam2 demo`: the prompts come from one slice, the scores from all; what it writes."""

import json

import nibabel
import numpy as np
import pytest
from PIL import Image

from medsam2.cli import demo as module
from medsam2.cli.app import run
from medsam2.cli.demo import CASE, ORGANS, boxes_on_largest_slices, compare, prompted_slice
from medsam2.cli.output import Output
from medsam2.engine.volume_result import SegmentationResult, SegmentSettings
from medsam2.examples import ExampleCase, example_case
from medsam2.frames import CT_ABDOMEN
from medsam2.io import read_label_map
from medsam2.spatial import Geometry, Segmentation
from medsam2.weights import WeightsCard, save_network


@pytest.fixture
def cone():
    """A cone of radius 1, 2, 3, 4 on slices 2..5, as label 7."""
    d, h, w = np.indices((8, 20, 20))
    labels = np.where((d >= 2) & (d < 6) & (np.hypot(h - 10, w - 9) < d - 0.5), 7, 0).astype(np.uint8)
    return Segmentation(labels, Geometry(labels.shape, np.eye(4)), {7: "cone"})


@pytest.fixture
def case(monkeypatch, tmp_path):
    monkeypatch.setattr(module, "ORGANS", ("cone",))
    return ExampleCase("toy", tmp_path, tmp_path, {7: "cone"}, (7,), tmp_path)


def test_the_box_is_tight_on_the_largest_slice(case, cone):
    (prompted,) = boxes_on_largest_slices(case, cone).objects
    (box,) = prompted.boxes
    assert prompted_slice(cone.mask(7)) == 5
    assert (box.k0, box.k1) == (5, 5)
    slice_ = cone.labels[5] == 7
    inside = slice_[box.j0 : box.j1 + 1, box.i0 : box.i1 + 1]
    assert inside.sum() == slice_.sum()
    assert all(edge.any() for edge in (inside[0], inside[-1], inside[:, 0], inside[:, -1]))


def test_dice_of_the_result_and_of_the_frozen_slice(case, cone):
    prompts = boxes_on_largest_slices(case, cone)
    result = SegmentationResult(cone, (), CT_ABDOMEN, SegmentSettings(), (), 0.0)
    scores, baseline = compare(result, cone, prompts)
    assert scores == {7: 1.0}
    voxels = [int((cone.labels[k] == 7).sum()) for k in range(2, 6)]
    frozen = 4 * voxels[-1]  # the largest slice, on the four slices of the cone; the smaller ones lie inside it
    assert baseline[7] == pytest.approx(2 * sum(voxels) / (sum(voxels) + frozen))


def test_every_organ_of_the_demo_is_in_the_example_and_worth_using():
    shipped = example_case(CASE)
    labels = {name: label for label, name in shipped.names.items()}
    assert len(ORGANS) >= 8
    assert {labels[name] for name in ORGANS} <= set(shipped.recommended)


def test_the_demo_writes_labels_picture_and_report(tiny_network, tmp_path, capsys):
    weights, folder = tmp_path / "tiny.safetensors", tmp_path / "demo"
    save_network(tiny_network, weights, WeightsCard("tiny", tiny_network.config))
    assert run(["demo", "-o", str(folder), "--model", str(weights), "-d", "cpu"]) == 0
    said = capsys.readouterr().out
    assert "mean Dice" in said
    assert "frozen mask" in said
    labels, scan = nibabel.load(folder / "segmentation.nii.gz"), nibabel.load(example_case(CASE).image)
    assert np.array_equal(labels.affine, scan.affine)
    assert labels.shape == scan.shape
    told = json.loads((folder / "report.json").read_text())
    assert [one["name"] for one in told["objects"]] == list(ORGANS)
    assert len(told["prompts"]["objects"]) == len(ORGANS)
    with Image.open(folder / "preview.png") as picture:
        assert picture.size[0] > 1000


def test_the_reference_never_reaches_the_segmenter(monkeypatch, tiny_network, tmp_path):
    """Only the boxes may carry what the labels know."""
    seen = []

    class Spy(Exception):  # noqa: N818 - it ends the run, it is no error
        pass

    def segment(_self, volume, prompts, **_):
        seen.append((volume, prompts))
        raise Spy

    monkeypatch.setattr(module.Segmenter, "segment", segment)
    weights = tmp_path / "tiny.safetensors"
    save_network(tiny_network, weights, WeightsCard("tiny", tiny_network.config))
    with pytest.raises(Spy):
        module.demo_volume(tmp_path / "out", str(weights), "cpu", Output(quiet=True))
    volume, prompts = seen[0]
    reference = read_label_map(example_case(CASE).labels)
    assert not np.array_equal(volume.array, reference.labels)
    assert all(not one.masks and not one.points and len(one.boxes) == 1 for one in prompts.objects)
