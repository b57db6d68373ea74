"""A run over a set that is broken off goes on where it was, with the same result."""

import numpy as np
import pytest

from medsam2.engine.set_log import SetLog
from medsam2.engine.set_result import ImageMask, ImageObject, SetSettings
from medsam2.engine.set_run import SetRun, tells_what_is_remembered
from medsam2.errors import FormatError
from medsam2.frames import IntensityWindow, NamedVolume
from medsam2.memory import POLICIES, MemoryOptions
from medsam2.prompts import BoxPrompt, ObjectPrompts, PointPrompt, PromptSet
from medsam2.spatial import Geometry, Volume
from reference.intensity_network import LEVELS, SIDE, IntensityNetwork

HEADER = {"model": {"sha256": "12"}}
FOUND = ImageMask(
    "a.png", 3, (ImageObject("cell", 2, 0.7, 1.5, 40, None, True, False),), None, IntensityWindow("full", 0.0, 204.5)
)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "out" / "log.jsonl"


def test_what_was_noted_is_there_again(path):
    log = SetLog(path, HEADER)
    assert (log.is_new, log.count) == (True, 0)
    log.add_turn("a.png", (0.1 + 0.2, -3.25))
    log.add(FOUND)
    again = SetLog(path, HEADER)
    assert (again.is_new, again.count) == (False, 1)
    assert again.turn("a.png") == (0.1 + 0.2, -3.25)
    assert again.turn("b.png") is again.done("b.png", 0) is None
    found = again.done("a.png", 7)  # images may come in another order
    assert (found.objects, found.window, found.position, found.segmentation) == (FOUND.objects, FOUND.window, 7, None)


def test_a_log_of_another_run_is_begun_anew(path):
    SetLog(path, HEADER).add(FOUND)
    other = SetLog(path, {"model": {"sha256": "34"}})
    assert other.is_new
    other.add_turn("b.png", (0.5, 1.0))
    assert SetLog(path, HEADER).is_new


@pytest.mark.parametrize("text", ["", "no JSON", '{"header": {}}\n{"turn": ["a", 1, 1]}\n'])
def test_a_file_that_is_no_log_of_this_run_is_left_out(tmp_path, text):
    (tmp_path / "log").write_text(text)
    assert SetLog(tmp_path / "log", HEADER).is_new


def test_a_line_that_was_cut_short_is_left_out_and_the_log_goes_on(path):
    log = SetLog(path, HEADER)
    log.add_turn("a.png", (0.5, 1.0))
    log.add_turn("b.png", (0.25, 2.0))
    path.write_bytes(path.read_bytes()[:-9])
    again = SetLog(path, HEADER)
    assert (again.turn("a.png"), again.turn("b.png")) == ((0.5, 1.0), None)
    again.add_turn("c.png", (0.75, 3.0))
    last = SetLog(path, HEADER)
    assert (last.turn("a.png"), last.turn("c.png")) == ((0.5, 1.0), (0.75, 3.0))
    assert len(path.read_text().splitlines()) == 3


@pytest.mark.parametrize("line", ["\0\0\0", "null", "{}", '{"turn": ["b.png"]}', '{"done": {"name": "b.png"}}'])
def test_a_damaged_line_and_what_follows_are_left_out(path, line):
    log = SetLog(path, HEADER)
    log.add_turn("a.png", (0.5, 1.0))
    log.add_turn("c.png", (0.25, 2.0))
    header, first, second, end = path.read_text().split("\n")
    path.write_text("\n".join((header, first, line, second, end)))
    again = SetLog(path, HEADER)
    assert (again.turn("a.png"), again.turn("c.png")) == ((0.5, 1.0), None)
    again.add(FOUND)
    assert SetLog(path, HEADER).count == 1


def test_images_whose_label_map_is_gone_are_not_done(path):
    log = SetLog(path, HEADER)
    log.add(FOUND)
    log.keep_if(lambda name: name != "a.png")
    assert log.count == 0


def test_a_finished_run_leaves_no_log(path):
    log = SetLog(path, HEADER)
    log.remove()  # nothing was noted
    log.add(FOUND)
    log.remove()
    assert not path.exists()


def test_a_log_that_cannot_be_used_is_named(tmp_path):
    (tmp_path / "log").mkdir()
    with pytest.raises(FormatError, match="log: cannot be read"):
        SetLog(tmp_path / "log", HEADER)
    (tmp_path / "file").write_text("")
    with pytest.raises(FormatError, match="cannot be written"):
        SetLog(tmp_path / "file" / "log", HEADER).add(FOUND)


def noise(count=6):
    """Pictures of noise, and two boxes on the first."""
    generator = np.random.default_rng(0)
    arrays = [generator.integers(0, 256, (1, 40 + n, 50)).astype(np.uint8) for n in range(count)]
    images = [NamedVolume(f"{n}", Volume(array, Geometry(array.shape, np.eye(4)))) for n, array in enumerate(arrays)]
    boxes = [ObjectPrompts(f"{n}", n, boxes=(BoxPrompt(3 * n, 4, 0, 20 + 3 * n, 30, 0),)) for n in (1, 2)]
    return images, {"0": PromptSet(tuple(boxes))}


def finish(run, log, stop=None):
    """Take a run to its end, or break it off after some images; its masks by name."""
    masks = {}
    stream = run.stream()
    for mask in stream:
        masks[mask.name] = mask
        if mask.segmentation is not None:
            log.add(mask)
        if len(masks) == stop:
            stream.close()
    return masks


SETTINGS = [
    *(SetSettings(memory) for memory in POLICIES),
    SetSettings(memory_seed=4),
    SetSettings(memory_seed=4, memory_options=MemoryOptions(pin_prompted=False)),
]


@pytest.mark.parametrize(
    "settings",
    SETTINGS,
    ids=lambda one: f"{one.memory}, seed {one.memory_seed}, pinned {one.memory_options.pin_prompted}",
)
def test_a_run_that_was_broken_off_finds_the_same(tiny_network, settings, path):
    images, templates = noise()
    whole = SetRun(tiny_network, images, templates, settings)
    expected = finish(whole, SetLog(path.with_name("whole"), HEADER))
    for stop in (2, 4):
        log = SetLog(path, {"stop": stop})
        finish(SetRun(tiny_network, images, templates, settings, log), log, stop)
        log = SetLog(path, {"stop": stop})
        assert log.count == stop
        again = SetRun(tiny_network, images[::-1], templates, settings, log)
        masks = finish(again, log)
        assert list(masks) == list(expected)
        for name, mask in masks.items():
            assert mask.objects == expected[name].objects
            if mask.segmentation is not None:
                assert np.array_equal(mask.segmentation.labels, expected[name].segmentation.labels)
        assert {one.name: one.objects for one in again.result().images} == {
            one.name: one.objects for one in whole.result().images
        }


def square(side):
    array = np.zeros((1, SIDE, SIDE), np.uint8)
    array[0, :side, :side] = LEVELS[1]
    return Volume(array, Geometry(array.shape, np.eye(4)))


def test_what_is_done_and_not_remembered_is_not_looked_at_again(path):
    class Unsure(IntensityNetwork):
        def decode(self, features, prompt):
            found = super().decode(features, prompt)
            found.iou[:] = 0.3  # below the gate
            return found

    images = [NamedVolume(f"{side}", square(side)) for side in range(2, 12)]
    templates = {"2": PromptSet((ObjectPrompts("dark", 1, points=(PointPrompt(1, 1, 0),)),))}
    settings = SetSettings(window=(0.0, 255.0))
    log, network = SetLog(path, HEADER), Unsure()
    finish(SetRun(network, images, templates, settings, log), log, stop=6)
    assert network.encoded == 1 + 9 + 5  # the template, nine first looks, five of the second pass
    log, network = SetLog(path, HEADER), Unsure()
    masks = finish(SetRun(network, images, templates, settings, log), log)
    assert network.encoded == 1 + 4
    assert sum(mask.segmentation is None for mask in masks.values()) == 5


@pytest.mark.parametrize(
    ("settings", "tells"),
    [
        (SetSettings(), True),
        (SetSettings("fifo"), True),
        (SetSettings(memory_seed=1), False),
        (SetSettings("released"), False),
        (SetSettings(memory_options=MemoryOptions(draws=2)), False),
    ],
)
def test_where_draws_decide_every_image_is_looked_at_again(settings, tells):
    assert tells_what_is_remembered(settings) is tells
