"""What a user meets first: the import, the public names, the version."""

import subprocess
import sys
import tomllib
from importlib import resources
from pathlib import Path

import pytest
from packaging.version import Version

import medsam2

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

PUBLIC_NAMES = [
    "BoxPrompt",
    "Geometry",
    "MaskPrompt",
    "ObjectPrompts",
    "Plane",
    "PointPrompt",
    "PromptSet",
    "SegmentSettings",
    "Segmentation",
    "SegmentationResult",
    "Segmenter",
    "Volume",
    "read_label_map",
    "read_volume",
    "write_segmentation",
]


@pytest.mark.parametrize("imports", ["medsam2", "medsam2, medsam2.io, medsam2.prompts, medsam2.examples"])
def test_torch_is_not_loaded_before_it_is_needed(imports: str) -> None:
    check = f"import sys, {imports}; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", check], check=True, timeout=60)


def test_the_public_names_are_these() -> None:
    assert medsam2.__all__ == PUBLIC_NAMES


@pytest.mark.parametrize("name", PUBLIC_NAMES)
def test_each_public_name_can_be_imported_and_says_what_it_is(name: str) -> None:
    public = getattr(medsam2, name)
    assert public.__name__ == name
    assert public.__doc__
    assert name in dir(medsam2)


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'medsam2' has no attribute 'segment_all'"):
        _ = medsam2.segment_all


def test_the_version_is_one_and_the_same_everywhere() -> None:
    assert str(Version(medsam2.__version__)) == medsam2.__version__ == PROJECT["version"]
    assert f"\nversion: {medsam2.__version__}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\n## [{medsam2.__version__}]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_type_checkers_are_told_that_the_package_is_typed() -> None:
    assert (resources.files("medsam2") / "py.typed").is_file()


def test_the_makefile_asks_for_the_same_torch() -> None:
    torch = next(one for one in PROJECT["dependencies"] if one.startswith("torch"))
    assert f"\nTORCH := {torch}\n" in (ROOT / "Makefile").read_text(encoding="utf-8")
