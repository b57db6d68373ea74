import json
from dataclasses import FrozenInstanceError, replace

import pytest

from medsam2.errors import ConfigurationError
from medsam2.network import PRESETS, NetworkConfig
from medsam2.network.config import check_size
from reference.sam2_transformers import SMALL

PUBLISHED = [name for name in PRESETS if name != "starter"]


@pytest.mark.parametrize("name", PRESETS)
def test_presets_survive_a_file_header(name):
    config = NetworkConfig.preset(name)

    assert NetworkConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config
    assert hash(config) == hash(PRESETS[name])


def test_presets_are_the_eight_published_networks_and_the_starter():
    sizes = ("tiny", "small", "base-plus", "large")
    assert set(PUBLISHED) == {f"{family}-hiera-{size}" for family in ("sam2", "sam2.1") for size in sizes}
    assert PRESETS["starter"].drawn_prompts
    assert not any(PRESETS[name].drawn_prompts for name in PUBLISHED)
    assert not any(PRESETS[name].consensus for name in PUBLISHED)
    assert not any(PRESETS[name].least_iou for name in PUBLISHED)  # SAM 2 believes its object score
    assert not any(PRESETS[name].fine_layers or PRESETS[name].focus for name in PUBLISHED)


@pytest.mark.parametrize("size", ["tiny", "small", "base-plus", "large"])
def test_only_the_timed_memory_tells_sam2_from_sam21(size):
    old, new = PRESETS[f"sam2-hiera-{size}"], PRESETS[f"sam2.1-hiera-{size}"]

    assert not old.timed_memory
    assert replace(old, timed_memory=True) == new


@pytest.mark.parametrize("name", PRESETS)
def test_global_blocks_exist(name):
    config = PRESETS[name]

    assert max(config.global_blocks) < sum(config.depths)


def test_configurations_do_not_change():
    with pytest.raises(FrozenInstanceError):
        SMALL.width = 64


def test_a_near_miss_is_told_the_name():
    with pytest.raises(
        ConfigurationError,
        match=r"no network is called 'sam2\.1-hiera-tny'; known: .* Did you mean 'sam2\.1-hiera-tiny'",
    ):
        NetworkConfig.preset("sam2.1-hiera-tny")


def test_a_wrong_name_is_told_all_names():
    with pytest.raises(ConfigurationError, match=r"no network is called 'x'.*sam2-hiera-tiny.*starter"):
        NetworkConfig.preset("x")


def test_unknown_settings_are_named():
    with pytest.raises(ConfigurationError, match=r"unknown network setting\(s\): colour, wdith"):
        NetworkConfig.from_dict(SMALL.to_dict() | {"wdith": 1, "colour": 2})


def test_missing_settings_are_named():
    with pytest.raises(ConfigurationError, match=r"incomplete network settings.*depths"):
        NetworkConfig.from_dict({"embedding_width": 96, "heads": 1, "global_blocks": [5]})


def test_the_width_must_hold_whole_pointer_tokens():
    with pytest.raises(ConfigurationError, match="width is 100; it must be a multiple of 64"):
        replace(SMALL, width=100)


@pytest.mark.parametrize("focus", [-2.0, 0.5, 1.0])
def test_a_focus_shows_more_than_the_box(focus):
    with pytest.raises(ConfigurationError, match=rf"focus is {focus}; expected 0 .the whole frame. or more than 1"):
        replace(SMALL, focus=focus)


@pytest.mark.parametrize("least_iou", [-0.1, 1.1])
def test_an_iou_lies_between_0_and_1(least_iou):
    with pytest.raises(ConfigurationError, match=rf"least_iou is {least_iou}; an intersection over union lies in"):
        replace(SMALL, least_iou=least_iou)


@pytest.mark.parametrize("size", [32, 96, 1024])
def test_good_sizes(size):
    check_size(size)


@pytest.mark.parametrize("size", [-32, 0, 31, 100, 1000])
def test_bad_sizes(size):
    with pytest.raises(ConfigurationError, match=f"side is {size} pixels; it must be a positive multiple of 32"):
        replace(SMALL, size=size)
