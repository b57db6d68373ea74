"""What a protocol hands over may depend on the truth where that is declared, and nowhere else.

`leaks` erases the truth wherever a protocol has not declared to read it, and compares all that the segmenter is given.
Leaks are planted to see that it catches them.
"""

from dataclasses import replace

import numpy as np
import pytest

from medsam2.datasets.cases import Case
from medsam2.evaluation.corrective_clicks import CLICKS, clicks_to_volume
from medsam2.evaluation.labelled_pictures import LabelledPictures
from medsam2.evaluation.one_prompt import plan_runs
from medsam2.evaluation.prompted_share import drawn_frames
from medsam2.evaluation.protocol_options import ProtocolOptions
from medsam2.evaluation.protocols import Protocol, run_of
from medsam2.evaluation.simulated_prompts import PromptKind, prompts_on
from medsam2.prompts import BoxPrompt, ObjectPrompts, PromptSet
from medsam2.spatial import Segmentation, Volume

OPTIONS = ProtocolOptions(share=0.4)


class Recorder:
    """A segmenter that writes down all that it is given, in words that can be compared."""

    def __init__(self, segmenter):
        self.segmenter, self.network, self.given = segmenter, segmenter.network, []

    def stream(self, volume, prompts, settings=None):
        self.given.append((pixels(volume), said(prompts), settings))
        return self.segmenter.stream(volume, prompts, settings)

    def stream_set(self, images, template, prompts, settings=None):
        several = [prompts] if isinstance(prompts, PromptSet) else prompts
        shown = [(one.name, pixels(one.read())) for one in images]
        self.given.append((shown, template, [said(one) for one in several], settings))
        return self.segmenter.stream_set(images, template, prompts, settings)


def pixels(volume):
    return volume.array.tobytes(), volume.array.shape, volume.geometry.affine.tobytes()


def said(prompts):
    return [
        (one.name, one.label, one.points, one.boxes, [mask.voxels.tobytes() for mask in one.masks])
        for one in prompts.objects
    ]


def given_by(run, segmenter, case, how):
    recorder = Recorder(segmenter)
    run(recorder, case, how)
    return recorder.given


def leaks(run, segmenter, case, how, declared):
    """Whether the segmenter is given anything else if the truth is kept on the declared frames alone."""
    labels = np.zeros_like(case.reference.labels)
    for label, frames in declared.items():
        for frame in frames:
            case.view.to_frames(labels)[frame][case.truth_on(frame, label)] = label
    erased = replace(case, reference=Segmentation(labels, case.reference.geometry))
    return given_by(run, segmenter, case, how) != given_by(run, segmenter, erased, how)


def once(case):
    return {label: (frame,) for label, frame in case.prompted_frames.items()}


def shares(case):
    return {label: drawn_frames(case, label, OPTIONS) for label in case.names}


def set_shares(case):
    pictures = LabelledPictures.of_case(case)
    return {label: plan_runs(pictures, label, OPTIONS, share=True)[0].templates for label in case.names}


ONCE = [protocol for protocol in Protocol if "share" not in protocol and protocol is not Protocol.CLICKS5_VOLUME]
SHARES = [protocol for protocol in Protocol if "share-volume" in protocol]
SET_SHARES = [protocol for protocol in Protocol if "share-set" in protocol]


def test_every_protocol_is_held():
    assert {*ONCE, *SHARES, *SET_SHARES, Protocol.CLICKS5_VOLUME} == set(Protocol)


@pytest.mark.parametrize(
    ("protocol", "declared"),
    [(one, once) for one in ONCE] + [(one, shares) for one in SHARES] + [(one, set_shares) for one in SET_SHARES],
)
def test_no_protocol_leaks(segmenter, new_case, how, protocol, declared):
    case = new_case(ordered=not protocol.value.endswith("set"))
    run = run_of(protocol, OPTIONS)
    assert not leaks(run, segmenter, case, how, declared(case))
    if protocol not in (Protocol.BOX, Protocol.CLICK, Protocol.CLICKS3):
        assert given_by(run, segmenter, case, how)


def test_shares_are_drawn_whatever_the_reference_holds(case):
    there = shares(case)
    assert all(case.truth_on(frame, label).any() for label, frames in there.items() for frame in frames)
    drawn = OPTIONS.generator(case.name, 4).random(case.view.frame_count) < 0.4
    assert set(there[4]) == {t for t in np.flatnonzero(drawn) if case.truth_on(t, 4).any()}


def told_where_it_ends(segmenter, case, settings):
    """Planted: the box of the last slice, too."""
    last = {label: int(np.flatnonzero(case.truth(label).any((1, 2)))[-1]) for label in case.names}
    ends = {label: {case.prompted_frames[label], frame} for label, frame in last.items()}
    list(segmenter.stream(case.volume, prompts_on(case, ends, PromptKind.BOX), settings))


def told_of_absence(segmenter, case, settings):
    """Planted: slices without an object are black."""
    shown = case.volume.array.copy()
    shown[~(case.reference.labels > 0).any((1, 2))] = 0
    shown[0, 0, 0] = (case.reference.labels > 0).any((1, 2)).sum()
    prompts = prompts_on(case, once(case), PromptKind.BOX)
    list(segmenter.stream(Volume(shown, case.volume.geometry), prompts, settings))


def told_by_a_setting(segmenter, case, settings):
    """Planted: the patience is as long as the object."""
    length = int((case.reference.labels > 0).any((1, 2)).sum())
    prompts = prompts_on(case, once(case), PromptKind.BOX)
    list(segmenter.stream(case.volume, prompts, replace(settings, patience=length)))


def told_by_the_order(segmenter, case, settings):
    """Planted: pictures with the object come first."""
    pictures = LabelledPictures.of_case(case)
    there = pictures.showing(4)
    order = [*there, *(n for n in range(case.view.frame_count) if n not in there)]
    template = str(case.prompted_frames[4])
    flat = ObjectPrompts("structure", 1, boxes=(BoxPrompt(2, 3, 0, 6, 7, 0),))
    list(segmenter.stream_set([pictures.pictures[n] for n in order], template, PromptSet((flat,))))


@pytest.mark.parametrize("planted", [told_where_it_ends, told_of_absence, told_by_a_setting, told_by_the_order])
def test_planted_leaks_are_caught(segmenter, case, how, planted):
    assert leaks(planted, segmenter, case, how, once(case))


def test_a_clean_protocol_is_not_called_a_leak(segmenter, case, how):
    def clean(segmenter, case, settings):
        list(segmenter.stream(case.volume, prompts_on(case, once(case), PromptKind.BOX), settings))

    assert not leaks(clean, segmenter, case, how, once(case))


def test_clicks_tell_of_the_voxel_that_they_hit_and_boxes_of_the_last_answer(segmenter, case, how):
    """The one protocol that reads the truth everywhere: what it hands over of it is checked one by one."""
    shifted = np.roll(case.reference.labels, (1, 2), (0, 2))
    case = Case("shifted", case.volume, Segmentation(shifted, case.volume.geometry), case.names)
    answers = []

    class Watched(Recorder):
        def stream(self, volume, prompts, settings=None):
            self.given.append(prompts)
            masks = {one.label: np.zeros(shifted.shape, bool) for one in prompts.objects}
            answers.append(masks)
            for one in super().stream(volume, prompts, settings):
                masks[one.label][one.slice_index] = one.mask
                yield one

    watched = Watched(segmenter)
    clicks_to_volume(watched, case, how)
    told = [one for one in watched.given if isinstance(one, PromptSet)]
    assert len(told) == len(answers) == CLICKS + 1
    for number, prompts in enumerate(told):
        for one in prompts.objects:
            first, *others = one.boxes
            assert first == told[0].objects[list(case.names).index(one.label)].boxes[0]
            assert len(one.points) <= number
            for point in one.points:
                i, j, k = point.voxel
                assert point.positive == (shifted[k, j, i] == one.label)
            for box in others:
                (i0, j0, k), (i1, j1, _) = box.voxels
                rows, columns = np.nonzero(answers[number - 1][one.label][k])
                inside = [point.voxel for point in one.points if point.positive and point.voxel[2] == k]
                across = [*columns.tolist(), *(voxel[0] for voxel in inside)]
                down = [*rows.tolist(), *(voxel[1] for voxel in inside)]
                assert (i0, i1, j0, j1) == (min(across), max(across), min(down), max(down))
