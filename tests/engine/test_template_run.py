"""One volume prompted, another segmented: exact with a network that segments by intensity."""

from dataclasses import replace

import numpy as np
import pytest

from medsam2.engine.template_run import TemplateRun
from medsam2.engine.volume_result import SegmentSettings
from medsam2.errors import ConfigurationError, PromptError
from medsam2.prompts import BoxPrompt, MaskPrompt, ObjectPrompts, PointPrompt, PromptSet
from medsam2.spatial import Geometry, Plane, PlaneView, Volume
from reference.intensity_network import IOU, LEVELS, SIDE, FocusingNetwork, IntensityNetwork
from reference.orientations import ORIENTATIONS, Stored, name_of

DARK, BRIGHT = LEVELS[1:]
HOW = SegmentSettings(window=(0.0, 255.0))


def scan(dark=None, bright=None, slices=SIDE, spacing=(0.5, 0.5, 2.0)):
    array = np.zeros((slices, SIDE, SIDE), np.uint8)
    for block, level in ((dark, DARK), (bright, BRIGHT)):
        if block is not None:
            array[block] = level
    return Volume(array, Geometry(array.shape, np.diag([*spacing, 1.0])))


TEMPLATE = scan(dark=np.s_[2:9, 3:8, 2:7], bright=np.s_[5:13, 9:14, 8:15])
OTHER = scan(dark=np.s_[12:20, 8:14, 1:4], bright=np.s_[3:6, 1:5, 9:15], slices=24, spacing=(0.7, 0.7, 3.0))
DARK_CLICK = ObjectPrompts("dark", 1, points=(PointPrompt(4, 5, 6),))
BRIGHT_BOX = ObjectPrompts("bright", 2, boxes=(BoxPrompt(8, 9, 8, 14, 13, 8),))


def run(volume=OTHER, *objects, template=TEMPLATE, settings=HOW, network=None):
    prompts = PromptSet(objects or (DARK_CLICK, BRIGHT_BOX))
    one = TemplateRun(network or IntensityNetwork(), volume, template, prompts, settings)
    masks = list(one.stream())
    return one.result(), masks


@pytest.mark.parametrize("memory", ["fifo", "self-sorting", "confidence", "released"])
def test_what_is_prompted_in_one_scan_is_found_in_another(memory):
    result, masks = run(settings=replace(HOW, memory=memory))
    assert np.array_equal(result.segmentation.labels, np.select([OTHER.array == DARK, OTHER.array == BRIGHT], [1, 2]))
    assert result.segmentation.geometry is OTHER.geometry
    assert result.segmentation.names == {1: "dark", 2: "bright"}
    assert result.warnings == ()
    assert {one.label for one in masks} == {1, 2}
    for one in result.objects:
        assert one.prompted_slices == ()  # nothing of this scan was prompted
        found = [slice_ for slice_ in one.slices if slice_.confidence > 0]
        assert [slice_.confidence for slice_ in found] == pytest.approx([IOU] * len(found))
    assert result.objects[0].voxels == 8 * 6 * 3


def test_an_object_that_is_nowhere_is_empty_and_told():
    result, _ = run(scan(dark=np.s_[4:7, 2:5, 2:5]))
    dark, bright = result.objects
    assert dark.voxels == 27
    assert (bright.name, bright.voxels, bright.slices) == ("bright", 0, ())
    assert result.warnings == ("bright (label 2): not seen on any slice",)
    assert result.segmentation.names == {1: "dark", 2: "bright"}


def test_nothing_seen_at_all_is_an_error():
    with pytest.raises(PromptError, match="none of the template's objects is seen in the volume"):
        run(scan())


def test_drawn_slices_and_several_prompted_slices_of_a_template():
    drawn = TEMPLATE.array == DARK
    drawn[:3] = drawn[6:] = False
    result, _ = run(OTHER, ObjectPrompts("dark", 7, masks=(MaskPrompt(drawn),)))
    assert np.array_equal(result.segmentation.labels == 7, OTHER.array == DARK)


def test_each_scan_is_seen_in_its_own_orientation():
    prompts = PromptSet((DARK_CLICK,))
    for orientation in ORIENTATIONS[::7]:
        stored = Stored((SIDE, SIDE, SIDE), (0.7, 0.9, 2.5), orientation)
        array = np.zeros(stored.geometry.shape, np.uint8)
        PlaneView.of(stored.geometry, Plane.AXIAL).to_frames(array)[4:9, 2:7, 9:13] = DARK
        one = TemplateRun(IntensityNetwork(), Volume(array, stored.geometry), TEMPLATE, prompts, HOW)
        list(one.stream())
        assert np.array_equal(one.result().segmentation.labels == 1, array == DARK), name_of(orientation)


def test_progress_is_told_of_the_search_and_of_the_segmentation():
    told = []
    one = TemplateRun(IntensityNetwork(), OTHER, TEMPLATE, PromptSet((DARK_CLICK,)), HOW)
    for _ in one.stream(lambda *now: told.append(now)):
        pass
    assert told[:24] == [(frame, 24) for frame in range(1, 25)]
    assert told[-1][0] == told[-1][1]


def test_what_cannot_be_is_refused():
    with pytest.raises(PromptError, match="outside the volume"):
        run(OTHER, ObjectPrompts("far", 1, points=(PointPrompt(4, 5, 99),)))
    with pytest.raises(ConfigurationError, match="orientations were asked for with a template"):
        run(settings=replace(HOW, orientations=(Plane.CORONAL,)))
    one = TemplateRun(IntensityNetwork(), OTHER, TEMPLATE, PromptSet((DARK_CLICK,)), HOW)
    with pytest.raises(ConfigurationError, match="no result yet"):
        one.result()


def twice_as_large(volume):
    array = volume.array.repeat(2, 1).repeat(2, 2)
    return Volume(array, Geometry(array.shape, volume.geometry.affine))


@pytest.mark.parametrize("memory", ["fifo", "self-sorting"])
def test_a_network_that_focuses_finds_it_in_another_scan_too(memory):
    template, other = twice_as_large(TEMPLATE), twice_as_large(OTHER)
    box = ObjectPrompts("bright", 2, boxes=(BoxPrompt(16, 18, 8, 29, 27, 8),))
    result, _ = run(other, box, template=template, settings=replace(HOW, memory=memory), network=FocusingNetwork())
    assert np.array_equal(result.segmentation.labels == 2, other.array == BRIGHT)
