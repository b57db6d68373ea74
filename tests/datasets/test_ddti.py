import shutil

import pytest

from medsam2.errors import FormatError
from reference.dataset_trees import SQUARE, ddti_mark, photograph, write_picture


def test_outlines_are_filled(tree, cases):
    found = cases("ddti", tree("ddti"))
    assert {name: source.patient for name, source in found.items()} == {"1_1": "1", "1_2": "1", "10_1": "10"}
    first, second = found["1_1"].load(), found["1_2"].load()
    assert first.truth(1)[0, 3:9, 2:7].all()
    assert first.truth(1).sum() == 30
    assert second.truth(1).sum() == 30 + 6  # a triangle more
    assert second.truth(1)[0, 0, 9]
    assert dict(first.names) == {1: "thyroid nodule"}


def test_faults(tree, problems):
    root = tree("ddti")
    write_picture(root / "10_2.jpg", photograph())
    (root / "1_2.jpg").unlink()
    (root / "11.xml").write_text("<case><mark><image>1</image><svg>[{]</svg></mark></case>")
    (root / "12.xml").write_text("no xml")
    (root / "10.xml").write_text(f"<case>{ddti_mark(1, SQUARE)}{ddti_mark(2)}</case>")
    told = problems("ddti", root)
    assert "10_2.jpg: has no labels; expected an outline in 10.xml, image 2" in told
    assert "1.xml: has no image; expected 1_2.jpg" in told
    assert "11.xml: expected marks with an image and an svg of JSON polygons" in told
    assert "12.xml: expected marks" in told
    assert len(told.splitlines()) == 4


def test_two_files_of_one_case_are_named(tree, cases, problems):
    root = tree("ddti")
    (root / "more").mkdir()
    for name in ("1.xml", "1_2.jpg"):
        shutil.copy(root / name, root / "more" / name)
    (root / "10_1.jpg").rename(root / "10_1.jpeg")
    shutil.copy(root / "10_1.jpeg", root / "10_1.jpg")
    told = problems("ddti", root).splitlines()
    assert len(told) == 3
    for line, one, other in zip(told, ("more/1.xml", "10_1.jpg", "more/1_2.jpg"), ("1", "10_1", "1_2"), strict=True):
        assert one in line
        assert f"are of one case, '{other}'; expected one file a case" in line
    with pytest.raises(FormatError, match="3 problems"):
        cases("ddti", root)


def test_nothing_there(tmp_path, cases):
    with pytest.raises(FormatError, match=r"holds no such files; expected N\.xml and N_K\.jpg"):
        cases("ddti", tmp_path)
