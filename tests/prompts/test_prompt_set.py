import re

import numpy as np
import pytest

from medsam2.errors import PromptError
from medsam2.prompts import BoxPrompt, ObjectPrompts, PointPrompt, PromptSet
from medsam2.spatial import Geometry, Plane

POINT = PointPrompt(1, 2, 3)
LIVER = ObjectPrompts("liver", 1, points=(POINT,))


def test_names_go_with_labels():
    prompts = PromptSet([LIVER, ObjectPrompts("spleen", 5, points=(POINT,))])
    assert prompts.names == {1: "liver", 5: "spleen"}
    assert isinstance(prompts.objects, tuple)


def test_objects_may_lie_in_different_planes():
    geometry = Geometry((30, 20, 10), np.eye(4))
    spleen = ObjectPrompts("spleen", 5, boxes=(BoxPrompt(1, 2, 3, 5, 2, 9),))
    first, second = PromptSet((LIVER, spleen)).resolve(geometry, default_plane=Plane.SAGITTAL)
    assert (first.name, first.plane, list(first.slices)) == ("liver", Plane.SAGITTAL, [1])
    assert (second.name, second.plane, list(second.slices)) == ("spleen", Plane.CORONAL, [2])


def test_default_is_the_plane_of_acquisition():
    coronal = Geometry((30, 20, 10), np.diag([1.0, 5.0, 1.0, 1.0]))
    (resolved,) = PromptSet((LIVER,)).resolve(coronal)
    assert resolved.plane is Plane.CORONAL
    (resolved,) = PromptSet((LIVER,)).resolve(coronal, Plane.AXIAL)
    assert resolved.plane is Plane.AXIAL


def test_no_objects():
    with pytest.raises(PromptError, match="there is no object; prompt at least one"):
        PromptSet(())


@pytest.mark.parametrize(
    ("name", "label", "message"),
    [("spleen", 1, "two objects have the label 1"), ("liver", 2, "two objects have the name 'liver'")],
)
def test_labels_and_names_are_unique(name, label, message):
    with pytest.raises(PromptError, match=re.escape(message)):
        PromptSet((LIVER, ObjectPrompts(name, label, points=(POINT,))))
