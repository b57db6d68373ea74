"""An endless source of clips to learn from."""

import pytest
import torch

from medsam2.errors import ShapeError
from medsam2.frames.frame_stack import IMAGE_MEAN, IMAGE_STD
from medsam2.synthetic import ClipRecipe
from medsam2.training import synthetic_clips
from medsam2.training.crops import Crop
from medsam2.training.synthetic_clips import LONGEST_GAP, BatchShape, SlabPool, SyntheticClips, normalise

CPU = torch.device("cpu")


def clips_of(shape, seed=0, **recipe):
    return SyntheticClips(shape, torch.Generator().manual_seed(seed), CPU, ClipRecipe(**recipe) if recipe else None)


@pytest.mark.parametrize(
    "shape",
    [BatchShape(2, 3, 2, 64), BatchShape(1, 1, 4, 64), BatchShape(3, 8, 1, 32), BatchShape(1, 2, 1, 96)],
    ids=str,
)
def test_shapes(shape):
    batch = clips_of(shape).next_batch()
    objects = shape.clips * shape.objects
    assert batch.images.shape == (shape.clips, shape.frames, 3, shape.size, shape.size)
    assert batch.images.dtype == torch.float32
    assert batch.truth.shape == (objects, shape.frames, shape.size, shape.size)
    assert batch.truth.dtype == torch.bool
    assert batch.clip_of.tolist() == [clip for clip in range(shape.clips) for _ in range(shape.objects)]
    assert len(batch.steps) == shape.frames


def test_every_object_is_on_the_first_frame_and_frames_are_in_order():
    source, gaps, absent = clips_of(BatchShape(2, 3, 3, 64)), set(), 0
    for _ in range(25):
        batch = source.next_batch()
        assert (batch.truth[:, 0].flatten(1).float().mean(1) >= synthetic_clips.MIN_AREA).all()
        assert batch.images.isfinite().all()
        assert batch.steps[0] == 0
        (gap,) = {later - earlier for earlier, later in zip(batch.steps, batch.steps[1:], strict=False)}
        gaps.add(gap)
        absent += int((~batch.truth.flatten(2).any(2)).sum())
    assert gaps == set(range(1, LONGEST_GAP + 1))
    assert absent > 0  # that objects end must be learnt


def test_gaps_fit_into_a_slab():
    for frames, longest in ((12, 2), (8, 2), (4, 2), (3, 3), (2, 3)):
        source = clips_of(BatchShape(1, frames, 1, 32))
        gaps = {source._steps()[-1] // (frames - 1) for _ in range(40)}
        assert gaps == set(range(1, longest + 1))


def test_clips_longer_than_a_slab():
    source = clips_of(BatchShape(1, 12, 1, 32))
    assert source.pool.recipe.frames == 24  # with room for gaps
    assert source.next_batch().truth.shape[1] == 12


def test_a_window_lies_in_the_slab_in_either_direction():
    source = clips_of(BatchShape(1, 3, 1, 32))
    slab = source.pool.draw()
    numbered = torch.arange(8, dtype=torch.int16)[:, None, None].expand(8, 32, 32)
    seen = set()
    for _ in range(60):
        window = source._window(type(slab)(numbered, *list(vars(slab).values())[1:]), (0, 2, 4))
        seen.add(tuple(window.instances[:, 0, 0].tolist()))
    rising = {(start, start + 2, start + 4) for start in range(4)}
    assert seen == rising | {one[::-1] for one in rising}


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_as_many_scenes_are_unordered_as_asked_for(share):
    source = clips_of(BatchShape(3, 2, 1, 32, unordered=share))
    assert {one for _ in range(4) for one in source.next_batch().ordered} == {share == 0}


def test_the_same_seed_gives_the_same_batches():
    first, again = (clips_of(BatchShape(1, 2, 2, 32), seed=7) for _ in range(2))
    for _ in range(3):
        one, other = first.next_batch(), again.next_batch()
        assert torch.equal(one.images, other.images)
        assert torch.equal(one.truth, other.truth)
        assert one.steps == other.steps
    assert not torch.equal(clips_of(BatchShape(1, 2, 2, 32), seed=8).next_batch().images, one.images)


def test_images_are_normalised_as_when_segmenting():
    grey = torch.full((2, 1, 4, 4), 0.5)
    expected = (0.5 - torch.tensor(IMAGE_MEAN)) / torch.tensor(IMAGE_STD)
    assert normalise(grey).shape == (2, 3, 4, 4)
    torch.testing.assert_close(normalise(grey)[0, :, 0, 0], expected)
    torch.testing.assert_close(normalise(grey.expand(-1, 3, -1, -1)), normalise(grey))


def test_grey_and_colour_clips_share_a_batch(monkeypatch):
    source = clips_of(BatchShape(2, 2, 1, 32))
    made = iter([torch.zeros(2, 1, 32, 32), torch.ones(2, 3, 32, 32)])
    masks, regions = torch.ones(1, 2, 32, 32, dtype=torch.bool), torch.tensor([[0.0, 0.0, 1.0, 1.0]] * 2)
    monkeypatch.setattr(source, "_scene", lambda _: ([Crop(next(made), masks, regions)], True))
    batch = source.next_batch()
    assert batch.images.shape == (2, 2, 3, 32, 32)
    assert batch.regions.shape == (2, 2, 4)


def test_several_looks_at_one_scene():
    batch = clips_of(BatchShape(5, 2, 2, 64, looks=3)).next_batch()
    assert batch.images.shape[0] == 5  # the last scene gives as many as are missing
    assert batch.truth[:, 0].flatten(1).any(1).all()
    assert ((batch.regions[..., 2:] - batch.regions[..., :2]) > 0).all()
    assert len(batch.regions[:, 0].unique(dim=0)) > 1


def test_objects_are_large_enough_where_they_are_prompted():
    source = clips_of(BatchShape(6, 1, 2, 128, looks=3))
    for _ in range(5):
        area = source.next_batch().truth[:, 0].flatten(1).sum(1)
        assert (area >= synthetic_clips.FEWEST_PIXELS).all()


def pool_of(**options):
    return SlabPool(ClipRecipe(frames=2, size=32), torch.Generator().manual_seed(0), CPU, **options)


def painted(monkeypatch):
    """Note each slab that is painted."""
    slabs, real = [], synthetic_clips.make_scene

    def noted(*arguments):
        slabs.append(real(*arguments))
        return slabs[-1]

    monkeypatch.setattr(synthetic_clips, "make_scene", noted)
    return slabs


def test_slabs_serve_several_clips(monkeypatch):
    slabs, pool = painted(monkeypatch), pool_of(capacity=4, clips_per_slab=5.0)
    for _ in range(100):
        pool.draw()
    assert 12 <= len(slabs) <= 35
    assert len(pool.slabs) == 4
    assert all(kept is one for kept, one in zip(pool.slabs, slabs[-4:], strict=True))  # the oldest go first


def test_a_pool_fills_fast(monkeypatch):
    slabs, pool = painted(monkeypatch), pool_of(capacity=50, clips_per_slab=1000.0)
    for _ in range(40):
        pool.draw()
    assert 12 <= len(slabs) <= 28


def test_scenes_without_objects_are_passed_over(monkeypatch):
    source = clips_of(BatchShape(1, 2, 1, 64))
    real, calls = synthetic_clips.sample_targets, []

    def sometimes(*arguments, **options):
        calls.append(1)
        if len(calls) < 5:
            raise ShapeError("nothing there")
        return real(*arguments, **options)

    monkeypatch.setattr(synthetic_clips, "sample_targets", sometimes)
    assert source.next_batch().truth[:, 0].any()
    assert len(calls) >= 5


def test_a_recipe_without_objects_is_given_up(monkeypatch):
    def never(*_, **__):
        raise ShapeError("nothing there")

    monkeypatch.setattr(synthetic_clips, "sample_targets", never)
    with pytest.raises(ShapeError, match="no promptable object in 20 slabs"):
        clips_of(BatchShape(1, 2, 1, 32)).next_batch()
