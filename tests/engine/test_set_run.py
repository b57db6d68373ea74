"""A set of images in, a label map each out: exact with a network that segments by intensity."""

import random
import weakref
from dataclasses import replace

import numpy as np
import pytest

from medsam2.engine.set_result import SetSettings
from medsam2.engine.set_run import SetRun, joined_names, pair_templates
from medsam2.errors import ConfigurationError, FormatError, InputError, PromptError, ShapeError
from medsam2.frames import NamedVolume
from medsam2.memory import POLICIES
from medsam2.prompts import BoxPrompt, MaskPrompt, ObjectPrompts, PointPrompt, PromptSet
from medsam2.spatial import Geometry, Volume
from reference.intensity_network import IOU, LEVELS, SIDE, FocusingNetwork, IntensityNetwork
from reference.nuclei_tiles import cut_into_tiles

DARK, BRIGHT = LEVELS[1:]
HOW = SetSettings(window=(0.0, 255.0))


def picture(dark=None, bright=None):
    """16 x 16 pixels with a block of each level, given as (rows, columns)."""
    array = np.zeros((1, SIDE, SIDE), np.uint8)
    for block, level in ((dark, DARK), (bright, BRIGHT)):
        if block is not None:
            array[0][block] = level
    return Volume(array, Geometry(array.shape, np.eye(4)))


PICTURES = {
    "template": picture(np.s_[3:8, 2:7], np.s_[9:14, 8:15]),
    "moved": picture(np.s_[9:12, 9:14], np.s_[1:5, 2:4]),
    "dark only": picture(dark=np.s_[0:4, 0:4]),
    "bright only": picture(bright=np.s_[5:9, 5:9]),
    "empty": picture(),
}


def images_of(pictures):
    return [NamedVolume(name, volume) for name, volume in pictures.items()]


def click(name, label, x, y):
    return ObjectPrompts(name, label, points=(PointPrompt(x, y, 0),))


DARK_CLICK, BRIGHT_CLICK = click("dark", 1, 4, 5), click("bright", 2, 10, 11)
BOTH = {"template": PromptSet((DARK_CLICK, BRIGHT_CLICK))}


def run(images, templates, settings=HOW, network=None):
    one = SetRun(network or IntensityNetwork(), images, templates, settings)
    masks = {mask.name: mask for mask in one.stream()}
    return one.result(), masks


def noise_set(count=6):
    """Images of different sizes, depths and colours, with the prompts of the first."""
    generator = np.random.default_rng(0)
    images = []
    for number in range(count):
        shape = (1, 40 + 7 * number, 50 - 3 * number) + ((3,) if number % 3 == 2 else ())
        array = generator.integers(0, 256, shape).astype(np.uint8)
        array = array if number % 3 else array.astype(np.uint16) * 200
        images.append(NamedVolume(f"image {number}", Volume(array, Geometry(array.shape[:3], np.eye(4)))))
    boxes = [ObjectPrompts(f"{n}", n, boxes=(BoxPrompt(3 * n, 4, 0, 20 + 3 * n, 30, 0),)) for n in (1, 2)]
    return images, {"image 0": PromptSet(tuple(boxes))}


def test_the_object_is_found_to_the_pixel_on_each_image():
    result, masks = run(images_of(PICTURES), BOTH)
    for name, volume in PICTURES.items():
        expected = np.select([volume.array == DARK, volume.array == BRIGHT], [1, 2])
        segmentation = masks[name].segmentation
        assert np.array_equal(segmentation.labels, expected)
        assert segmentation.geometry is volume.geometry
        assert segmentation.names == {1: "dark", 2: "bright"}
        assert [one.area_px for one in masks[name].objects] == [(expected == n).sum() for n in (1, 2)]
        assert (masks[name].window.lower, masks[name].window.upper) == HOW.window
    assert result.warnings == ()
    assert result.templates == ("template",)
    assert [one.name for one in result.images] == list(PICTURES)  # in the order given


def test_an_image_without_the_object_gets_an_empty_mask_and_says_so():
    result, masks = run(images_of(PICTURES), BOTH)
    dark, bright = masks["dark only"].objects
    assert (dark.confidence, bright.confidence) == (pytest.approx(IOU), 0)
    assert dark.object_score > 0 > bright.object_score
    assert not masks["empty"].segmentation.labels.any()
    empty = next(one for one in result.images if one.name == "empty")
    assert [(one.confidence, one.area_px, one.in_memory) for one in empty.objects] == [(0, 0, False)] * 2


def test_the_template_is_prompted_and_remembered():
    _, masks = run(images_of(PICTURES), BOTH)
    assert all(one.prompted and one.in_memory for one in masks["template"].objects)
    assert not any(one.prompted for name in PICTURES if name != "template" for one in masks[name].objects)


@pytest.mark.parametrize("memory", POLICIES)
@pytest.mark.parametrize("seed", [1, 2])
def test_the_order_in_which_images_are_given_changes_nothing(tiny_network, memory, seed):
    images, templates = noise_set()
    settings = SetSettings(memory, least_confidence=0)
    _, masks = run(images, templates, settings, tiny_network)
    shuffled = random.Random(seed).sample(images, len(images))
    other_result, other_masks = run(shuffled, templates, settings, tiny_network)
    assert list(masks) == list(other_masks)  # visited in the same order
    for name, mask in masks.items():
        assert mask.objects == other_masks[name].objects
        assert np.array_equal(mask.segmentation.labels, other_masks[name].segmentation.labels)
    assert any(mask.segmentation.labels.any() for mask in masks.values())
    assert [one.name for one in other_result.images] == [one.name for one in shuffled]


def test_the_order_of_real_pictures_changes_nothing(tiny_network):
    images, truth = cut_into_tiles(64, first=5)
    template = {images[2].name: PromptSet((ObjectPrompts("nuclei", 1, masks=(MaskPrompt(truth[images[2].name]),)),))}
    _, masks = run(images, template, SetSettings(), tiny_network)
    _, others = run(images[::-1], template, SetSettings(), tiny_network)
    assert np.array_equal(masks["tile_02"].segmentation.labels == 1, truth["tile_02"])
    assert all(np.array_equal(masks[name].segmentation.labels, others[name].segmentation.labels) for name in masks)


class Doubtful(IntensityNetwork):
    """The smaller the object, the less sure; counts the memories that images attend to."""

    def __init__(self):
        super().__init__()
        self.attended = []

    def condition(self, features, memory):
        if memory is not None:
            self.attended.append(len(memory[0].entries))
        return super().condition(features, memory)

    def decode(self, features, prompt):
        found = super().decode(features, prompt)
        found.iou[:] = (found.logits > 0).float().mean((-2, -1)).clamp_min(0.02)
        return found


def squares(**sides):
    return images_of({name: picture(dark=np.s_[0:side, 0:side]) for name, side in sides.items()})


CORNER = {"t": PromptSet((click("dark", 1, 1, 1),))}


def test_images_are_visited_by_falling_confidence():
    network = Doubtful()
    _, masks = run(squares(small=4, t=6, large=15, none=0, middle=9), CORNER, network=network)
    assert list(masks) == ["t", "large", "middle", "small", "none"]


def test_first_each_image_is_segmented_from_the_template_alone_then_all_remember():
    network = Doubtful()
    _, masks = run(squares(a=15, t=6, b=14, c=13, d=2), CORNER, network=network)
    assert network.attended == [1] * 4 + [1, 2, 3, 4]
    assert {name: mask.objects[0].in_memory for name, mask in masks.items()} == {
        "t": True,
        "a": True,
        "b": True,
        "c": True,
        "d": False,  # not sure enough to be remembered
    }


def test_what_the_network_is_not_sure_of_is_left_out():
    images = squares(a=15, t=6, b=9, c=4)  # confidences of .88, .14, .32 and .06
    for least, found in ((0.25, {"a", "b", "t"}), (0.5, {"a", "t"}), (0.0, {"a", "b", "c", "t"})):
        _, masks = run(images, CORNER, replace(HOW, least_confidence=least), Doubtful())
        assert {name for name, mask in masks.items() if mask.segmentation.labels.any()} == found
        assert {name for name, mask in masks.items() if mask.objects[0].area_px} == found
        assert {name for name, mask in masks.items() if mask.objects[0].confidence} == found


def test_equal_images_take_turns_by_name():
    _, masks = run(squares(b=5, t=5, c=5, a=5), CORNER)
    assert list(masks) == ["t", "a", "b", "c"]


def test_fifo_remembers_the_images_visited_last():
    network = Doubtful()
    sides = {"t": 6} | {f"n{side:02d}": side for side in range(3, 13)}
    _, masks = run(squares(**sides), CORNER, SetSettings("fifo", window=(0.0, 255.0)), network)
    assert network.attended == [1] * 10 + [1, 2, 3, 4, 5, 6, 7, 7, 7, 7]
    assert all(mask.objects[0].in_memory for mask in masks.values())


class Broken(NamedVolume):
    """Cannot be read, or no more after some times."""

    def __init__(self, name, error, reads=0):
        super().__init__(name, PICTURES.get(name, PICTURES["moved"]))
        object.__setattr__(self, "left", [error] * 9 if not reads else [None] * reads + [error])

    def read(self):
        error = self.left.pop(0)
        if error is not None:
            raise error
        return super().read()


@pytest.mark.parametrize("reads", [0, 1])
@pytest.mark.parametrize("error", [FormatError("b.png is empty."), ShapeError("b.png is a volume")])
def test_an_image_that_cannot_be_used_is_named_and_the_others_are_done(error, reads):
    images = [Broken("b.png", error, reads), *images_of(PICTURES)]
    result, masks = run(images, BOTH)
    assert (masks["b.png"].failure, masks["b.png"].segmentation, masks["b.png"].objects) == (str(error), None, ())
    assert [one.name for one in result.failures] == ["b.png"]
    assert len(masks) == len(images)
    assert np.array_equal(masks["moved"].segmentation.labels == 1, PICTURES["moved"].array == DARK)


def test_a_volume_in_the_set_is_refused_in_words():
    deep = Volume(np.ones((3, 4, 5)), Geometry((3, 4, 5), np.eye(4)))
    _, masks = run([*images_of(PICTURES), NamedVolume("ct.nii", deep)], BOTH)
    assert "ct.nii is a volume of 5 x 4 x 3 voxels" in masks["ct.nii"].failure


def test_a_template_that_cannot_be_used_ends_all_at_once():
    network = IntensityNetwork()
    with pytest.raises(FormatError, match="damaged"):
        SetRun(network, [Broken("template", FormatError("damaged"))], BOTH, HOW)
    assert network.encoded == 0


def test_a_template_that_is_gone_while_its_other_objects_are_looked_for_is_a_failure():
    images = [Broken("template", FormatError("gone"), reads=2), *images_of(PICTURES)[1:]]
    templates = {"template": PromptSet((DARK_CLICK,)), "moved": PromptSet((click("bright", 2, 2, 2),))}
    _, masks = run(images, templates)
    assert masks["template"].failure == "gone"
    assert np.array_equal(masks["dark only"].segmentation.labels == 1, PICTURES["dark only"].array == DARK)


def test_objects_may_be_prompted_on_different_templates():
    templates = {"template": PromptSet((DARK_CLICK,)), "moved": PromptSet((click("bright", 2, 2, 2),))}
    result, masks = run(images_of(PICTURES), templates)
    assert result.templates == ("moved", "template")  # by name
    assert result.names == {2: "bright", 1: "dark"}
    for name, volume in PICTURES.items():
        expected = np.select([volume.array == DARK, volume.array == BRIGHT], [1, 2])
        assert np.array_equal(masks[name].segmentation.labels, expected)
    assert [one.prompted for one in masks["moved"].objects] == [True, False]
    assert [one.prompted for one in masks["template"].objects] == [False, True]


def test_one_object_may_be_prompted_on_several_templates():
    network = Doubtful()
    templates = {"a": PromptSet((click("dark", 1, 1, 1),)), "b": PromptSet((click("dark", 1, 2, 2),))}
    result, masks = run(squares(a=4, b=5, c=6), templates, network=network)
    assert network.attended == [2, 2]
    assert list(masks) == ["a", "b", "c"]
    assert result.templates == ("a", "b")


def test_the_user_is_believed_about_the_template():
    _, masks = run(images_of(PICTURES), BOTH, network=IntensityNetwork(score=-4))
    assert masks["template"].segmentation.labels.any()
    assert not any(masks[name].segmentation.labels.any() for name in PICTURES if name != "template")


def test_a_drawn_template_comes_back_to_the_pixel(tiny_network):
    images, _ = noise_set()
    drawn = np.random.default_rng(3).random((1, *images[1].volume.array.shape[1:3])) < 0.3
    templates = {"image 1": PromptSet((ObjectPrompts("drawn", 7, masks=(MaskPrompt(drawn),)),))}
    _, masks = run(images, templates, SetSettings(), tiny_network)
    assert np.array_equal(masks["image 1"].segmentation.labels == 7, drawn)
    assert masks["image 1"].objects[0].confidence == 1


def test_of_overlapping_objects_one_keeps_the_pixels():
    prompts = PromptSet((DARK_CLICK, click("same", 2, 3, 4)))
    _, masks = run(images_of(PICTURES), {"template": prompts})
    first, second = masks["moved"].objects
    assert (first.area_px, second.area_px) == (15, 0)
    assert second.confidence == pytest.approx(IOU)


def test_instances_are_numbered_object_by_object():
    volume = picture(np.s_[1:3, 1:3], np.s_[12:15, 12:15])
    volume.array[0, 6:8, 6:8] = DARK
    images = images_of({"template": PICTURES["template"], "many": volume, "empty": picture()})
    result, masks = run(images, BOTH, SetSettings(window=(0.0, 255.0), instances=True))
    labels = masks["many"].segmentation.labels[0]
    assert [int(labels[place]) for place in ((1, 1), (6, 6), (13, 13))] == [1, 2, 3]
    assert masks["many"].segmentation.names == {1: "dark", 2: "dark", 3: "bright"}
    assert [(one.area_px, one.instances) for one in masks["many"].objects] == [(8, 2), (9, 1)]
    assert [one.instances for one in masks["empty"].objects] == [0, 0]
    assert result.images[0].objects[0].instances == 1


def test_grids_with_the_slice_along_any_axis_keep_their_geometry():
    flat = PICTURES["moved"].array[0]
    affine = np.array([[0, 0, 2.0, 5], [-1, 0, 0, 6], [0, -1, 0, 7], [0, 0, 0, 1]])
    sagittal = Volume(flat[..., None].copy(), Geometry((SIDE, SIDE, 1), affine))
    images = [*images_of(PICTURES), NamedVolume("sagittal", sagittal)]
    _, masks = run(images, BOTH)
    segmentation = masks["sagittal"].segmentation
    assert segmentation.geometry is sagittal.geometry
    assert np.array_equal(segmentation.labels == 1, sagittal.array == DARK)


class Watched(NamedVolume):
    """Makes its picture anew whenever it is read, and counts those that are still there."""

    alive, most = set(), 0

    def read(self):
        volume = picture(dark=np.s_[2:9, 2:9])
        reference = weakref.ref(volume, Watched.alive.discard)
        Watched.alive.add(reference)
        Watched.most = max(Watched.most, len(Watched.alive))
        return volume


@pytest.mark.parametrize("memory", POLICIES)
def test_a_large_set_streams_in_flat_memory(memory):
    Watched.alive, Watched.most = set(), 0
    network = IntensityNetwork()
    images = [Watched(f"{number:03d}", None) for number in range(200)]
    one = SetRun(network, images, {"000": PromptSet((DARK_CLICK,))}, SetSettings(memory, window=(0.0, 255.0)))
    count, most_features = 0, 0
    for _ in one.stream():
        count += 1
        most_features = max(most_features, network.features_alive)
    assert count == 200
    assert network.encoded == 2 * 199 + 1
    assert Watched.most <= 3
    assert most_features <= 2
    result = one.result()
    assert all(image.segmentation is None and image.volume is None for image in result.images)


def test_progress_counts_both_passes_and_ends_at_the_end():
    told = []
    one = SetRun(IntensityNetwork(), images_of(PICTURES), BOTH, HOW)
    for _ in one.stream(lambda *now: told.append(now)):
        pass
    assert told == [(done, 9) for done in (*range(1, 10), 9)]
    one = SetRun(IntensityNetwork(), [Broken("b", FormatError("x")), *images_of(PICTURES)], BOTH, HOW)
    told.clear()
    for _ in one.stream(lambda *now: told.append(now)):
        pass
    assert told[-1] == (11, 11)
    assert told == sorted(told)


def test_an_exception_in_progress_ends_the_run():
    network = IntensityNetwork()

    def stop(done, _):
        if done == 3:
            raise KeyboardInterrupt

    stream = SetRun(network, images_of(PICTURES), BOTH, HOW).stream(stop)
    with pytest.raises(KeyboardInterrupt):
        list(stream)
    assert network.encoded == 3


def test_a_closed_run_keeps_what_was_handed_out():
    one = SetRun(IntensityNetwork(), images_of(PICTURES), BOTH, HOW)
    stream = one.stream()
    next(stream)
    next(stream)
    stream.close()
    assert [image.name for image in one.result().images] == ["template", "moved"]


def test_a_template_that_is_not_in_the_set_is_refused():
    with pytest.raises(InputError, match=r"no image of the set is named 'templat'; .*Did you mean 'template'"):
        SetRun(IntensityNetwork(), images_of(PICTURES), {"templat": PromptSet((DARK_CLICK,))}, HOW)


def test_prompts_that_do_not_fit_the_template_are_refused():
    with pytest.raises(PromptError, match="outside the volume"):
        SetRun(IntensityNetwork(), images_of(PICTURES), {"template": PromptSet((click("x", 1, 99, 2),))}, HOW)


def test_a_window_that_is_unknown_is_refused_at_once():
    with pytest.raises(ConfigurationError, match="no window"):
        SetRun(IntensityNetwork(), images_of(PICTURES), BOTH, SetSettings(window="abdomn"))


@pytest.mark.parametrize(
    ("objects", "message"),
    [
        ([("cell", 1), ("cell", 2)], "object 'cell' has the label 2, which another template gives differently"),
        ([("cell", 1), ("nucleus", 1)], "object 'nucleus' has the label 1, which another template gives differently"),
    ],
)
def test_templates_that_contradict_each_other_are_refused(objects, message):
    templates = {f"{n}": PromptSet((click(*one, 1, 1),)) for n, one in enumerate(objects)}
    with pytest.raises(PromptError, match=message):
        joined_names(templates)


def test_without_a_template_there_is_nothing_to_find():
    with pytest.raises(PromptError, match="no image of the set is prompted"):
        SetRun(IntensityNetwork(), images_of(PICTURES), {}, HOW)


def test_templates_and_prompts_come_in_pairs():
    one, two = PromptSet((DARK_CLICK,)), PromptSet((BRIGHT_CLICK,))
    assert pair_templates("a", one) == {"a": one}
    assert pair_templates(["a", "b"], [one, two]) == {"a": one, "b": two}
    for template, prompts in (("a", [one, two]), (["a", "b"], one), (["a", "a"], [one, two]), ([], one)):
        with pytest.raises(PromptError, match="expected one set for each"):
            pair_templates(template, prompts)


def test_a_network_that_focuses_answers_the_template_from_near_and_looks_at_whole_images():
    def large(rows, columns):
        array = np.zeros((1, 2 * SIDE, 2 * SIDE), np.uint8)
        array[0, rows, columns] = BRIGHT
        return Volume(array, Geometry(array.shape, np.eye(4)))

    pictures = {"a": large(np.s_[4:14], np.s_[6:12]), "b": large(np.s_[20:23], np.s_[1:9]), "c": large((), ())}
    box = {"a": PromptSet((ObjectPrompts("bright", 1, boxes=(BoxPrompt(6, 4, 0, 11, 13, 0),)),))}
    network = FocusingNetwork()
    _, masks = run(images_of(pictures), box, network=network)
    for name, volume in pictures.items():
        assert np.array_equal(masks[name].segmentation.labels == 1, volume.array == BRIGHT), name
    assert masks["a"].objects[0].confidence == pytest.approx(IOU)  # the answer's, not that of a drawn mask
    assert network.encoded == 1 + 1 + 2 * 2  # from near, the whole template, the others in two passes
