import re

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from medsam2.errors import ConfigurationError, InputError, ShapeError
from medsam2.frames import IMAGE_MEAN, IMAGE_STD, FrameStack, IntensityWindow, choose_window
from medsam2.spatial import Geometry, Plane, PlaneView, Volume

WINDOW = IntensityWindow("test", 0, 100)
FLIPS = np.diag([-1.0, -2.0, 3.0, 1.0])


def stack_of(array, plane=Plane.AXIAL, window=WINDOW, size=16, affine=FLIPS):
    volume = Volume(array, Geometry(array.shape[:3], affine))
    return FrameStack(volume, PlaneView.of(volume.geometry, plane), window, size)


def scan(shape=(5, 6, 7), dtype=np.int16):
    return np.random.default_rng(0).integers(0, 100, shape).astype(dtype)


def denormalised(frame):
    return frame * torch.tensor(IMAGE_STD)[:, None, None] + torch.tensor(IMAGE_MEAN)[:, None, None]


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.int32, np.float32, np.float64])
@pytest.mark.parametrize("plane", list(Plane))
def test_frames_are_those_of_the_view(plane, dtype):
    array = scan((8, 8, 8), dtype)
    stack = stack_of(array, plane, size=8)  # the same size: nothing is interpolated
    expected = stack.plane_view.to_frames(array)
    assert len(stack) == 8
    for t in range(8):
        frame = stack.frame(t)
        assert frame.dtype == torch.float32
        assert frame.shape == (3, 8, 8)
        for channel in denormalised(frame):
            np.testing.assert_allclose(channel.numpy(), expected[t] / 100, atol=1e-6)


def test_normalisation_is_that_of_sam_2():
    black, white = (stack_of(np.full((2, 3, 4), value, np.int16)).frame(0) for value in (0, 100))
    np.testing.assert_allclose(black[:, 0, 0], [-0.485 / 0.229, -0.456 / 0.224, -0.406 / 0.225], rtol=1e-5)
    np.testing.assert_allclose(white[:, 0, 0], [0.515 / 0.229, 0.544 / 0.224, 0.594 / 0.225], rtol=1e-5)


def test_rgb_keeps_its_colours():
    array = np.random.default_rng(0).integers(0, 256, (1, 8, 8, 3)).astype(np.uint8)
    stack = stack_of(array, size=8, affine=np.eye(4))
    plain = FrameStack(stack.volume, stack.plane_view, choose_window(stack.volume), 8)
    np.testing.assert_allclose(denormalised(plain.frame(0)).permute(1, 2, 0).numpy(), array[0] / 255, atol=1e-6)
    chosen = denormalised(stack.frame(0)).permute(1, 2, 0).numpy()
    np.testing.assert_allclose(chosen, array[0].clip(0, 100) / 100, atol=1e-6)


def test_frames_in_any_order():
    stack = stack_of(scan())
    frames = stack.frames([4, 0, 4])
    assert frames.shape == (3, 3, 16, 16)
    for position, t in enumerate([4, 0, 4]):
        assert torch.equal(frames[position], stack.frame(t))
    assert stack.frames([]).shape == (0, 3, 16, 16)


def test_making_a_frame_leaves_the_volume_alone():
    array = scan(dtype=np.float32)
    array[0, 0, 0] = np.nan
    array.flags.writeable = False
    frame = stack_of(array, Plane.SAGITTAL).frame(0)
    assert torch.isfinite(frame).all()
    frame[:] = 0
    assert np.isnan(array[0, 0, 0])


class CountedWindow(IntensityWindow):
    """Notes how many voxels were converted, and from which memory."""

    def apply(self, array):
        self.seen.append(array)
        return super().apply(array)


def test_no_more_than_one_slice_is_converted():
    array = scan((20, 30, 40))
    window = CountedWindow("counted", 0, 100)
    object.__setattr__(window, "seen", [])
    for plane, pixels in ((Plane.AXIAL, 30 * 40), (Plane.CORONAL, 20 * 40), (Plane.SAGITTAL, 20 * 30)):
        window.seen.clear()
        stack = stack_of(array, plane, window)
        assert window.seen == []
        stack.frames([2, 1])
        assert [part.size for part in window.seen] == [pixels, pixels]
        assert all(np.shares_memory(part, array) for part in window.seen)


def test_the_centre_of_a_pixel_stays_the_centre_of_what_becomes_of_it():
    stack = stack_of(np.zeros((4, 10, 20), np.int16), size=100)  # a pixel becomes 5 x 10 pixels
    assert stack.to_network(0, 0) == (2, 4.5)
    assert stack.to_network(19, 9) == (97, 94.5)
    assert stack.to_network(-0.5, -0.5) == (-0.5, -0.5)
    assert stack.to_network(19.5, 9.5) == (99.5, 99.5)


def test_places_in_a_frame_of_the_network_s_size_stay():
    stack = stack_of(np.zeros((1, 32, 32), np.int16), affine=np.eye(4), size=32)
    assert stack.to_network(7.0, 30.0) == (7.0, 30.0)


@given(st.integers(3, 20), st.integers(3, 20), st.data())
@settings(deadline=None, max_examples=25)
def test_a_bright_pixel_lands_where_its_place_does(rows, columns, data):
    y, x = data.draw(st.integers(0, rows - 1)), data.draw(st.integers(0, columns - 1))
    array = np.zeros((1, rows, columns), np.int16)
    array[0, y, x] = 100
    size = 4 * rows * columns
    stack = stack_of(array, affine=np.eye(4), size=min(size, 64))
    frame = denormalised(stack.frame(0))[0].clamp(min=1e-9).double()
    frame = torch.where(frame > 0.01, frame, 0.0)
    # The prompt encoder adds half a pixel to what `to_network` gives; pixel centres of the square are at +0.5.
    weights = frame / frame.sum()
    centres = torch.arange(stack.size) + 0.5
    network_x, network_y = stack.to_network(x, y)
    assert abs((weights.sum(0) * centres).sum().item() - (network_x + 0.5)) <= 0.5 * stack.size / columns + 0.5
    assert abs((weights.sum(1) * centres).sum().item() - (network_y + 0.5)) <= 0.5 * stack.size / rows + 0.5


def test_masks_and_logits_go_there_and_back():
    stack = stack_of(np.zeros((4, 20, 30), np.int16), size=64)
    mask = np.zeros((20, 30), bool)
    mask[5:12, 8:20] = True
    square = stack.mask_to_network(mask[:, ::-1])
    assert square.shape == (64, 64)
    assert square.dtype == torch.bool
    logits = torch.where(stack.mask_to_network(mask), 4.0, -4.0)
    back = stack.logits_to_frame(logits.expand(2, 5, 64, 64))
    assert back.shape == (2, 5, 20, 30)
    overlap = (back[1, 3] > 0).numpy() & mask
    assert overlap.sum() / ((back[1, 3] > 0).numpy() | mask).sum() > 0.95


@pytest.mark.parametrize("t", [-1, 5, 99])
def test_no_such_frame(t):
    with pytest.raises(InputError, match=re.escape(f"frame {t} of the axial plane; expected 0..4.")):
        stack_of(scan()).frame(t)


def test_mask_of_another_shape():
    message = "the mask has shape (7, 6); a frame of the axial plane has (rows, columns) = (6, 7)."
    with pytest.raises(ShapeError, match=re.escape(message)):
        stack_of(scan()).mask_to_network(np.zeros((7, 6), bool))


def test_view_of_another_volume():
    volume = Volume(scan(), Geometry((5, 6, 7), np.eye(4)))
    view = PlaneView.of(Geometry((5, 6, 8), np.eye(4)), Plane.AXIAL)
    message = "the plane view is of a volume of shape (5, 6, 8), the volume has (5, 6, 7); make the view from"
    with pytest.raises(ShapeError, match=re.escape(message)):
        FrameStack(volume, view, WINDOW, 16)


def test_size_is_positive():
    with pytest.raises(ConfigurationError, match="the network's input size is 0; expected at least 1 pixel"):
        stack_of(scan(), size=0)
