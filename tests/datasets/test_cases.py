import numpy as np
import pytest

from medsam2.datasets.cases import Case, CaseSet, CaseSource, labels_present
from medsam2.errors import ConfigurationError, GeometryError
from medsam2.spatial import Geometry, Plane, Segmentation, Volume


def volume_and_labels(affine=None):
    generator = np.random.default_rng(0)
    geometry = Geometry((3, 4, 5), np.diag([1, 1, 3.0, 1]) if affine is None else affine)
    labels = np.zeros((3, 4, 5), np.uint8)
    labels[0, :2, :2], labels[1, :3, :3], labels[2, :3, :3], labels[2, 3, 4] = 1, 1, 1, 2
    return Volume(generator.random((3, 4, 5)).astype(np.float32), geometry), Segmentation(labels, geometry)


def test_the_slice_where_a_structure_is_largest_is_prompted():
    volume, reference = volume_and_labels()
    case = Case("c", volume, reference, {2: "b", 1: "a"})
    assert list(case.names) == [1, 2]
    assert case.view.plane == Plane.AXIAL
    assert dict(case.prompted_frames) == {1: 1, 2: 2}  # 1 and 2 are equal; the first is taken
    assert case.labels_by_frame() == {1: [1], 2: [2]}
    assert np.array_equal(case.truth_on(1, 1), reference.labels[1] == 1)
    assert np.array_equal(case.truth(1), reference.labels == 1)


def test_the_view_is_that_of_the_thick_slices():
    volume, reference = volume_and_labels(np.diag([4.0, 1, 1, 1]))
    case = Case("c", volume, reference, {1: "a"})
    assert case.view.plane == Plane.SAGITTAL
    assert case.truth(1).shape == (5, 3, 4)


def test_only_ordered_slices_are_a_sequence():
    volume, reference = volume_and_labels()
    assert Case("c", volume, reference, {1: "a"}).is_sequence
    assert not Case("c", volume, reference, {1: "a"}, ordered=False).is_sequence
    flat = Geometry((1, 4, 5), np.eye(4))
    one = Case("c", Volume(volume.array[:1], flat), Segmentation(reference.labels[:1], flat), {1: "a"})
    assert not one.is_sequence


def test_what_does_not_fit_is_refused():
    volume, reference = volume_and_labels()
    moved = Segmentation(reference.labels, Geometry((3, 4, 5), np.diag([1, 1, 2.0, 1])))
    with pytest.raises(GeometryError, match=r"^c: the labels lie on .*2.00 mm, the image on .*3.00 mm"):
        Case("c", volume, moved, {1: "a"})
    with pytest.raises(ConfigurationError, match="c: label 3 has no voxel"):
        Case("c", volume, reference, {1: "a", 3: "z"})
    with pytest.raises(ConfigurationError, match="c: no structure is named"):
        Case("c", volume, reference, {})


def test_hashes_tell_every_change():
    volume, reference = volume_and_labels()
    case = Case("c", volume, reference, {1: "a"})
    assert case.sha256 == Case("other name", volume, reference, {1: "a"}).sha256
    brighter = Volume(volume.array + 1, volume.geometry)
    moved = Geometry((3, 4, 5), np.diag([1, 1, 4.0, 1]))
    others = [
        Case("c", brighter, reference, {1: "a"}),
        Case("c", volume, Segmentation(reference.labels + 1, volume.geometry), {1: "a"}),
        Case("c", volume, reference, {1: "a", 2: "b"}),
        Case("c", volume, reference, {1: "a"}, ordered=False),
        Case("c", Volume(volume.array, moved), Segmentation(reference.labels, moved), {1: "a"}),
    ]
    assert len({case.sha256, *(one.sha256 for one in others)}) == 6
    assert others[0].labels_sha256 == case.labels_sha256
    assert others[1].image_sha256 == case.image_sha256


def test_hashes_are_of_the_values_not_of_their_order_in_memory():
    volume, reference = volume_and_labels()
    turned = Volume(np.asfortranarray(volume.array).astype(">f4"), volume.geometry)
    assert Case("c", turned, reference, {1: "a"}).sha256 == Case("c", volume, reference, {1: "a"}).sha256


def test_a_smaller_set_is_spread_over_the_larger():
    sources = tuple(CaseSource(str(n), lambda: None) for n in range(10))
    cases = CaseSet("s", sources, {"seed": 1})
    assert [one.name for one in cases.spread(3).sources] == ["0", "3", "6"]
    assert cases.spread(None) is cases.spread(10) is cases.spread(99) is cases
    assert cases.spread(1).facts == {"seed": 1}
    with pytest.raises(ConfigurationError, match="0 cases were asked for"):
        cases.spread(0)


def test_labels_present():
    _, reference = volume_and_labels()
    assert labels_present(reference) == [1, 2]


def test_regions_are_unions_of_labels():
    volume, reference = volume_and_labels()
    case = Case("c", volume, reference, {1: "a", 9: "all"}, regions={9: (1, 2), 8: (5,)})
    assert np.array_equal(case.truth(9), reference.labels > 0)
    assert np.array_equal(case.truth_on(2, 9), reference.labels[2] > 0)
    assert case.labels_of(1) == (1,)
    assert case.prompted_frames[9] == 2  # nine voxels of 1 and one of 2
    plain = Case("c", volume, reference, {1: "a", 2: "all"})
    assert case.labels_sha256 != plain.labels_sha256
    assert (
        Case("c", volume, reference, {1: "a"}, regions={9: (2,)}).labels_sha256
        == Case("c", volume, reference, {1: "a"}).labels_sha256
    )
    with pytest.raises(ConfigurationError, match="c: label 9 has no voxel"):
        Case("c", volume, reference, {9: "none"}, regions={9: (3, 4)})


def test_a_case_without_a_patient_is_one_of_its_own():
    assert CaseSource("a", lambda: None).whose == "a"
    assert CaseSource("a", lambda: None, patient="p").whose == "p"
