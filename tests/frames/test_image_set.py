import numpy as np
import pytest
import torch

from medsam2.errors import ConfigurationError, InputError, ShapeError
from medsam2.frames import FrameStack, ImageSet, NamedVolume, choose_window, image_view
from medsam2.spatial import Geometry, Plane, PlaneView, Volume


def image(array, affine=None):
    return Volume(array, Geometry(array.shape[:3], np.eye(4) if affine is None else affine))


def noise(*shape, dtype=np.uint8, high=255, seed=0):
    return np.random.default_rng(seed).integers(0, high, (1, *shape)).astype(dtype)


def set_of(*volumes, window="auto", size=32):
    return ImageSet([NamedVolume(f"{n}", volume) for n, volume in enumerate(volumes)], window, size)


def test_sizes_colours_and_depths_may_be_mixed():
    volumes = [
        image(noise(20, 30)),
        image(noise(7, 5, dtype=np.uint16, high=60000)),
        image(noise(16, 16, 3)),
        image(noise(9, 40).astype(np.float32) / 255 - 3),
    ]
    images = set_of(*volumes)
    assert len(images) == 4
    for t, volume in enumerate(volumes):
        frame = images.frame(t)
        alone = FrameStack(volume, PlaneView.of(volume.geometry, Plane.AXIAL), choose_window(volume), 32)
        assert frame.shape == (3, 32, 32)
        assert torch.equal(frame, alone.frame(0))


def test_each_image_has_its_own_window():
    dark, bright = (image(noise(8, 8, high=level)) for level in (20, 200))
    images = set_of(dark, bright, window="full")
    assert [images.stack(t).window.upper for t in range(2)] == [dark.array.max(), bright.array.max()]
    assert images.stack(0).window.name == "full"


def test_the_slice_may_lie_along_any_axis():
    pixels = noise(6, 5)[0]
    for shape in ((1, 6, 5), (6, 1, 5), (6, 5, 1)):
        stack = set_of(image(pixels.reshape(shape), np.diag([1.0, 2, 3, 1]))).stack(0)
        assert len(stack) == 1
        assert sorted(stack.plane_view.frame_shape) == [5, 6]


def test_of_a_strip_the_last_axis_is_the_slice():
    assert image_view(Geometry((1, 6, 1), np.eye(4))).voxel_axis == 2


def test_a_volume_is_refused_in_words():
    with pytest.raises(ShapeError, match=r"0 is a volume of 4 x 3 x 2 voxels.*a single slice.*medsam2 segment"):
        set_of(image(np.ones((2, 3, 4)))).stack(0)


def test_an_image_without_a_value_is_refused():
    with pytest.raises(InputError, match="no value of the volume is finite"):
        set_of(image(np.full((1, 4, 4), np.nan))).stack(0)


def test_a_window_that_is_unknown_is_refused():
    with pytest.raises(ConfigurationError, match='no window "abdomn"'):
        set_of(image(noise(4, 4)), window="abdomn").stack(0)


def test_images_are_found_by_name():
    images = ImageSet([NamedVolume(name, image(noise(4, 4))) for name in ("a.png", "b.png")], "auto", 8)
    assert images.position("b.png") == 1
    with pytest.raises(InputError, match=r"no image of the set is named 'c\.png'; the set has 2 images\. Did you mean"):
        images.position("c.png")


def test_names_must_differ_and_a_set_has_images():
    with pytest.raises(InputError, match="two images of the set are named 'a'"):
        ImageSet([NamedVolume("a", image(noise(4, 4)))] * 2, "auto", 8)
    with pytest.raises(InputError, match="the set has no image"):
        ImageSet([], "auto", 8)


@pytest.mark.parametrize("t", [-1, 1])
def test_an_image_that_is_not_there_is_refused(t):
    with pytest.raises(InputError, match=rf"image {t} of the set; expected 0\.\.0"):
        set_of(image(noise(4, 4))).frame(t)


def test_an_image_is_read_whenever_it_is_asked_for_and_not_kept():
    read = []

    class Counted(NamedVolume):
        def read(self):
            read.append(self.name)
            return super().read()

    images = ImageSet([Counted("a", image(noise(4, 4)))], "auto", 8)
    assert read == []
    images.frame(0)
    images.frame(0)
    assert read == ["a", "a"]
