"""The examples in the docstrings are true."""

import doctest
from importlib import import_module, resources
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src"


def _modules_with_examples() -> list[str]:
    paths = [path for path in sorted(SOURCE.rglob("*.py")) if ">>> " in path.read_text(encoding="utf-8")]
    return [".".join(path.relative_to(SOURCE).with_suffix("").parts).removesuffix(".__init__") for path in paths]


@pytest.mark.parametrize("name", _modules_with_examples())
def test_examples_in_docstrings(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for example in doctest.DocTestFinder().find(import_module(name)):
        if "from_pretrained(" in example.docstring and not _starter_is_there():
            pytest.skip("the starter weights are not in this source tree")
        told: list[str] = []
        failed, _ = doctest.DocTestRunner().run(example, out=told.append)
        assert failed == 0, "".join(told)


def _starter_is_there() -> bool:
    return (resources.files("medsam2.weights") / "bundled" / "starter.safetensors").is_file()
