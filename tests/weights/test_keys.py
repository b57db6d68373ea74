"""Published keys map one to one onto ours."""

from collections import Counter

import pytest
import torch
from transformers import Sam2VideoModel

from medsam2.errors import CheckpointError
from medsam2.network import PRESETS, PointKind, Sam2Network
from medsam2.weights.fitting import expected_shapes
from medsam2.weights.keys import COPIES, KEY_TABLE, UNUSED, Flavour, detect_flavour, rename, to_our_names
from reference.sam2_transformers import SMALL, SMALL_UNTIMED, video_config

PUBLISHED = [name for name in PRESETS if name != "starter"]
FREQUENCIES = "prompt_encoder.shared_embedding.positional_embedding"


def hollow_hugging_face_state(config):
    with torch.device("meta"):
        model = Sam2VideoModel(video_config(config, config.size))
    return {key: torch.zeros(()).expand(tensor.shape) for key, tensor in model.state_dict().items()}


@pytest.mark.parametrize("name", PUBLISHED)
def test_meta_keys_and_shapes_become_ours(name, hollow_meta_state):
    config = PRESETS[name]
    renamed = rename(hollow_meta_state(config), config)
    assert {key: tensor.shape for key, tensor in renamed.items()} == expected_shapes(config)


@pytest.mark.parametrize("name", PUBLISHED)
def test_hugging_face_keys_and_shapes_become_ours(name):
    config = PRESETS[name]
    renamed = rename(hollow_hugging_face_state(config), config)
    assert {key: tensor.shape for key, tensor in renamed.items()} == expected_shapes(config)


def test_published_counts_of_keys_are_those_of_the_released_code(meta_shapes):
    counts = {name: len(meta_shapes(PRESETS[name])) for name in PUBLISHED}
    assert counts == {
        "sam2-hiera-tiny": 468,
        "sam2-hiera-small": 516,
        "sam2-hiera-base-plus": 612,
        "sam2-hiera-large": 900,
        "sam2.1-hiera-tiny": 471,
        "sam2.1-hiera-small": 519,
        "sam2.1-hiera-base-plus": 615,
        "sam2.1-hiera-large": 903,
    }


def test_no_two_rows_share_a_name():
    for flavour in ("ours", "meta", "hugging_face"):
        counts = Counter(getattr(row, flavour) for row in KEY_TABLE)
        assert counts.most_common(1)[0][1] == 1


def test_nothing_is_dropped_but_what_the_table_names(meta_shapes):
    """Each key lands in a tensor of ours, is listed as unused or a copy, or is one of the four kinds of points."""
    for config in (SMALL, SMALL_UNTIMED):
        for keys in (meta_shapes(config), hollow_hugging_face_state(config)):
            kept = [key for key in keys if key not in UNUSED and key not in COPIES]
            merged = 3 if any("point_embeddings" in key for key in kept) else 0
            assert len(kept) - merged == len(expected_shapes(config))
    assert all(reason for reason in UNUSED.values())


@pytest.mark.parametrize(
    ("meta", "ours"),
    [
        ("image_encoder.trunk.blocks.3.norm1.weight", "image_encoder.blocks.3.attention_norm.weight"),
        ("image_encoder.trunk.blocks.3.norm2.bias", "image_encoder.blocks.3.mlp_norm.bias"),
        ("image_encoder.trunk.blocks.1.proj.weight", "image_encoder.blocks.1.shortcut.weight"),
        ("image_encoder.trunk.blocks.1.attn.proj.weight", "image_encoder.blocks.1.attention.projection.weight"),
        ("image_encoder.neck.convs.0.conv.weight", "neck.laterals.3.weight"),
        ("image_encoder.neck.convs.3.conv.bias", "neck.laterals.0.bias"),
        ("sam_mask_decoder.conv_s0.weight", "mask_decoder.skip4.weight"),
        ("sam_mask_decoder.conv_s1.weight", "mask_decoder.skip8.weight"),
        ("sam_mask_decoder.output_upscaling.0.weight", "mask_decoder.upscale8.weight"),
        ("sam_mask_decoder.output_upscaling.3.weight", "mask_decoder.upscale4.weight"),
        ("sam_mask_decoder.transformer.layers.1.norm2.weight", "mask_decoder.transformer.layers.1.token_norm.weight"),
        ("sam_mask_decoder.transformer.layers.0.norm4.weight", "mask_decoder.transformer.layers.0.image_norm.weight"),
        (
            "sam_mask_decoder.transformer.layers.0.cross_attn_image_to_token.out_proj.weight",
            "mask_decoder.transformer.layers.0.image_to_token.projection.weight",
        ),
        (
            "sam_mask_decoder.output_hypernetworks_mlps.2.layers.1.weight",
            "mask_decoder.mask_heads.2.layers.1.weight",
        ),
        ("memory_attention.layers.1.norm3.weight", "memory_attention.layers.1.mlp_norm.weight"),
        (
            "memory_attention.layers.0.cross_attn_image.k_proj.weight",
            "memory_attention.layers.0.memory_attention.key.weight",
        ),
        ("memory_encoder.fuser.layers.1.gamma", "memory_encoder.fuser.1.gain"),
        ("obj_ptr_proj.layers.2.bias", "pointer_head.layers.2.bias"),
    ],
)
def test_values_go_where_they_belong(meta, ours, random_meta_state):
    state = random_meta_state(SMALL)
    torch.testing.assert_close(rename(state, SMALL)[ours], state[meta], rtol=0, atol=0)


def test_reshaped_entries_keep_their_values(random_meta_state):
    state = random_meta_state(SMALL)
    renamed = rename(state, SMALL)
    assert torch.equal(renamed["memory_layout.recency"][4], state["maskmem_tpos_enc"][4, 0, 0])
    assert torch.equal(renamed["no_memory"][0, :, 0, 0], state["no_mem_embed"][0, 0])


def test_kinds_of_points_keep_metas_order(random_meta_state):
    state = random_meta_state(SMALL)
    kinds = rename(state, SMALL)["prompt_encoder.kinds.weight"]
    at_meta = {PointKind.NEGATIVE: 0, PointKind.POSITIVE: 1, PointKind.BOX_FIRST: 2, PointKind.BOX_LAST: 3}
    for kind, number in at_meta.items():
        assert torch.equal(kinds[kind], state[f"sam_prompt_encoder.point_embeddings.{number}.weight"][0])


def test_our_own_names_pass_unchanged():
    state = Sam2Network(SMALL).state_dict()
    renamed = rename(state, SMALL)
    assert renamed.keys() == state.keys()
    assert all(renamed[key] is state[key] for key in state)


def test_flavours_are_told_apart(hollow_meta_state):
    assert detect_flavour(hollow_meta_state(SMALL)) is Flavour.META
    assert detect_flavour(hollow_hugging_face_state(SMALL)) is Flavour.HUGGING_FACE
    assert detect_flavour(Sam2Network(SMALL).state_dict()) is Flavour.OURS


def test_foreign_keys_are_refused():
    with pytest.raises(CheckpointError, match=r"not the weights of a SAM 2 network: the keys begin with conv1\.weight"):
        detect_flavour({"conv1.weight": torch.zeros(1)})
    with pytest.raises(CheckpointError, match="begin with none"):
        detect_flavour({})


def test_a_copy_alone_is_enough():
    state = hollow_hugging_face_state(SMALL)
    state["shared_image_embedding.positional_embedding"] = torch.ones(2, SMALL.width // 2)
    del state[FREQUENCIES]
    assert rename(state, SMALL)["prompt_encoder.position.frequencies"].eq(1).all()


def test_copies_that_differ_are_refused():
    state = hollow_hugging_face_state(SMALL)
    state[FREQUENCIES] = torch.ones(2, SMALL.width // 2)
    with pytest.raises(CheckpointError, match="should hold the same values"):
        rename(state, SMALL)


def test_unknown_keys_are_kept_by_name_and_refused(hollow_meta_state):
    state = hollow_meta_state(SMALL) | {
        "image_encoder.trunk.blocks.0.adapter.weight": torch.zeros(1),
        "sam_mask_decoder.iou_token.scale": torch.zeros(1),
        "epoch": torch.zeros(()),
    }
    assert "epoch" in to_our_names(state)
    with pytest.raises(
        CheckpointError, match=r"3 unexpected \(epoch, image_encoder\.trunk\.blocks\.0\.adapter\.weight"
    ):
        rename(state, SMALL)


def test_missing_point_kind_is_named(hollow_meta_state):
    state = hollow_meta_state(SMALL)
    del state["sam_prompt_encoder.point_embeddings.2.weight"]
    with pytest.raises(CheckpointError, match=r"1 missing \(prompt_encoder\.kinds\.weight\)"):
        rename(state, SMALL)


def test_misshapen_keys_are_named_with_both_shapes(hollow_meta_state):
    state = hollow_meta_state(SMALL) | {"no_mem_embed": torch.zeros(1, 1, 5), "maskmem_tpos_enc": torch.zeros(())}
    with pytest.raises(CheckpointError) as error:
        rename(state, SMALL)
    assert "2 misshapen" in str(error.value)
    assert "no_memory (1, 5, 1, 1) instead of (1, 128, 1, 1)" in str(error.value)
