"""`medsam2 weights` as users call it."""

import hashlib
import re
from dataclasses import replace

import huggingface_hub
import pytest
from typer.testing import CliRunner

from medsam2.cli.weights import app
from medsam2.errors import CheckpointError
from medsam2.network import PRESETS
from medsam2.weights import REGISTRY, WeightsCard, save_network
from medsam2.weights.cache import find_file


@pytest.fixture
def call(monkeypatch, tmp_path):
    """Call the command; its output with line breaks and padding taken out."""
    monkeypatch.setenv("MEDSAM2_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments: object) -> str:
        result = CliRunner().invoke(app, [str(one) for one in arguments], catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return re.sub(r"\s+", " ", result.output)

    return run


@pytest.fixture
def own_file(tiny_network, tmp_path):
    """A weights file of our own."""
    path = tmp_path / "own [1].safetensors"
    card = WeightsCard("own", tiny_network.config, "MIT", {"steps": 3}, "synthetic", {"dice": 0.5}, "Look: [bold]")
    save_network(tiny_network, path, card)
    return path


@pytest.fixture
def published(monkeypatch, own_file, tiny_network):
    """A published file of the smallest network, whose sum nobody knows yet; the hub has it."""
    monkeypatch.setitem(PRESETS, "smallest", tiny_network.config)
    base = REGISTRY["bowang-medsam2-us-heart"]
    entry = replace(base, name="published", file="own.safetensors", preset="smallest", side=None, size_mb=None)
    for module in ("weights.registry", "weights.loading", "cli.weights"):
        monkeypatch.setattr(f"medsam2.{module}.REGISTRY", {"published": entry})

    def download(_repository, file, *, local_dir, **_):
        local_dir.mkdir(parents=True, exist_ok=True)
        (local_dir / file).write_bytes(own_file.read_bytes())
        return str(local_dir / file)

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    monkeypatch.setattr("medsam2.weights.cache.find_revision", lambda _, wanted: wanted)
    return entry


def test_list_names_all_weights_with_licences(call):
    output = call("list")
    for entry in REGISTRY.values():
        assert entry.name in output
        assert entry.licence in output
    assert "155.9" in output


def test_info_of_a_name_tells_where_it_comes_from(call):
    output = call("info", "medsam-2")
    entry = REGISTRY["medsam-2"]
    assert f"https://huggingface.co/{entry.repository}, {entry.file}" in output
    assert f"{entry.sha256} (known beforehand)" in output
    assert entry.revision in output
    assert "sam2-hiera-tiny, 1024 px" in output
    assert entry.note in output


def test_info_is_honest_about_what_is_not_known(call):
    assert "not known beforehand: the newest at the first download" in call("info", "sam2-hiera-base-plus")
    heart = call("info", "bowang-medsam2-us-heart")
    assert "not known: the first download or import will be trusted and recorded" in heart


def test_info_of_the_starter_has_no_source_on_the_hub(call):
    output = call("info", "starter")
    assert "comes with medsam2" in output
    assert "huggingface" not in output


def test_info_of_a_file_tells_its_card(call, own_file):
    output = call("info", own_file)
    assert hashlib.sha256(own_file.read_bytes()).hexdigest() in output
    assert "embedding_width 8" in output
    for text in ("own", "MIT", "steps 3", "synthetic", "dice 0.5", "Look: [bold]"):
        assert text in output


def test_info_of_nothing_is_an_error(call):
    with pytest.raises(CheckpointError, match="no weights are called 'nothing'"):
        call("info", "nothing")


def test_download_then_info_says_on_what_trust(call, published, own_file):
    output = call("download", "published")
    assert f"published: {find_file(published)}" in output
    sha256 = hashlib.sha256(own_file.read_bytes()).hexdigest()
    info = call("info", "published")
    assert f"{sha256} (trusted on first use, revision {published.revision}; checked whenever it is loaded)" in info
    assert "yes" in call("list")


def test_download_can_be_quiet(call, published):
    assert call("download", "published", "--quiet") == ""


def test_import_copies_a_file_into_the_cache(call, published, own_file):
    output = call("import", own_file, "--name", "published")
    assert f"published: {find_file(published)}" in output
    assert "(trusted on first use, an imported file; checked" in call("info", "published")


def test_import_of_the_wrong_file_is_an_error(call, own_file):
    with pytest.raises(CheckpointError, match="is not the file known as 'medsam-2'"):
        call("import", own_file, "--name", "medsam-2")
