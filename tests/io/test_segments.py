import numpy as np
import pytest

from medsam2.io.segments import PALETTE, Algorithm, cut, segments_of
from medsam2.reporting import palette
from medsam2.spatial import Geometry, Segmentation


def segmentation(labels, names):
    array = np.array(labels, np.uint16).reshape(1, 1, -1)
    return Segmentation(array, Geometry(array.shape, np.eye(4)), names)


def test_objects_are_numbered_by_their_label_without_gaps():
    segments = segments_of(segmentation([0, 7, 7, 300, 2], {7: "liver", 5: "spleen"}))

    assert [(one.number, one.label, one.name) for one in segments] == [
        (1, 2, "object 2"),
        (2, 5, "spleen"),
        (3, 7, "liver"),
        (4, 300, "object 300"),
    ]
    assert segments[2].code.kind.meaning == "Liver"


def test_nothing_has_no_segments():
    assert segments_of(segmentation([0, 0], {})) == ()


@pytest.mark.parametrize(("name", "expected"), [("a\n b\t", "a b"), (" \n", "object 1"), ("a\x1b[0mb", "a [0mb")])
def test_a_name_is_one_line(name, expected):
    assert segments_of(segmentation([1], {1: name}))[0].name == expected


def test_colours_are_those_of_the_pictures_and_come_again():
    segments = segments_of(segmentation(range(25), {}))

    assert palette.PALETTE is PALETTE
    assert [one.colour for one in segments] == [palette.object_colour(number) for number in range(24)]


def test_a_name_is_cut_only_if_it_is_long():
    assert cut("liver", 5) == ("liver", ())
    assert cut("a\\b", 5) == ("a/b", ())
    assert cut("a long name", 7) == (
        "a long",
        ("the name 'a long name' has 11 characters, DICOM holds 7; it was cut to 'a long'",),
    )


def test_an_algorithm_knows_its_kind():
    assert Algorithm().kind == "SEMIAUTOMATIC"
    assert Algorithm(automatic=True).kind == "AUTOMATIC"
