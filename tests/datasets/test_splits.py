import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medsam2.datasets.cases import CaseSource
from medsam2.datasets.splits import (
    cases_of_split,
    names_sha256,
    patients_in_two_splits,
    read_splits,
    split_by_patient,
    split_facts,
    write_splits,
)
from medsam2.errors import ConfigurationError, FormatError


def source(name, patient=None, split=None):
    return CaseSource(name, lambda: None, patient, split)


CASES = [source(f"c{n:02d}", f"p{n // 2}") for n in range(20)]
SHARES = {"training": 0.6, "validation": 0.2, "test": 0.2}


@given(st.permutations(CASES), st.integers(0, 50))
def test_patients_stay_together_in_any_order(cases, seed):
    splits = split_by_patient(cases, SHARES, seed)
    assert {split: len(found) for split, found in splits.items()} == {"training": 12, "validation": 4, "test": 4}
    dealt = [case for found in splits.values() for case in found]
    assert sorted(case.name for case in dealt) == [case.name for case in CASES]
    assert patients_in_two_splits(dealt) == []
    again = split_by_patient(CASES, SHARES, seed)
    assert {s: {c.name for c in found} for s, found in splits.items()} == {
        s: {c.name for c in found} for s, found in again.items()
    }


def test_the_split_of_a_seed_never_changes():
    assert [case.name for case in split_by_patient(CASES, SHARES, 7)["test"]] == ["c06", "c07", "c12", "c13"]
    assert split_by_patient(CASES, SHARES, 8)["test"] != split_by_patient(CASES, SHARES, 7)["test"]


@pytest.mark.parametrize("shares", [{"training": 0.5}, {"training": 1.5, "test": -0.5}, {}])
def test_shares_that_are_none_are_refused(shares):
    with pytest.raises(ConfigurationError, match="expected none below 0, and a sum of 1"):
        split_by_patient(CASES, shares, 0)


def test_a_split_without_anybody_is_refused():
    with pytest.raises(ConfigurationError, match="split 'test' gets none of 2 patients"):
        split_by_patient(CASES[:4], {"training": 0.9, "test": 0.1}, 0)


def test_a_patient_in_two_splits_is_named():
    cases = [source("a", "p", "training"), source("b", "p", "test"), source("c", "q", "test"), source("d", "q")]
    assert patients_in_two_splits(cases) == [
        "patient 'p' is in the splits test and training; expected one split a patient"
    ]


def test_facts_hold_the_hash_of_the_sorted_names():
    facts = split_facts([source("b", "p", "test"), source("a", "p", "test"), source("c")])
    assert facts["test"] == {"cases": 2, "patients": 1, "sha256": hashlib.sha256(b"a\nb").hexdigest()}
    assert facts["unsplit"]["cases"] == 1
    assert names_sha256(["b", "a"]) == names_sha256(["a", "b"]) != names_sha256(["a"])
    assert names_sha256(["Müller"]) == hashlib.sha256("Müller".encode()).hexdigest()
    # File names that are no UTF-8 hold half surrogate pairs.
    assert names_sha256(["M\udcfcller"]) == hashlib.sha256(rb"M\udcfcller").hexdigest()


def test_one_split_is_taken():
    cases = [source("a", split="training"), source("b", split="test")]
    assert [case.name for case in cases_of_split(cases, "test")] == ["b"]
    with pytest.raises(ConfigurationError, match="no split 'tset'; its splits are test, training"):
        cases_of_split(cases, "tset")
    with pytest.raises(ConfigurationError, match="no split 'test'; its cases belong to no split"):
        cases_of_split([source("a")], "test")


def test_splits_go_into_a_file_and_back(tmp_path):
    splits = split_by_patient(CASES, SHARES, 1)
    write_splits(splits, tmp_path / "splits.json")
    read = read_splits(CASES, tmp_path / "splits.json")
    assert [case.name for case in read] == [case.name for case in CASES]
    assert {(case.name, case.split) for case in read} == {(c.name, c.split) for found in splits.values() for c in found}


def test_a_file_of_splits_must_fit(tmp_path):
    path = tmp_path / "splits.json"
    path.write_text(json.dumps({"test": ["p0", "p9", "stranger"], "training": ["p9"]}))
    with pytest.raises(
        FormatError, match=r"it names 'p9' twice; it names 'stranger', who is not .*; it leaves out 'p1'"
    ):
        read_splits(CASES, path)
    path.write_text("[1]")
    with pytest.raises(FormatError, match=r"splits\.json: expected patients by split"):
        read_splits(CASES, path)
