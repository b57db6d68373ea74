"""Trials on the validation split: whole volumes from boxes, sets from one picture."""

import pytest
import torch

from medsam2.network import Sam2Network
from medsam2.training import validation as module
from medsam2.training.validation import trial
from reference.random_weights import randomise
from training.tiny_runs import TINY, case_of, recipe_of, source_of

PICTURE = {"shape": (1, 24, 20), "spacing": (1, 1, 1)}


def stages(frames):
    return [{"tasks": [{"batch": {"clips": 1, "frames": frames, "objects": 1, "size": 32}}]}]


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    found = Sam2Network(TINY).eval()
    randomise(found, seed=0)
    return found


def pictures(count):
    return [source_of(f"p{number}", seed=number, **PICTURE) for number in range(count)]


def test_each_structure_of_a_volume_has_a_dice(network):
    found = list(trial(network, [source_of("a"), source_of("b", seed=1)], recipe_of()))
    assert len(found) == 4
    assert all(0 <= one <= 1 for one in found)
    assert found == list(trial(network, [source_of("a"), source_of("b", seed=1)], recipe_of()))


def test_processes_share_the_cases_and_one_tries_a_set(network):
    whole = list(trial(network, [source_of("a"), source_of("b", seed=1)], recipe_of()))
    parts = [list(trial(network, [source_of("a"), source_of("b", seed=1)], recipe_of(), (rank, 2))) for rank in (0, 1)]
    assert parts[0] + parts[1] == whole
    a_set = recipe_of(data={"source": "x", "ordered": False}, stages=stages(2))
    assert list(trial(network, pictures(3), a_set, (1, 2))) == []


def test_only_the_largest_structures_are_tried(network):
    case = case_of("a")
    assert module._largest(case, 1) == [1]
    assert module._largest(case, 5) == [1, 2]
    assert len(list(trial(network, [source_of("a")], recipe_of(validation={"structures": 1})))) == 1


def test_a_truth_that_is_found_has_a_dice_of_one(network, monkeypatch):
    """The answer is the truth itself: planted where the engine gives its masks."""
    case = case_of("a")

    class Oracle:
        def __init__(self, prompts):
            self.prompts = prompts

        def stream(self):

            for frame in range(case.view.frame_count):
                for label in (1, 2):
                    mask = case.truth_on(frame, label)
                    yield type("M", (), {"slice_index": case.view.slice_index(frame), "label": label, "mask": mask})

    monkeypatch.setattr(module.VolumeRun, "of_prompts", lambda network, volume, prompts, settings: Oracle(prompts))
    assert list(trial(network, [source_of("a")], recipe_of())) == [1.0, 1.0]


def test_pictures_are_prompted_each_where_clips_have_one_frame(network):
    recipe = recipe_of(data={"source": "x", "ordered": False}, stages=stages(1))
    assert len(list(trial(network, pictures(3), recipe))) == 6


def test_a_set_is_prompted_once_where_clips_have_several(network):
    recipe = recipe_of(data={"source": "x", "ordered": False}, stages=stages(2))
    found = list(trial(network, pictures(3), recipe))
    assert len(found) == 4  # two structures on the two pictures that are not the template
    assert all(0 <= one <= 1 for one in found)


def test_a_set_is_spread_over_the_pictures_to_choose_by(network, monkeypatch):
    tried = []
    monkeypatch.setattr(module, "PICTURES_OF_A_SET", 3)
    monkeypatch.setattr(
        module, "_from_one_picture", lambda network, sources, recipe: tried.extend(one.name for one in sources) or ()
    )
    a_set = recipe_of(data={"source": "x", "ordered": False}, stages=stages(2))
    assert list(trial(network, pictures(7), a_set)) == []
    assert tried == ["p0", "p2", "p4"]
