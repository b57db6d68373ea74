import numpy as np
import pytest

from medsam2.errors import InputError, ShapeError
from medsam2.spatial import Geometry, Segmentation, label_dtype

GRID = Geometry((2, 3, 4), np.eye(4))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_mask_gives_the_voxels_of_one_label(dtype):
    labels = np.arange(24, dtype=dtype).reshape(2, 3, 4)
    mask = Segmentation(labels, GRID).mask(13)

    assert mask.dtype == bool
    assert np.argwhere(mask).tolist() == [[1, 0, 1]]


def test_a_label_that_no_voxel_can_have_gives_an_empty_mask():
    assert not Segmentation(np.zeros((2, 3, 4), np.uint8), GRID).mask(300).any()


def test_names_are_a_read_only_copy():
    names = {1: "liver"}
    segmentation = Segmentation(np.zeros((2, 3, 4), np.uint8), GRID, names)
    names[1] = "spleen"

    assert segmentation.names == {1: "liver"}
    with pytest.raises(TypeError):
        segmentation.names[2] = "spleen"


@pytest.mark.parametrize("dtype", [bool, np.int8, np.int32, np.float32])
def test_other_types_are_refused(dtype):
    with pytest.raises(ShapeError, match="expected uint8 or uint16"):
        Segmentation(np.zeros((2, 3, 4), dtype), GRID)


def test_labels_on_another_grid_are_refused():
    with pytest.raises(ShapeError, match=r"shape \(4, 3, 2\), their geometry \(2, 3, 4\)"):
        Segmentation(np.zeros((4, 3, 2), np.uint8), GRID)


@pytest.mark.parametrize("label", [0, -1, 65536])
def test_a_name_for_what_is_no_label_is_refused(label):
    with pytest.raises(InputError, match=rf"label {label} is named 'liver'; expected labels in 1\.\.65535"):
        Segmentation(np.zeros((2, 3, 4), np.uint8), GRID, {label: "liver"})


@pytest.mark.parametrize(("largest", "dtype"), [(0, np.uint8), (255, np.uint8), (256, np.uint16), (65535, np.uint16)])
def test_label_dtype_is_the_smallest_that_fits(largest, dtype):
    assert label_dtype(largest) is dtype


@pytest.mark.parametrize("largest", [-1, 65536])
def test_label_dtype_refuses_what_no_type_holds(largest):
    with pytest.raises(InputError, match=f"largest label is {largest}"):
        label_dtype(largest)
