"""The exception tree is what its drawing says."""

import re

import pytest

from medsam2 import errors
from medsam2.errors import MedSAM2Error


def _all_below(kind: type[Exception]) -> list[type[Exception]]:
    return [kind, *(one for child in kind.__subclasses__() for one in _all_below(child))]


def _drawn() -> dict[str, str]:
    """Each error in the drawing at the top of the module, and the one that it hangs from."""
    parents: dict[str, str] = {}
    branch: list[tuple[int, str]] = []
    for line in (errors.__doc__ or "").splitlines():
        found = re.match(r"([ │├└─]+)(\w+Error)\b", line)
        if found:
            depth = len(found[1])
            branch = [(at, name) for at, name in branch if at < depth]
            parents[found[2]] = branch[-1][1] if branch else "Exception"
            branch.append((depth, found[2]))
    return parents


def test_the_drawing_shows_the_tree() -> None:
    tree = [kind for kind in _all_below(MedSAM2Error) if kind.__module__ == "medsam2.errors"]
    assert _drawn() == {kind.__name__: kind.__bases__[0].__name__ for kind in tree}


@pytest.mark.parametrize("kind", _all_below(MedSAM2Error), ids=lambda kind: kind.__name__)
def test_every_error_says_when_it_is_raised(kind: type[Exception]) -> None:
    assert kind.__doc__
    with pytest.raises(MedSAM2Error, match=r"^spleen$"):
        raise kind("spleen")
