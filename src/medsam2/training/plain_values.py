"""Settings from the plain values of a file: every key known, every value of its type."""

from dataclasses import MISSING, Field, fields, is_dataclass
from difflib import get_close_matches
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from medsam2.errors import ConfigurationError

Settings = TypeVar("Settings")


def settings_from(kind: type[Settings], plain: Any, where: str = "") -> Settings:
    """A frozen dataclass of settings, nested ones included.

    Args:
        kind: the dataclass; its fields are numbers, texts, truths, tuples, literals or dataclasses, or None.
        plain: what the file says, e.g. `{"steps": 100}`.
        where: the place in the file, for messages.

    Raises:
        ConfigurationError: a key is unknown (the nearest one is named) or missing, or a value is of another type.
    """
    if not isinstance(plain, dict):
        raise ConfigurationError(f"{where or 'the recipe'} is {plain!r}; expected settings by name")
    known = {field.name: field for field in fields(cast(Any, kind))}
    for key in plain:
        if key not in known:
            raise ConfigurationError(_unknown(_joined(where, str(key)), str(key), list(known)))
    for name, field in known.items():
        if name not in plain and not _has_default(field):
            raise ConfigurationError(f"'{_joined(where, name)}' is missing; expected it to be set")
    hints = get_type_hints(kind)
    return kind(**{key: _value(hints[key], value, _joined(where, key)) for key, value in plain.items()})


def _unknown(path: str, key: str, known: list[str]) -> str:
    near = get_close_matches(key, known, 1)
    hint = f" Did you mean '{near[0]}'?" if near else ""
    return f"'{path}' is no setting; expected one of {', '.join(known)}.{hint}"


def _has_default(field: "Field[Any]") -> bool:
    return field.default is not MISSING or field.default_factory is not MISSING


def _joined(where: str, key: str) -> str:
    return f"{where}.{key}" if where else key


def _value(hint: Any, value: Any, where: str) -> Any:
    """One value of the type that a field's annotation asks for."""
    if get_origin(hint) in (Union, UnionType):
        if value is None and NoneType in get_args(hint):
            return None
        return _value(next(one for one in get_args(hint) if one is not NoneType), value, where)
    if is_dataclass(hint):
        return settings_from(cast("type[Any]", hint), value, where)
    if get_origin(hint) is tuple:
        return _tuple(get_args(hint), value, where)
    if get_origin(hint) is Literal:
        if value not in get_args(hint):
            raise ConfigurationError(f"'{where}' is {value!r}; expected one of {', '.join(get_args(hint))}")
        return value
    return _plain(hint, value, where)


def _tuple(hints: tuple[Any, ...], value: Any, where: str) -> tuple[Any, ...]:
    each = hints[0]
    if not isinstance(value, (list, tuple)):
        raise ConfigurationError(f"'{where}' is {value!r}; expected a list")
    if Ellipsis not in hints and len(value) != len(hints):
        raise ConfigurationError(f"'{where}' has {len(value)} values; expected {len(hints)}")
    return tuple(_value(each, one, f"{where}[{index}]") for index, one in enumerate(value))


def _plain(hint: Any, value: Any, where: str) -> Any:
    if hint is float and not isinstance(value, bool):
        try:  # YAML takes 1e-4 for a text
            return float(value)
        except (TypeError, ValueError):
            pass
    elif type(value) is hint:
        return value
    names = {int: "a whole number", float: "a number", str: "a text", bool: "true or false"}
    raise ConfigurationError(f"'{where}' is {value!r}; expected {names[hint]}")
