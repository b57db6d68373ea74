import numpy as np
import pytest

from medsam2.errors import GeometryError
from medsam2.reporting import ObjectStatistics, object_statistics
from medsam2.reporting.statistics import format_ml, found_slices, object_boxes
from medsam2.spatial import Geometry, Segmentation, Volume


def test_a_cuboid_is_measured_exactly(geometry, labels):
    array = np.zeros(geometry.shape, np.int16)
    array[8] = 10  # one of the object's two slices
    one, four = object_statistics(Volume(array, geometry), Segmentation(labels, geometry, {1: "liver", 4: "spleen"}))
    assert (one.name, one.label, one.voxels, one.volume_ml) == ("liver", 1, 800, pytest.approx(2.0))
    assert four == ObjectStatistics(
        name="spleen",
        label=4,
        voxels=160,
        volume_ml=pytest.approx(0.4),
        mean_intensity=5.0,
        intensity_std=5.0,
        first_voxel=(18, 25, 8),
        last_voxel=(25, 34, 9),
        size_mm=(8.0, 10.0, 5.0),
    )


def test_an_object_without_voxels_has_no_place(geometry, volume, labels):
    found = object_statistics(volume, Segmentation(labels, geometry, {2: "nothing"}))
    assert found[0] == ObjectStatistics("nothing", 2, 0, 0.0, None, None, None, None, None)


def test_names_come_first_then_labels_without_a_name(geometry, volume, labels):
    found = object_statistics(volume, Segmentation(labels, geometry, {9: "none", 4: "spleen"}))
    assert [(one.label, one.name) for one in found] == [(9, "none"), (4, "spleen"), (1, "object 1")]


def test_voxels_that_are_not_finite_are_left_out(geometry, labels):
    array = np.full(geometry.shape, 7.0, np.float32)
    array[8, 25, 18], array[8, 25, 19] = np.nan, np.inf
    array[labels == 1] = np.nan
    one, four = object_statistics(Volume(array, geometry), Segmentation(labels, geometry))
    assert (four.mean_intensity, four.intensity_std, four.voxels) == (7.0, 0.0, 160)
    assert (one.mean_intensity, one.intensity_std, one.voxels) == (None, None, 800)


def test_colours_have_no_intensity(geometry, labels):
    volume = Volume(np.zeros((*geometry.shape, 3), np.uint8), geometry)
    assert {one.mean_intensity for one in object_statistics(volume, Segmentation(labels, geometry))} == {None}


def test_large_labels_are_found(geometry, volume):
    labels = np.zeros(geometry.shape, np.uint16)
    labels[0, 0, 0] = 65535
    (one,) = object_statistics(volume, Segmentation(labels, geometry))
    assert (one.label, one.first_voxel, one.size_mm) == (65535, (0, 0, 0), (1.0, 1.0, 2.5))


def test_another_grid_is_refused(volume, labels):
    moved = Geometry(volume.geometry.shape, np.diag([1.0, 1.0, 3.0, 1.0]))
    with pytest.raises(GeometryError, match=r"segmentation has 30 x 40 x 20 voxels of 1.00 x 1.00 x 3.00 mm.*Resample"):
        object_statistics(volume, Segmentation(labels, moved))


def test_boxes_are_in_the_order_of_the_labels(geometry, labels):
    boxes = object_boxes(Segmentation(labels, geometry))
    assert boxes == {1: np.s_[5:13, 10:20, 5:15], 4: np.s_[8:10, 25:35, 18:26]}


def test_found_slices(geometry, labels, make_result):
    result = make_result(labels, geometry, {4: "spleen", 2: "nothing"})
    assert [found_slices(one) for one in result.objects] == [(8, 9), ()]


@pytest.mark.parametrize(
    ("volume_ml", "text"), [(1126.4, "1,126"), (100, "100"), (35.24, "35.2"), (2.345, "2.35"), (0, "0.00")]
)
def test_millilitres(volume_ml, text):
    assert format_ml(volume_ml) == text
