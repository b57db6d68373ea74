"""The page for users says what is so."""

import re
from pathlib import Path

import pytest

from medsam2.memory import POLICIES
from medsam2.memory.options import MemoryOptions

PAGE = (Path(__file__).parents[2] / "docs" / "memory.md").read_text(encoding="utf-8")
SNIPPETS = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)


@pytest.mark.parametrize("snippet", SNIPPETS, ids=range(len(SNIPPETS)))
def test_snippets_run(snippet):
    exec(compile(snippet, "docs/memory.md", "exec"), {"__name__": "memory_page"})


def test_all_policies_and_options_are_on_the_page():
    assert all(f"| `{policy}` |" in PAGE for policy in POLICIES)
    assert all(f"| `{option}` |" in PAGE for option in MemoryOptions.__dataclass_fields__)


def test_the_refusal_is_told_as_it_is(capsys):
    exec(next(snippet for snippet in SNIPPETS if "print(error)" in snippet), {})

    told = re.search(r"print\(error\)  # (.*)\.\.\.", PAGE)[1]
    assert capsys.readouterr().out.startswith(told)
