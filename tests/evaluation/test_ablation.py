"""Variants change what they say and nothing else, and are scored by the same harness."""

from dataclasses import replace

import numpy as np
import pytest

from medsam2.datasets.cases import CaseSet, CaseSource
from medsam2.engine.set_result import SetSettings
from medsam2.engine.volume_result import SegmentSettings
from medsam2.evaluation.ablation import (
    ABLATIONS,
    MEMORY,
    ORIENTATIONS,
    Ablation,
    Variant,
    VariedSegmenter,
    run_ablation,
)
from medsam2.evaluation.protocol_options import DEFAULT_OPTIONS, ProtocolOptions
from medsam2.evaluation.protocols import Protocol, run_of
from medsam2.evaluation.run_log import RunLog
from medsam2.evaluation.simulated_prompts import PromptKind, volume_prompts
from medsam2.evaluation.volume_metrics import VolumeMetric, VolumeMetrics
from medsam2.memory import MemoryOptions
from medsam2.metrics import dice
from medsam2.spatial import Plane


@pytest.fixture
def cases(new_case):
    made = {name: new_case(name=name, ordered=name != "set") for name in ("one", "set")}
    return CaseSet("toys", tuple(CaseSource(name, lambda case=case: case) for name, case in made.items()), {})


class Recorder:
    """Notes the settings with which another segmenter is asked."""

    def __init__(self, segmenter):
        self.segmenter, self.network = segmenter, segmenter.network
        self.volumes, self.sets, self.objects = [], [], []

    def stream(self, volume, prompts, settings=None):
        self.volumes.append(settings)
        return self.segmenter.stream(volume, prompts, settings)

    def segment(self, volume, prompts, settings=None):
        self.volumes.append(settings)
        self.objects.append(len(prompts.objects))
        return self.segmenter.segment(volume, prompts, settings)

    def stream_set(self, images, template, prompts, settings=None):
        self.sets.append(settings)
        return self.segmenter.stream_set(images, template, prompts, settings)


def test_a_variant_changes_what_it_says_of_volumes_and_sets():
    variant = Variant("x", {"memory": "confidence", "memory_seed": 4, "orientations": (Plane.CORONAL,)})
    volume = variant.applied(SegmentSettings(patience=7))
    assert (volume.memory, volume.memory_seed, volume.orientations, volume.patience) == (
        "confidence", 4, (Plane.CORONAL,), 7,
    )  # fmt: skip
    pictures = variant.applied(SetSettings(size=64))  # sets know no orientations
    assert (pictures.memory, pictures.memory_seed, pictures.size) == ("confidence", 4, 64)


def test_what_is_drawn_has_a_run_for_each_seed():
    plain, drawn = Variant("plain", {"memory": "fifo"}), Variant("drawn", {"memory": "self-sorting"}, drawn=True)
    assert plain.seeded(3) == [(None, plain)]
    assert [seed for seed, _ in drawn.seeded(3)] == [0, 1, 2]
    assert [one.changes["memory_seed"] for _, one in drawn.seeded(3)] == [0, 1, 2]


def test_the_memory_ablation_is_table_3_of_the_paper():
    steps = {one.name: one.applied(SegmentSettings()) for one in MEMORY.variants}
    assert list(steps)[:4] == ["FIFO", "+ gate", "+ dissimilarity", "+ resampling"]
    assert [one.name for one in MEMORY.variants if one.drawn] == ["+ resampling"]
    assert steps["FIFO"].memory == "fifo"
    assert {steps[name].memory for name in list(steps)[1:5]} == {"self-sorting"}
    assert steps["+ gate"].memory_options == MemoryOptions(dissimilar=False, resample=False)
    assert steps["+ dissimilarity"].memory_options == MemoryOptions(resample=False)
    assert steps["+ resampling"].memory_options == MemoryOptions()
    assert {steps["confidence"].memory, steps["released"].memory} == {"confidence", "released"}


@pytest.mark.parametrize("name", ABLATIONS)
def test_every_variant_can_be_asked_for(name):
    for variant in ABLATIONS[name].variants:
        # Also over a run whose own options the variant's policy would refuse.
        own = SegmentSettings(memory="self-sorting", memory_options=MemoryOptions(dissimilar=False))
        for _, seeded in variant.seeded(2):
            assert seeded.applied(own)
            assert seeded.applied(SetSettings())


def test_memory_variants_reach_volumes_and_sets(segmenter, cases, how):
    recorder = Recorder(segmenter)
    runs = list(run_ablation(replace(MEMORY, seeds=2), recorder, cases, how))
    assert [(run.variant, run.seed) for run in runs] == [
        ("FIFO", None), ("+ gate", None), ("+ dissimilarity", None), ("+ resampling", 0), ("+ resampling", 1),
        ("+ resampling, not drawn", None), ("confidence", None), ("released", None),
    ]  # fmt: skip
    expected = [seeded.applied(how).memory for one in MEMORY.variants for _, seeded in one.seeded(2)]
    assert [one.memory for one in recorder.volumes[::2]] == expected  # a mask and a box for each
    assert [one.memory for one in recorder.sets[::2]] == expected  # one for each structure
    assert [one.memory_seed for one in recorder.volumes[::2]] == [None, None, None, 0, 1, None, None, None]
    volume, pictures = runs[0].cases
    assert volume.scores[0].values["mask_volume"] == volume.scores[1].values["box_volume"] == 1.0
    assert pictures.scores[0].values["mask_set"] == 1.0


def test_every_run_has_the_options_that_are_asked_for(segmenter, cases, how):
    recorder = Recorder(segmenter)
    options = ProtocolOptions(VolumeMetrics((VolumeMetric.IOU,)), share=1.0, templates=2, memory_of_sets="confidence")
    ablation = Ablation(MEMORY.variants[:2], (Protocol.BOX_SHARE_VOLUME, Protocol.MASK_SET))
    for run in run_ablation(ablation, recorder, cases, how, options=options):
        volume, pictures = run.cases
        assert all(row.values["box_share_volume_iou"] == 1 for row in volume.scores)
        assert all(row.values["box_share_volume_prompts"] == 7 for row in volume.scores)  # of all slices with the block
        assert all(row.values["mask_set_std"] == 0 for row in pictures.scores)
    assert [one.memory for one in recorder.sets] == ["fifo"] * 4 + ["self-sorting"] * 4  # the variant's


def test_several_planes_are_scored_by_the_label_map_each_structure_alone(segmenter, case, how):
    recorder = Recorder(segmenter)
    variant = Variant("three", {"orientations": tuple(Plane), "fusion": "vote"})
    scores = run_of(Protocol.MASK_VOLUME, DEFAULT_OPTIONS)(VariedSegmenter(recorder, variant, fused=True), case, how)
    assert recorder.objects == [1, 1]
    assert all(one.orientations == tuple(Plane) and one.fusion == "vote" for one in recorder.volumes)
    for label, values in scores.items():
        alone = segmenter.segment(case.volume, volume_prompts(case, [label], PromptKind.MASK), recorder.volumes[0])
        assert values["mask_volume"] == dice(alone.segmentation.mask(label), case.truth(label)) > 0.8


def test_the_slices_of_a_label_map_are_those_of_the_prompted_plane(segmenter, new_case, how):
    upside_down = new_case(affine=np.diag([0.5, 0.5, -2.0, 1.0]))
    fused = VariedSegmenter(segmenter, ORIENTATIONS.variants[0], fused=True)
    scores = run_of(Protocol.BOX_VOLUME, DEFAULT_OPTIONS)(fused, upside_down, how)
    assert {label: values["box_volume"] for label, values in scores.items()} == {4: 1.0, 7: 1.0}
    assert all(values["box_volume_false"] == values["box_volume_missed"] == 0 for values in scores.values())


def test_progress_counts_all_runs_and_logs_make_a_killed_ablation_go_on(segmenter, cases, how, tmp_path):
    told = []
    ablation = Ablation(MEMORY.variants[:2], (Protocol.MASK_SET,))

    def log_of(variant):
        return RunLog(tmp_path / variant.name, {"variant": variant.name})

    run = run_ablation(ablation, segmenter, cases, how, log_of, lambda *now: told.append(now))
    first = next(run)
    run.close()
    encoded = segmenter.network.encoded
    again = run_ablation(ablation, segmenter, cases, how, log_of, lambda *now: told.append(now))
    assert [case.to_line() for case in next(again).cases] == [case.to_line() for case in first.cases]
    assert segmenter.network.encoded == encoded  # nothing was run
    assert [one.variant for one in again] == ["+ gate"]
    assert segmenter.network.encoded > encoded
    assert told[-1] == (4, 4)
