import numpy as np
import pytest

from medsam2.engine.instances import separate_instances


def test_parts_are_numbered_object_by_object_in_the_order_asked_for():
    labels = np.array([[[1, 0, 2, 0, 1], [0, 0, 0, 0, 1], [2, 2, 0, 1, 0]]], np.uint8)
    parts, counts = separate_instances(labels, [2, 1])
    assert counts == [2, 2]
    assert parts.tolist() == [[[3, 0, 1, 0, 4], [0, 0, 0, 0, 4], [2, 2, 0, 4, 0]]]
    assert parts.dtype == np.uint8


def test_objects_that_touch_stay_apart():
    parts, counts = separate_instances(np.array([[[1, 1, 2, 2]]], np.uint8), [1, 2])
    assert counts == [1, 1]
    assert parts.tolist() == [[[1, 1, 2, 2]]]


def test_nothing_has_no_parts():
    parts, counts = separate_instances(np.zeros((1, 3, 4), np.uint16), [1, 7])
    assert counts == [0, 0]
    assert not parts.any()


@pytest.mark.parametrize(("count", "dtype"), [(255, np.uint8), (256, np.uint16)])
def test_many_parts_take_more_bits(count, dtype):
    labels = np.zeros((1, 1, 2 * count), np.uint8)
    labels[0, 0, ::2] = 1
    parts, counts = separate_instances(labels, [1])
    assert (counts, parts.dtype, int(parts.max())) == ([count], dtype, count)
