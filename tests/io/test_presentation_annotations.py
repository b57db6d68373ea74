"""Lines and arrows of presentation states as prompts."""

import numpy as np
import pytest
from pydicom import Dataset
from pydicom.uid import generate_uid

from medsam2.errors import FormatError
from medsam2.io import read_annotations, read_volume
from reference.annotating import presentation_state, shape
from reference.scanned_series import scan


@pytest.fixture
def source(tmp_path):
    return scan(tmp_path / "scan")[0]


@pytest.fixture
def volume(source):
    return read_volume(source.path)


def read(tmp_path, source, volume, drawn, **given):
    return read_annotations(presentation_state(tmp_path / "state.dcm", source, drawn, **given), volume)


def item(**values):
    dataset = Dataset()
    for name, value in values.items():
        setattr(dataset, name, value)
    return dataset


def compound(kind, *numbers, **values):
    """Makes a change that draws a compound graphic in the first annotation."""

    def change(dataset):
        first = dataset.GraphicAnnotationSequence[0]
        graphic = item(
            CompoundGraphicInstanceID=5,
            CompoundGraphicUnits="PIXEL",
            GraphicDimensions=2,
            NumberOfGraphicPoints=len(numbers) // 2,
            GraphicData=list(numbers),
            CompoundGraphicType=kind,
            **values,
        )
        first.CompoundGraphicSequence = [graphic]
        for one in first.GraphicObjectSequence:
            one.CompoundGraphicInstanceID = 5

    return change


def test_a_line_is_measured_from_pixel_centre_to_pixel_centre(tmp_path, source, volume):
    found = read(tmp_path, source, volume, {3: [shape("POLYLINE", (2.5, 3.5), (8.5, 7.5))]})

    assert (found.kind, found.notes) == ("presentation state", ())
    (one,) = found.annotations
    assert (one.name, one.mask, one.points) == ("", None, ())
    np.testing.assert_allclose(one.diameters, [[(2, 3, 3), (8, 7, 3)]])


def test_lines_that_cross_are_one_object_and_others_are_not(tmp_path, source, volume):
    long, short = shape("POLYLINE", (2, 3), (8, 7)), shape("POLYLINE", (4, 7), (6, 3))
    apart = shape("POLYLINE", (1, 10), (3, 10))
    found = read(tmp_path, source, volume, {1: [long, short, apart], 3: [shape("POLYLINE", (2, 3), (8, 7))]})

    assert [len(one.diameters) for one in found.annotations] == [2, 1, 1]
    assert {line[0][2] for one in found.annotations for line in one.diameters} == {1, 3}


def test_what_is_tracked_is_one_object_with_its_name(tmp_path, source, volume):
    tracking = {"tracking_id": "Lesion 7", "tracking_uid": generate_uid()}
    drawn = {k: [shape("POLYLINE", (2, 3), (8, 7), **tracking)] for k in (1, 2)}
    (one,) = read(tmp_path, source, volume, drawn).annotations

    assert (one.name, len(one.diameters)) == ("Lesion 7", 2)


def test_outlines_circles_ellipses_and_points(tmp_path, source, volume):
    box = shape("POLYLINE", (2, 3), (6, 3), (6, 8), (2, 8), (2, 3))
    circle = shape("CIRCLE", (5.5, 5.5), (8.5, 5.5))
    ellipse = shape("ELLIPSE", (1.5, 5.5), (8.5, 5.5), (5.5, 3.5), (5.5, 7.5))
    found = read(tmp_path, source, volume, {0: [box], 1: [circle], 2: [ellipse], 3: [shape("POINT", (4.5, 6.5))]})
    outlined, round_one, oval, point = found.annotations
    expected = np.zeros(volume.geometry.shape, bool)
    expected[0, 3:8, 2:6] = True

    assert np.array_equal(outlined.mask, expected)
    np.testing.assert_allclose(round_one.diameters, [[(2, 5, 1), (8, 5, 1)], [(5, 2, 1), (5, 8, 1)]])
    np.testing.assert_allclose(oval.diameters, [[(1, 5, 2), (8, 5, 2)], [(5, 3, 2), (5, 7, 2)]])
    np.testing.assert_allclose(point.points, [(4, 6, 3)])


def test_an_arrow_of_two_lines_points_with_its_head(tmp_path, source, volume):
    shaft = shape("POLYLINE", (7.5, 8.5), (3.5, 4.5))
    head = shape("POLYLINE", (3.5, 6.0), (3.5, 4.5), (5.0, 4.5))
    (one,) = read(tmp_path, source, volume, {2: [shaft, head]}).annotations

    assert one.diameters == ()
    np.testing.assert_allclose(one.points, [(3, 4, 2)])


def test_a_compound_arrow_points_to_its_second_end_or_where_its_text_hangs(tmp_path, source, volume):
    redrawn = {2: [shape("POLYLINE", (7.5, 8.5), (3.5, 4.5))]}
    arrow = compound("ARROW", 7.5, 8.5, 3.5, 4.5)
    (one,) = read(tmp_path, source, volume, redrawn, change=arrow).annotations
    np.testing.assert_allclose(one.points, [(3, 4, 2)])

    def with_text(dataset):
        arrow(dataset)
        text = item(AnchorPoint=[7.5, 8.5], AnchorPointAnnotationUnits="PIXEL", AnchorPointVisibility="N")
        dataset.GraphicAnnotationSequence[0].TextObjectSequence = [text]

    (one,) = read(tmp_path, source, volume, redrawn, change=with_text).annotations
    np.testing.assert_allclose(one.points, [(7, 8, 2)])


def test_a_text_with_a_line_to_a_place_is_an_arrow(tmp_path, source, volume):
    def only_text(dataset):
        first = dataset.GraphicAnnotationSequence[0]
        del first.GraphicObjectSequence
        text = item(AnchorPoint=[7.5, 8.5], AnchorPointAnnotationUnits="PIXEL", AnchorPointVisibility="Y")
        text.UnformattedTextValue = "Mr Secret"
        first.TextObjectSequence = [text]

    (one,) = read(tmp_path, source, volume, {2: [shape("POINT", (1, 1))]}, change=only_text).annotations
    assert one.name == ""
    np.testing.assert_allclose(one.points, [(7, 8, 2)])


def test_a_rectangle_has_two_axes(tmp_path, source, volume):
    drawn = {2: [shape("POINT", (1, 1))]}
    (one,) = read(tmp_path, source, volume, drawn, change=compound("RECTANGLE", 1.5, 2.5, 7.5, 4.5)).annotations
    np.testing.assert_allclose(one.diameters, [[(1, 3, 2), (7, 3, 2)], [(4, 2, 2), (4, 4, 2)]])


def test_what_cannot_be_used_is_told(tmp_path, source, volume):
    line = shape("POLYLINE", (2.5, 3.5), (8.5, 7.5))
    bent = shape("POLYLINE", (2, 3), (5, 3), (9, 9))
    found = read(tmp_path, source, volume, {1: [bent], 2: [line]})
    assert len(found.annotations) == 1
    assert found.notes == ("A polyline of 3 points was left out.",)
    with pytest.raises(FormatError, match="draws nothing on the input that could be a prompt: A drawing on several"):
        read(tmp_path, source, volume, {2: [line]}, whole=True)
    turned = compound("RECTANGLE", 1.5, 2.5, 7.5, 4.5, RotationAngle=30.0)
    with pytest.raises(FormatError, match="that is turned, or laid on the screen"):
        read(tmp_path, source, volume, {2: [line]}, change=turned)


def test_a_state_of_another_series_is_refused(tmp_path, source):
    scan(tmp_path / "other")
    with pytest.raises(FormatError, match=r"\(presentation state\) was drawn on another series"):
        read(tmp_path, source, read_volume(tmp_path / "other"), {2: [shape("POINT", (1, 1))]})
