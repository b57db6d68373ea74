"""Recipes on disk: those that come with medsam2, and one's own, in YAML or JSON."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from importlib import resources
from pathlib import Path
from typing import Any

from medsam2.errors import ConfigurationError, FormatError, MissingDependencyError
from medsam2.training.plain_values import settings_from
from medsam2.training.recipe import Recipe

SUFFIXES = (".yaml", ".yml", ".json")


def shipped_recipes() -> dict[str, Path]:
    """The recipes that come with medsam2, by name."""
    folder = Path(str(resources.files("medsam2.training") / "recipes"))
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))}


def read_recipe(name_or_path: str, changes: Sequence[str] = (), texts: Mapping[str, str] | None = None) -> Recipe:
    """A recipe by the name of a shipped one, or from a file.

    Args:
        name_or_path: such as "finetune-volume", or "my.yaml".
        changes: settings to change, with the value in YAML, e.g. "optimiser.learning_rate=1e-5".
        texts: settings to change before, by name, to texts that are taken as they are: in YAML a path may mean
            something else.

    Raises:
        ConfigurationError: there is no such recipe, or it has a key or a value that means nothing.
        FormatError: the file cannot be read as YAML or JSON.
        MissingDependencyError: it is in YAML, and PyYAML is not installed.
    """
    path = _locate(name_or_path)
    plain = _parsed(path)
    for key, value in (texts or {}).items():
        _set(plain, key, value, f"{key}={value}")
    for change in changes:
        _change(plain, change)
    try:
        return settings_from(Recipe, plain)
    except ConfigurationError as error:
        raise ConfigurationError(f"{path}: {error}") from error


def of_length(recipe: Recipe, steps: int | None, minutes: float | None) -> Recipe:
    """The recipe with another length, if one is given.

    Raises:
        ConfigurationError: both are given, or one that is not above 0.
    """
    return recipe if steps is None and minutes is None else replace(recipe, steps=steps, minutes=minutes)


def _locate(name_or_path: str) -> Path:
    shipped = shipped_recipes()
    if name_or_path in shipped:
        return shipped[name_or_path]
    path = Path(name_or_path)
    if path.suffix.lower() in SUFFIXES and path.is_file():
        return path
    near = get_close_matches(name_or_path, shipped, 1)
    hint = f" Did you mean '{near[0]}'?" if near else ""
    raise ConfigurationError(
        f"'{name_or_path}' is no recipe; expected a file ({', '.join(SUFFIXES)}), or one of {', '.join(shipped)}.{hint}"
    )


def _parsed(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
        found = json.loads(text) if path.suffix.lower() == ".json" else _yaml(text, path)
    except (OSError, ValueError) as error:
        raise FormatError(f"{path} cannot be read as a recipe: {' '.join(str(error).split())}") from error
    if not isinstance(found, dict):
        raise ConfigurationError(f"{path}: holds {type(found).__name__}; expected settings by name, as in 'steps: 100'")
    return found


def _yaml(text: str, path: Path | str) -> Any:
    """What YAML says.

    Raises:
        ValueError: it is no YAML.
        MissingDependencyError: PyYAML is not installed.
    """
    try:
        import yaml
    except ModuleNotFoundError as error:
        raise MissingDependencyError(
            f"{path}: reading YAML needs the package PyYAML, which is not installed; install it with: "
            'pip install "medsam2[train]", or give the recipe as .json'
        ) from error
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from error


def _change(plain: dict[str, Any], change: str) -> None:
    """Set one value, `a.b=value`, with the value in YAML."""
    key, equals, text = change.partition("=")
    if not equals or not key.strip():
        raise ConfigurationError(f"the change '{change}' is not understood; expected NAME=VALUE, as in steps=100")
    try:
        value = _yaml(text, change)
    except ValueError as error:
        raise ConfigurationError(f"the change '{change}': its value is no YAML") from error
    _set(plain, key.strip(), value, change)


def _set(plain: dict[str, Any], key: str, value: Any, change: str) -> None:
    """Set one value by its path, `a.b`; `change` is what messages call it."""
    *parents, last = key.split(".")
    place: Any = plain
    for parent in parents:
        if place.get(parent) is None:
            place[parent] = {}
        place = place[parent]
        if not isinstance(place, Mapping):
            raise ConfigurationError(f"the change '{change}': '{parent}' holds no settings by name")
    place[last] = value
