import pytest

from medsam2.errors import FormatError
from reference.dataset_trees import photograph, write_picture


def test_identifiers_and_splits_of_three_years(tree, cases):
    found = cases("isic", tree("isic"))
    assert {name: source.split for name, source in found.items()} == {
        "ISIC_0000000": "training",
        "ISIC_0000003": "test",
        "ISIC_0012255": "validation",
    }
    case = found["ISIC_0000003"].load()
    assert dict(case.names) == {1: "skin lesion"}
    assert case.truth(1).sum() == 25
    assert case.volume.is_rgb


def test_faults(tree, problems):
    root = tree("isic")
    write_picture(root / "ISIC2018_Task1-2_Training_Input" / "ISIC_0000009.jpg", photograph())
    next(root.glob("**/ISIC_0000003.jpg")).unlink()
    told = problems("isic", root)
    assert "ISIC_0000009.jpg: has no labels; expected ID.jpg and ID_segmentation.png" in told
    assert "ISIC_0000003_Segmentation.png: has no image" in told


def test_nothing_there(tmp_path, cases):
    with pytest.raises(FormatError, match=r"holds no such files; expected ID\.jpg"):
        cases("isic", tmp_path)
