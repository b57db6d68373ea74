from pathlib import Path

import pytest

from medsam2.datasets.layout import by_case, files_below, nothing_found, split_named, stem, unpaired, visible_files


@pytest.mark.parametrize(
    ("path", "split"),
    [
        ("Training400/Glaucoma/g1.jpg", "training"),
        ("ISIC-2017_Validation_Data/a.jpg", "validation"),
        ("Test-400/train.jpg", "test"),
        ("train/inner-test/a.jpg", "test"),
        ("latest/interval/a.jpg", None),
        ("a.jpg", None),
    ],
)
def test_splits_are_told_by_folders(path, split):
    assert split_named(Path("test") / path, Path("test")) == split


def test_stems_know_the_suffixes():
    assert [stem(Path(name)) for name in ("a.1.nii.gz", "a.PNG", "a.txt")] == ["a.1", "a", "a.txt"]


def test_hidden_files_are_left_out(tmp_path):
    for name in ("._b.nii", ".DS_Store", "b.nii", "a.nii"):
        (tmp_path / name).touch()
    (tmp_path / "folder.nii").mkdir()
    assert [path.name for path in visible_files(tmp_path)] == ["a.nii", "b.nii"]


def test_files_in_all_folders_by_suffix(tmp_path):
    for name in ("a.JPG", "x/y/b.jpg", "x/._c.jpg", "x/d.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert [path.name for path in files_below(tmp_path, ".jpg")] == ["a.JPG", "b.jpg"]
    assert len(files_below(tmp_path, ".jpg", ".png")) == 3


def test_two_files_of_a_case_are_a_problem():
    found, problems = by_case(
        map(Path, ("x/a.png", "y/a.png", "b.txt")), lambda file: file.stem if file.suffix == ".png" else None
    )
    assert found == {"a": Path("x/a.png")}
    assert problems == ["y/a.png and x/a.png are of one case, 'a'; expected one file a case"]


def test_what_has_no_partner_is_named():
    problems = unpaired({"a": Path("a.jpg"), "b": Path("b.jpg")}, {"b": Path("b.png"), "c": Path("c.png")}, "X")
    assert list(problems) == ["a.jpg: has no labels; expected X", "c.png: has no image; expected X"]


def test_nothing_found_tells_a_wrong_folder_from_none(tmp_path):
    assert str(nothing_found(tmp_path, "X")) == f"{tmp_path} holds no such files; expected X"
    assert str(nothing_found(tmp_path / "no", "X")).endswith("no does not exist; expected X")
