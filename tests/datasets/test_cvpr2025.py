import numpy as np
import pytest

from medsam2.errors import FormatError
from reference.dataset_trees import SPACING, blocks


def test_archives_are_cases(tree, cases):
    root = tree("cvpr2025")
    found = cases("cvpr2025", root)
    case = found["CT_toy_0001"].load()
    assert np.array_equal(case.reference.labels, blocks(1, 2))
    assert case.volume.geometry.spacing_mm == SPACING  # x, y, z: along W, H, D
    assert case.view.frame_count == 4
    assert list(cases("cvpr2025", root / "CT_toy_0001.npz")) == list(found)


def test_python_objects_are_not_unpickled(tree, cases):
    """The boxes of the tree are objects: they are left alone. An image of objects is refused."""
    root = tree("cvpr2025")
    with np.load(root / "CT_toy_0001.npz") as archive, pytest.raises(ValueError, match="allow_pickle=False"):
        archive["boxes"]
    assert cases("cvpr2025", root)
    save(root, imgs=np.array([{}], object))
    with pytest.raises(FormatError, match=r"CT_toy_0001\.npz cannot be read: Object arrays"):
        cases("cvpr2025", root)


def save(root, **arrays):
    good = {"imgs": blocks(1), "gts": blocks(1), "spacing": np.array(SPACING)}
    np.savez(root / "CT_toy_0001.npz", **{**good, **arrays})


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"imgs": np.zeros((2, 2, 2))}, r"imgs has shape \(2, 2, 2\), gts \(4, 12, 10\), spacing \(3,\)"),
        ({"spacing": np.ones(2)}, r"spacing \(2,\); expected \(D, H, W\) twice, and 3"),
        ({"gts": np.full((4, 12, 10), 0.5)}, "gts are not whole numbers"),
        ({"gts": np.zeros((4, 12, 10), int)}, "the labels hold nothing but background"),
    ],
)
def test_arrays_that_do_not_fit(tree, cases, arrays, message):
    root = tree("cvpr2025")
    save(root, **arrays)
    with pytest.raises(FormatError, match=message):
        cases("cvpr2025", root)


def test_large_labels_keep_their_numbers(tree, cases):
    root = tree("cvpr2025")
    save(root, gts=blocks(1).astype(np.int64) * 300)
    assert dict(cases("cvpr2025", root)["CT_toy_0001"].load().names) == {300: "label 300"}


def test_faults(tree, problems):
    root = tree("cvpr2025")
    np.savez(root / "MR_test.npz", imgs=blocks(1), spacing=SPACING)
    (root / "no.npz").write_text("no archive")
    told = problems("cvpr2025", root)
    assert "MR_test.npz: has no gts; expected CASE.npz with imgs, gts and spacing" in told
    assert "no.npz: has no imgs" in told


def test_nothing_there(tmp_path, cases):
    with pytest.raises(FormatError, match=r"holds no such files; expected CASE\.npz"):
        cases("cvpr2025", tmp_path)
