from pathlib import Path

import numpy as np
import pytest

from medsam2.errors import ShapeError
from medsam2.spatial import Geometry, SourceFile, Volume

GRID = Geometry((2, 3, 4), np.eye(4))


@pytest.mark.parametrize("dtype", ["u1", "i1", "u2", "i2", "i4", "u4", "f2", "f4", "f8"])
def test_any_real_type_is_a_volume(dtype):
    volume = Volume(np.zeros((2, 3, 4), dtype), GRID)

    assert volume.array.dtype == dtype
    assert not volume.is_rgb
    assert volume.source is None


def test_rgb_has_three_channels_of_bytes():
    assert Volume(np.zeros((2, 3, 4, 3), np.uint8), GRID).is_rgb


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((2, 3, 4), bool), "holds bool values; expected integers or floats"),
        (np.zeros((2, 3, 4), complex), "holds complex128 values"),
        (np.full((2, 3, 4), "a"), "holds <U1 values"),
        (np.zeros((4, 3, 2)), r"shape \(4, 3, 2\), its geometry \(2, 3, 4\)"),
        (np.zeros((2, 3)), r"shape \(2, 3\), its geometry"),
        (np.zeros((2, 3, 4, 1, 3), np.uint8), "expected the same"),
        (np.zeros((2, 3, 4, 4), np.uint8), "4 channels of uint8"),
        (np.zeros((2, 3, 4, 3), np.uint16), "3 channels of uint16"),
    ],
)
def test_a_bad_array_is_refused(array, message):
    with pytest.raises(ShapeError, match=message):
        Volume(array, GRID)


def test_the_source_travels_with_the_volume():
    source = SourceFile(Path("scan.nii.gz"), "nifti", header=b"348")

    assert Volume(np.zeros((2, 3, 4)), GRID, source).source is source
