import pytest
import torch

from medsam2.errors import ShapeError
from medsam2.synthetic import ClipRecipe, Slab, Structure, make_clip, sample_targets
from medsam2.synthetic.targets import MIN_AREA


@pytest.fixture(scope="module")
def drawn():
    generator = torch.Generator().manual_seed(11)
    recipe = ClipRecipe(frames=8, size=64, unordered_share=0.25)
    clips = [make_clip(recipe, generator) for _ in range(40)]
    return [(clip, sample_targets(clip, 3, generator)) for clip in clips]


def test_shapes_and_types(drawn):
    for clip, targets in drawn:
        assert targets.masks.shape == (3, *clip.labels.shape)
        assert targets.masks.dtype == torch.bool
        assert targets.prompt_frame.dtype == torch.int64


def test_visible_where_prompted_and_never_the_whole_image(drawn):
    for _, targets in drawn:
        areas = targets.masks.float().mean(dim=(2, 3))
        prompted = areas.gather(1, targets.prompt_frame[:, None])
        assert bool((prompted >= MIN_AREA).all())
        assert float(areas.max()) < 0.75


def test_enough_ordered_objects_are_absent_on_some_frame(drawn):
    ordered = [targets for clip, targets in drawn if clip.ordered]
    absent = torch.cat([(~targets.masks.flatten(2).any(2)).any(1) for targets in ordered])
    assert float(absent.float().mean()) >= 0.35


def test_prompt_on_the_first_frame_where_asked(drawn):
    def share(asked):
        generator = torch.Generator().manual_seed(1)
        frames = torch.cat([sample_targets(clip, 3, generator, asked).prompt_frame for clip, _ in drawn])
        return float((frames == 0).float().mean())

    assert share(1.0) > 0.7  # some objects begin later
    assert share(1.0) > 2 * share(0.0)


def test_empty_clip_is_refused():
    empty = Slab.from_labels(torch.zeros(2, 32, 32, dtype=torch.int16), (Structure("outside", "air"),) * 2)
    with pytest.raises(ShapeError, match="no object of the given clip"):
        sample_targets(empty, 1, torch.Generator().manual_seed(0))
