import numpy as np
import pytest

from medsam2.errors import FormatError
from reference.dataset_trees import photograph, write_picture


def test_pictures_and_masks_of_equal_names(tree, cases):
    found = cases("tnscui", tree("tnscui"))
    assert list(found) == ["1042", "2"]
    case = found["2"].load()
    assert dict(case.names) == {1: "thyroid nodule"}
    assert case.truth(1)[0, 3:8, 2:7].all()
    assert case.truth(1).sum() == 25
    assert np.array_equal(case.volume.array[0], photograph()[..., 0])


def test_folders_of_splits(tree, cases, tmp_path):
    root = tree("tnscui")
    (tmp_path / "all").mkdir()
    root.rename(tmp_path / "all" / "train")
    assert {source.split for source in cases("tnscui", tmp_path / "all").values()} == {"training"}


def test_faults(tree, problems, cases):
    root = tree("tnscui")
    (root / "mask" / "2.PNG").rename(root / "mask" / "3.PNG")
    (root / "train.csv").write_text("ID,CATE\n2.PNG,0\n7.PNG,1\n")
    told = problems("tnscui", root)
    assert "2.PNG: has no labels; expected image/NAME.PNG and mask/NAME.PNG" in told
    assert "3.PNG: has no image" in told
    assert "train.csv: lists '7.PNG'; no such picture is in" in told
    (root / "train.csv").write_text("other,columns\n1,2\n")
    assert "train.csv" not in problems("tnscui", root)
    (root / "train.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(FormatError, match=r"train\.csv cannot be read as a table"):
        problems("tnscui", root)


def test_empty_and_grey_masks(tree, cases):
    root = tree("tnscui")
    write_picture(root / "mask" / "2.PNG", np.zeros((12, 10), np.uint8))
    write_picture(root / "mask" / "1042.PNG", photograph()[..., 0])
    with pytest.raises(FormatError) as error:
        cases("tnscui", root)
    assert "2.PNG: 2: the labels hold nothing but background" in str(error.value)
    assert "1042.PNG: holds " in str(error.value)


def test_nothing_there(tmp_path, cases):
    with pytest.raises(FormatError, match="holds no such files; expected image/NAME"):
        cases("tnscui", tmp_path)
