import numpy as np
import pytest

from medsam2.evaluation.simulated_prompts import PromptKind, slice_prompt, volume_prompts
from medsam2.prompts.simulation import box_around, first_click


def test_the_prompts_of_a_slice():
    truth = np.zeros((9, 9), bool)
    truth[2:7, 1:6] = True
    assert slice_prompt(PromptKind.BOX, truth).box == box_around(truth)
    assert slice_prompt(PromptKind.CLICK, truth).points == (first_click(truth),)
    assert slice_prompt(PromptKind.MASK, truth).mask is truth


@pytest.mark.parametrize("flips", [(1, 1), (-1, -1)])
@pytest.mark.parametrize("kind", PromptKind)
def test_prompts_lie_where_they_were_made(new_case, kind, flips):
    """Through the file's voxel indices and back, whichever way the file is stored."""
    case = new_case(affine=np.diag([0.5 * flips[0], 0.5, 2.0 * flips[1], 1.0]))
    prompts = volume_prompts(case, [4, 7], kind)
    assert prompts.names == {4: "dark (4)", 7: "bright (7)"}
    for one in prompts.resolve(case.volume.geometry, case.view.plane):
        frame = case.prompted_frames[one.label]
        assert list(one.slices) == [frame]
        expected = slice_prompt(kind, case.truth_on(frame, one.label))
        assert one.slices[frame].box == expected.box
        assert one.slices[frame].points == expected.points
        if kind is PromptKind.MASK:
            assert np.array_equal(one.slices[frame].mask, expected.mask)


def test_only_the_prompted_slice_is_read(case, new_case):
    """With any other truth on other slices, the prompts are the same."""
    labels = case.reference.labels.copy()
    for k in set(range(len(labels))) - set(case.prompted_frames.values()):
        labels[k] = np.roll(labels[k], 3, axis=1) * (k % 2)
    other = new_case(labels=labels)
    assert not np.array_equal(other.reference.labels, case.reference.labels)
    for kind in PromptKind:
        for one, two in zip(*(volume_prompts(c, [4, 7], kind).objects for c in (case, other)), strict=True):
            assert (one.points, one.boxes) == (two.points, two.boxes)
            drawn = [[mask.voxels for mask in prompted.masks] for prompted in (one, two)]
            assert np.array_equal(*drawn)
