import numpy as np

from medsam2.datasets.cases import Case, CaseSource
from medsam2.evaluation.labelled_pictures import LabelledPictures, picture_alone
from medsam2.spatial import Geometry, Segmentation, Volume


def picture(name, labels, names):
    array = np.array(labels, np.uint8)[None]
    geometry = Geometry(array.shape, np.eye(4))
    return Case(name, Volume(array * 10, geometry), Segmentation(array, geometry), names)


def test_slices_of_an_unordered_case(new_case):
    case = new_case(ordered=False)
    pictures = LabelledPictures.of_case(case)
    assert [one.name for one in pictures.pictures] == [str(n) for n in range(14)]
    assert pictures.areas[3] == {4: 25}
    assert pictures.areas[6] == {4: 25, 7: 35}
    assert pictures.areas[13] == {}
    one = pictures.pictures[6]
    assert np.array_equal(one.read().array[0], case.volume.array[6])
    assert np.array_equal(one.truth(7), case.reference.labels[6] == 7)
    assert pictures.showing(7) == [5, 6, 7, 8, 9, 10, 11]


def test_files_are_read_when_wanted_and_may_lack_a_structure():
    read = []
    made = {
        "a": picture("a", [[0, 1], [0, 0]], {1: "disc"}),
        "b": picture("b", [[1, 1, 2], [1, 0, 0]], {1: "disc", 2: "cup"}),
    }
    sources = [CaseSource(name, lambda name=name: read.append(name) or made[name]) for name in made]
    pictures = LabelledPictures.of_sources("eyes", sources)
    assert read == ["a", "b"]
    assert pictures.names == {1: "disc", 2: "cup"}
    assert pictures.areas == ({1: 1}, {1: 3, 2: 1})
    assert pictures.showing(1) == [1, 0]
    assert pictures.showing(2) == [1]
    first, second = pictures.pictures
    assert not first.truth(2).any()
    assert first.truth(2).shape == (2, 2)
    assert second.read() is made["b"].volume
    assert read == ["a", "b", "a", "a", "b"]


def test_a_picture_alone_has_a_grid_of_its_own(new_case):
    case = new_case(affine=np.diag([0.5, 0.5, -2.0, 1.0]), ordered=False)
    alone = picture_alone(case.volume, case.view, 3)
    assert np.array_equal(alone.array[0], case.volume.array[14 - 1 - 3])
    assert np.array_equal(alone.geometry.affine, np.eye(4))
