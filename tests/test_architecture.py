"""What the import contracts in pyproject.toml cannot hold."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "medsam2"
TESTS = ROOT / "tests"
MODULES = sorted(SOURCE.rglob("*.py"))

MAX_LINES = 450

NO_NAMES = {"utils", "util", "helpers", "helper", "common", "misc"}

TRUNK = ("abdomen", "body", "chest", "organs", "pelvis", "trunk")
SCENES = (*TRUNK, "cells", "flat", "generic", "head", "limb", "tubes")
TESTED_THROUGH = {
    # Flags and output have no behaviour outside a command.
    "cli/options.py": "cli/test_segment.py",
    "cli/output.py": "cli/test_segment.py",
    "cli/report_flags.py": "cli/test_segment.py",
    # What readers of annotations share has no behaviour outside them.
    "io/annotated_series.py": "io/test_seg_annotations.py",
    "io/annotation_files.py": "cli/test_prompt_flags.py",
    # Each scene is drawn at random; what holds for all families is tested once, over all of them.
    **dict.fromkeys((f"synthetic/{scene}.py" for scene in SCENES), "synthetic/test_clips.py"),
    "synthetic/random_source.py": "synthetic/test_clips.py",
    "synthetic/shapes.py": "synthetic/test_clips.py",
    "synthetic/slab.py": "synthetic/test_clips.py",
    # Steps of rendering, which is tested over all styles.
    "synthetic/degradation.py": "synthetic/test_rendering.py",
    "synthetic/filters.py": "synthetic/test_rendering.py",
    "synthetic/tissues.py": "synthetic/test_rendering.py",
}
"""Modules without a test file of their own, and the one that runs them."""


def _relative(path: Path) -> str:
    return path.relative_to(SOURCE).as_posix()


@pytest.mark.parametrize("module", MODULES, ids=_relative)
def test_a_module_is_named_after_what_it_holds(module: Path) -> None:
    assert NO_NAMES.isdisjoint(module.relative_to(SOURCE).with_suffix("").parts)


@pytest.mark.parametrize("module", sorted([*MODULES, *TESTS.rglob("*.py")]), ids=lambda path: path.name)
def test_a_file_can_be_read_in_one_sitting(module: Path) -> None:
    assert len(module.read_text(encoding="utf-8").splitlines()) <= MAX_LINES


@pytest.mark.parametrize("module", [one for one in MODULES if "cli" not in one.parts], ids=_relative)
def test_the_library_does_not_print(module: Path) -> None:
    calls = [node.func for node in ast.walk(_tree(module)) if isinstance(node, ast.Call)]
    assert not [call.lineno for call in calls if isinstance(call, ast.Name) and call.id == "print"]


@pytest.mark.parametrize("module", [one for one in MODULES if not one.stem.startswith("__")], ids=_relative)
def test_a_module_has_a_test_of_its_name(module: Path) -> None:
    place = Path(_relative(module))
    test = TESTED_THROUGH.get(place.as_posix(), (place.parent / f"test_{place.name}").as_posix())
    assert (TESTS / test).is_file(), f"write tests/{test}, or say in TESTED_THROUGH which test runs {place}"


def test_exceptions_are_still_needed() -> None:
    for module in TESTED_THROUGH:
        place = Path(module)
        assert (SOURCE / place).is_file(), f"{module} is gone"
        assert not (TESTS / place.parent / f"test_{place.name}").exists(), f"{module} has a test of its own"


def test_what_is_imported_is_declared() -> None:
    imported = {name for module in MODULES for name in _imported(module)} - sys.stdlib_module_names - {"medsam2"}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = (one for extra, needed in project["optional-dependencies"].items() if extra != "dev" for one in needed)
    declared = [*project["dependencies"], *extras]
    names = {_plain(re.split(r"[<>=!~ \[;]", one)[0]) for one in declared}
    distributions = packages_distributions()
    undeclared = {one for one in imported if names.isdisjoint(map(_plain, distributions.get(one, [one])))}
    assert not undeclared


@pytest.mark.parametrize("page", ["ARCHITECTURE.md", "CONTRIBUTING.md"])
def test_files_that_the_documents_name_exist(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    named = set(re.findall(r"`([a-z0-9_/.]+\.(?:py|toml|md|yaml))`", text))
    assert not {one for one in named if not (ROOT / one).exists() and not (SOURCE / one).exists()}


def _tree(module: Path) -> ast.Module:
    return ast.parse(module.read_text(encoding="utf-8"), filename=str(module))


def _imported(module: Path) -> Iterator[str]:
    """Top-level packages that a module imports, at its head or inside a function."""
    for node in ast.walk(_tree(module)):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]


def _plain(name: str) -> str:
    """A distribution's name as PEP 503 compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()
