import pytest
import torch

from medsam2.network import FramePrompt, ImageFeatures, MemoryEntry, MemorySelection, PointKind, SeenMask


@pytest.fixture
def features(generator) -> ImageFeatures:
    return ImageFeatures(*(torch.randn(3, 2, side, side, generator=generator) for side in (16, 8, 4)))


def test_no_prompt_is_one_padding_point():
    prompt = FramePrompt.none(2)

    assert prompt.points.shape == (2, 1, 2)
    assert prompt.kinds.tolist() == [[PointKind.PADDING], [PointKind.PADDING]]
    assert prompt.mask is None


def test_point_kinds_are_sams():
    assert [PointKind.NEGATIVE, PointKind.POSITIVE, PointKind.BOX_FIRST, PointKind.BOX_LAST] == [0, 1, 2, 3]


def test_features_know_their_frames_and_input_side(features):
    assert len(features) == 3
    assert features.size == 64


def test_taking_frames(features):
    taken = features.take(torch.tensor([2, 0, 2]))

    assert torch.equal(taken.stride16, features.stride16[[2, 0, 2]])
    assert torch.equal(taken.stride8, features.stride8[[2, 0, 2]])
    assert torch.equal(taken.stride4, features.stride4[[2, 0, 2]])
    assert len(features.take(slice(1, 2))) == 1


def test_sharing_a_frame_copies_nothing(features):
    one = features.take(slice(1, 2))

    shared = one.expand(5)

    assert len(shared) == 5
    assert shared.stride4.untyped_storage().data_ptr() == features.stride4.untyped_storage().data_ptr()
    assert torch.equal(shared.stride16[4], features.stride16[1])


@pytest.mark.parametrize("with_image", [True, False])
def test_the_entry_of_one_object(generator, with_image):
    image = torch.randn(2, 8, 4, 4, generator=generator) if with_image else None
    entry = MemoryEntry(
        features=torch.randn(2, 64, 4, 4, generator=generator),
        pointer=torch.randn(2, 8, generator=generator),
        iou=torch.tensor([0.1, 0.9]),
        object_score=torch.tensor([-1.0, 1.0]),
        frame=7,
        image=image,
    )

    one = entry.of_object(1)

    assert torch.equal(one.features, entry.features[1:])
    assert torch.equal(one.pointer, entry.pointer[1:])
    assert (float(one.iou), float(one.object_score), one.frame) == (pytest.approx(0.9), 1.0, 7)
    assert (one.image is None) != with_image


def test_the_entry_of_one_object_holds_no_more_than_its_own():
    mask = SeenMask(torch.zeros(5, 1, 16, 16))
    entry = MemoryEntry(torch.zeros(5, 64, 4, 4), torch.zeros(5, 8), torch.ones(5), torch.ones(5), 0, mask=mask)

    one = entry.of_object(3)

    for tensor in (one.features, one.pointer, one.mask.logits):
        assert tensor.untyped_storage().nbytes() == tensor.numel() * tensor.element_size()


def test_layout_counts_memories_and_pointers():
    entry = MemoryEntry(torch.zeros(1, 64, 1, 1), torch.zeros(1, 8), torch.ones(1), torch.ones(1), 0)

    assert MemorySelection((entry, entry), (6, 0), (entry.pointer,), (0.1,)).layout == (2, 1, False)
    before = torch.zeros(1, 1, 4, 4)
    assert MemorySelection((entry,), (6,), before=before).layout == (1, 0, True)


def test_an_entry_without_its_image(generator):
    image = torch.randn(1, 8, 4, 4, generator=generator)
    entry = MemoryEntry(torch.zeros(1, 64, 4, 4), torch.zeros(1, 8), torch.ones(1), torch.ones(1), 3, image)

    assert entry.without_image().image is None
    assert entry.without_image().features is entry.features
