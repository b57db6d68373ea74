import pytest

from medsam2.io.segment_codes import (
    ABNORMAL,
    ABNORMALITY,
    ANATOMY,
    PAIRED,
    SCHEME,
    SIDES,
    SINGLE,
    TISSUE,
    UNKNOWN,
    code_of,
)

CONCEPTS = {*ABNORMAL.values(), *PAIRED.values(), *SINGLE.values(), *SIDES.values(), ABNORMALITY, ANATOMY, TISSUE}


def test_every_code_is_the_standards_with_its_meaning():
    codes = pytest.importorskip("pydicom.sr.codedict", reason="pydicom is not installed").codes
    known = {(getattr(codes.SCT, keyword).value, getattr(codes.SCT, keyword).meaning) for keyword in codes.SCT.dir()}

    assert SCHEME == "SCT"
    assert {(concept.value, concept.meaning) for concept in CONCEPTS} <= known


def test_categories_are_those_of_the_standard():
    codes = pytest.importorskip("pydicom.sr.codedict", reason="pydicom is not installed").codes
    values = {getattr(codes.cid7150, keyword).value for keyword in codes.cid7150.dir()}

    assert {ANATOMY.value, ABNORMALITY.value, TISSUE.value} <= values


@pytest.mark.parametrize("name", ["kidney_left", "Left kidney", "LEFT-KIDNEY", "kidney left", "kidney, left 2"])
def test_a_name_may_be_written_in_many_ways(name):
    code = code_of(name)

    assert (code.category, code.kind, code.side) == (ANATOMY, PAIRED["kidney"], SIDES["left"])
    assert code.is_known


def test_a_paired_organ_needs_no_side():
    assert code_of("lung").kind == PAIRED["lung"]
    assert code_of("lung").side is None


def test_a_side_that_is_in_the_code_is_not_said_twice():
    assert code_of("heart_atrium_left").side is None
    assert code_of("lung_middle_lobe_right").side is None


def test_a_number_counts_unless_it_names():
    assert code_of("rib_left_7").kind.meaning == "Rib"
    assert code_of("vertebrae_L3").kind.meaning == "L3 vertebra"
    assert code_of("vertebrae_T12").kind.meaning == "T12 vertebra"


def test_a_lesion_has_its_place():
    lesion = code_of("kidney_right_tumour 3")

    assert (lesion.category, lesion.kind.meaning) == (ABNORMALITY, "Neoplasm")
    assert (lesion.region, lesion.side) == (PAIRED["kidney"], SIDES["right"])
    assert code_of("nodule").region is None
    assert code_of("left nodule").region is None


@pytest.mark.parametrize("name", ["", "?", "7", "left", "my own", "left liver", "left right kidney", "腎臓"])
def test_an_unknown_name_is_tissue(name):
    assert code_of(name) == UNKNOWN
    assert not code_of(name).is_known
    assert (UNKNOWN.category, UNKNOWN.kind) == (TISSUE, TISSUE)
