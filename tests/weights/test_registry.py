"""The registry is complete, consistent and honest about what is not known."""

import re

import pytest

from medsam2.errors import CheckpointError
from medsam2.network import PRESETS
from medsam2.weights import REGISTRY, STARTER, find_entry
from medsam2.weights.checkpoint_files import SUFFIXES


@pytest.mark.parametrize("name", REGISTRY)
def test_each_entry_is_whole(name):
    entry = REGISTRY[name]
    assert entry.name == name
    assert entry.preset in PRESETS
    assert entry.licence
    assert entry.note
    assert any(entry.file.endswith(suffix) for suffix in SUFFIXES)
    assert entry.revision is None or re.fullmatch("[0-9a-f]{40}", entry.revision)
    assert entry.sha256 is None or re.fullmatch("[0-9a-f]{64}", entry.sha256)
    assert (entry.repository is None) == (name == STARTER)


def test_sums_and_files_are_not_mixed_up():
    sums = [entry.sha256 for entry in REGISTRY.values() if entry.sha256 is not None]
    files = [(entry.repository, entry.file) for entry in REGISTRY.values()]
    assert len(set(sums)) == len(sums)
    assert len(set(files)) == len(files)


@pytest.mark.parametrize("version", ["sam2", "sam2.1"])
@pytest.mark.parametrize("size", ["tiny", "small", "base-plus", "large"])
def test_the_sam_2_checkpoints_are_where_meta_keeps_them(version, size):
    entry = find_entry(f"{version}-hiera-{size}")
    assert entry.repository == f"facebook/{version}-hiera-{size}"
    assert entry.file == f"{version}_hiera_{size.replace('-', '_')}.pt"
    assert entry.config == PRESETS[f"{version}-hiera-{size}"]
    assert entry.config.timed_memory == (version == "sam2.1")


def test_the_two_projects_of_like_names_are_told_apart():
    ours, theirs = find_entry("medsam-2"), find_entry("bowang-medsam2")
    assert (ours.config.size, ours.config.timed_memory) == (1024, False)
    assert (theirs.config.size, theirs.config.timed_memory) == (512, True)
    assert "REFUGE" in ours.note
    assert "not MedSAM-2" in theirs.note


def test_an_unknown_name_is_answered_with_a_near_one():
    with pytest.raises(CheckpointError, match=r"'sam2\.1-tiny' and no file is either.* Did you mean 'sam2\.1-hiera-t"):
        find_entry("sam2.1-tiny")
    with pytest.raises(CheckpointError, match=r"'qqq' and no file is either\. Known: starter, "):
        find_entry("qqq")


def test_the_registry_cannot_be_changed():
    with pytest.raises(TypeError):
        REGISTRY["mine"] = REGISTRY[STARTER]
