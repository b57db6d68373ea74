"""The examples are there, whole, and what their tables say."""

from dataclasses import FrozenInstanceError
from importlib import resources
from pathlib import Path

import numpy as np
import pytest

from medsam2.errors import ConfigurationError, FormatError
from medsam2.examples import EXAMPLE_NAMES, example_case
from medsam2.io import read_label_map, read_volume

NOTICE = Path(__file__).parents[2] / "NOTICE"


@pytest.mark.parametrize("name", EXAMPLE_NAMES)
def test_all_files_are_in_the_package(name: str) -> None:
    case = example_case(name)
    data = Path(str(resources.files("medsam2"))) / "examples" / name
    assert case.name == name
    for path in (case.image, case.labels, case.licence_file):
        assert path.is_file()
        assert path.parent == data


@pytest.mark.parametrize("name", EXAMPLE_NAMES)
def test_labels_lie_on_the_grid_of_the_image_and_all_have_names(name: str) -> None:
    case = example_case(name)
    volume, labels = read_volume(case.image), read_label_map(case.labels)
    assert labels.geometry.shape == volume.geometry.shape
    assert np.array_equal(labels.geometry.affine, volume.geometry.affine)
    assert set(np.unique(labels.labels).tolist()) - {0} == set(case.names)
    assert all(case.names.values())


@pytest.mark.parametrize("name", EXAMPLE_NAMES)
def test_recommended_labels_are_named_and_ascend(name: str) -> None:
    case = example_case(name)
    assert case.recommended
    assert set(case.recommended) <= set(case.names)
    assert list(case.recommended) == sorted(set(case.recommended))


def test_the_scan_has_the_structures_that_its_table_recommends() -> None:
    case = example_case("ct_abdomen_pelvis")
    assert len(case.names) == 61
    assert {case.names[label] for label in case.recommended} >= {"liver", "spleen", "kidney_left", "urinary_bladder"}
    assert "adrenal_gland_left" not in {case.names[label] for label in case.recommended}


def test_all_nuclei_are_alike() -> None:
    case = example_case("nuclei2d")
    assert case.recommended == tuple(range(1, 126))


@pytest.mark.parametrize("name", EXAMPLE_NAMES)
def test_terms_are_stated_beside_the_data_and_in_the_notice(name: str) -> None:
    assert "Licence:" in example_case(name).licence_file.read_text(encoding="utf-8")
    assert f"src/medsam2/examples/{name}" in NOTICE.read_text(encoding="utf-8")


def test_an_unknown_example_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(ConfigurationError, match=r"'nuclei'; known: ct_abdomen_pelvis, nuclei2d\..*'nuclei2d'\?"):
        example_case("nuclei")


def test_an_example_like_no_other_is_refused_without_a_guess() -> None:
    with pytest.raises(ConfigurationError, match=r"known: ct_abdomen_pelvis, nuclei2d\.$"):
        example_case("?")


def test_missing_data_are_told_from_an_unknown_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resources, "files", lambda _package: tmp_path)
    with pytest.raises(FormatError, match=r"example 'nuclei2d'.*are not there"):
        example_case("nuclei2d")


def test_a_case_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        example_case("nuclei2d").name = "other"  # type: ignore[misc]
