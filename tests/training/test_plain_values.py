"""Plain values become settings, or an error that names the place and the nearest key."""

from dataclasses import dataclass, field
from typing import Literal

import pytest

from medsam2.errors import ConfigurationError
from medsam2.training.plain_values import settings_from


@dataclass(frozen=True)
class Inner:
    learning_rate: float = 0.1
    pair: tuple[float, float] = (0.0, 1.0)


@dataclass(frozen=True)
class Outer:
    name: str
    steps: int | None = None
    ready: bool = False
    mode: Literal["fast", "slow"] = "fast"
    inner: Inner = field(default_factory=Inner)
    inners: tuple[Inner, ...] = ()
    optional: Inner | None = None


def test_plain_values_become_settings():
    plain = {
        "name": "x",
        "steps": 3,
        "mode": "slow",
        "inner": {"learning_rate": "1e-4", "pair": [1, 2]},
        "inners": [{}, {"learning_rate": 2}],
        "optional": None,
    }
    found = settings_from(Outer, plain)
    assert found == Outer("x", 3, False, "slow", Inner(1e-4, (1.0, 2.0)), (Inner(), Inner(2.0)))
    assert isinstance(found.inners[1].learning_rate, float)


@pytest.mark.parametrize(
    ("plain", "message"),
    [
        ({"nme": "x"}, "'nme' is no setting; expected one of name, .* Did you mean 'name'"),
        (
            {"name": "x", "inner": {"learning_rte": 1}},
            r"'inner\.learning_rte' is no setting.*Did you mean 'learning_rate'",
        ),
        (
            {"name": "x", "inners": [{}, {"zzz": 1}]},
            r"'inners\[1\]\.zzz' is no setting; expected one of learning_rate, pair\.$",
        ),
        ({}, "'name' is missing"),
        ({"name": 3}, "'name' is 3; expected a text"),
        ({"name": "x", "steps": "many"}, "'steps' is 'many'; expected a whole number"),
        ({"name": "x", "steps": 1.5}, "'steps' is 1.5; expected a whole number"),
        ({"name": "x", "steps": True}, "'steps' is True; expected a whole number"),
        ({"name": "x", "ready": "yes"}, "'ready' is 'yes'; expected true or false"),
        ({"name": "x", "mode": "medium"}, "'mode' is 'medium'; expected one of fast, slow"),
        ({"name": "x", "inner": {"learning_rate": "fast"}}, "expected a number"),
        ({"name": "x", "inner": {"learning_rate": True}}, "expected a number"),
        ({"name": "x", "inner": {"pair": [1]}}, r"'inner\.pair' has 1 values; expected 2"),
        ({"name": "x", "inner": 5}, "inner is 5; expected settings by name"),
        ({"name": "x", "inners": {}}, "'inners' is {}; expected a list"),
        (["name"], "the recipe is .*; expected settings by name"),
        ({True: "x"}, "'True' is no setting"),
    ],
)
def test_what_means_nothing_is_named(plain, message):
    with pytest.raises(ConfigurationError, match=message):
        settings_from(Outer, plain)
