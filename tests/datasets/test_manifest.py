import pytest

from medsam2.datasets.catalogue import Choice
from medsam2.errors import FormatError


def test_rows_are_cases(tree, cases):
    table = tree("manifest") / "cases.csv"
    found = cases("manifest", table)
    assert {name: (source.whose, source.split) for name, source in found.items()} == {
        "first": ("p1", "training"),
        "second": ("p1", "training"),
        "third": ("p2", "test"),
    }
    assert dict(found["third"].load().names) == {1: "liver", 5: "spleen"}
    assert list(cases("manifest", table, Choice(split="test"))) == ["third"]


def test_two_columns_are_enough(tree, cases):
    table = tree("manifest") / "cases.csv"
    table.write_text("\ufeffimage, label\nimages/a.nii.gz, labels/a.nii.gz\n".replace(", ", ","))
    found = cases("manifest", table)
    assert list(found) == ["a"]
    assert (found["a"].whose, found["a"].split) == ("a", None)


def test_every_fault_is_told_at_once(tree, cases):
    table = tree("manifest") / "cases.csv"
    table.write_text("image,label,patient,split\nimages/a.nii.gz,labels/z.nii.gz,p,training\nimages/a.nii.gz,,p,test\n")
    with pytest.raises(FormatError) as error:
        cases("manifest", table)
    told = str(error.value)
    assert "cases.csv, line 2: label 'labels/z.nii.gz' is no file" in told
    assert "cases.csv, line 3: label '' is no file" in told
    assert "cases.csv: a names several cases" in told
    assert "patient 'p' is in the splits test and training; expected one split a patient" in told


@pytest.mark.parametrize("text", ["", "image,label\n", "image,mask\na,b\n", "image,label,site\na,b,c\n"])
def test_other_tables_are_refused(tmp_path, cases, text):
    (tmp_path / "cases.csv").write_text(text)
    with pytest.raises(FormatError, match=r"cases\.csv: has the columns .*expected a CSV file with the columns"):
        cases("manifest", tmp_path / "cases.csv")


def test_no_table(tmp_path, cases):
    with pytest.raises(FormatError, match="does not exist; expected a CSV file"):
        cases("manifest", tmp_path / "cases.csv")
