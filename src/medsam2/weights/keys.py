"""One table of names: the published checkpoints' keys on one side, our network's on the other.

Meta's checkpoints (`.pt`) and those of Hugging Face's `Sam2VideoModel` (`.safetensors`) hold the same numbers under
different names. Each row of `KEY_TABLE` names one module or one parameter three times. `{n}` stands for any layer
number; it is the first number of the key. A row that names a module stands for its weight and its bias.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache

import torch
from torch import Tensor

from medsam2.errors import CheckpointError
from medsam2.network import NetworkConfig
from medsam2.weights.fitting import check_fit


class Flavour(StrEnum):
    """Whose names the keys of a checkpoint are."""

    META = "Meta"
    HUGGING_FACE = "Hugging Face"
    OURS = "medsam2"


@dataclass(frozen=True)
class KeyRow:
    """One module or parameter, by its name here, at Meta and at Hugging Face."""

    ours: str
    meta: str
    hugging_face: str


def _rows(ours: str, meta: str, hugging_face: str, *names: tuple[str, str, str]) -> tuple[KeyRow, ...]:
    """Rows for the parts `names` of one module."""
    return tuple(KeyRow(f"{ours}.{own}", f"{meta}.{theirs}", f"{hugging_face}.{face}") for own, theirs, face in names)


def _attention(ours: str, meta: str, hugging_face: str) -> tuple[KeyRow, ...]:
    """Rows for an attention with its four projections."""
    return _rows(
        ours,
        meta,
        hugging_face,
        ("query", "q_proj", "q_proj"),
        ("key", "k_proj", "k_proj"),
        ("value", "v_proj", "v_proj"),
        ("projection", "out_proj", "o_proj"),
    )


def _mlp(ours: str, meta: str, hugging_face: str, layers: int) -> tuple[KeyRow, ...]:
    """Rows for an MLP; Hugging Face names the first and last layer apart and counts those between."""
    between = [f"layers.{index}" for index in range(layers - 2)]
    names = zip(range(layers), ["proj_in", *between, "proj_out"], strict=True)
    return _rows(ours, meta, hugging_face, *((f"layers.{n}", f"layers.{n}", face) for n, face in names))


_TRUNK = ("image_encoder", "image_encoder.trunk", "vision_encoder.backbone")
_BLOCK = ("image_encoder.blocks.{n}", "image_encoder.trunk.blocks.{n}", "vision_encoder.backbone.blocks.{n}")
_PROMPT = ("prompt_encoder", "sam_prompt_encoder", "prompt_encoder")
_DECODER = ("mask_decoder", "sam_mask_decoder", "mask_decoder")
_TWO_WAY = (
    "mask_decoder.transformer.layers.{n}",
    "sam_mask_decoder.transformer.layers.{n}",
    "mask_decoder.transformer.layers.{n}",
)
_MEMORY_LAYER = ("memory_attention.layers.{n}",) * 3
_DOWNSAMPLER = (
    "memory_encoder.mask_downsampler",
    "memory_encoder.mask_downsampler.encoder",
    "memory_encoder.mask_downsampler",
)
_FUSER = ("memory_encoder.fuser.{n}", "memory_encoder.fuser.layers.{n}", "memory_encoder.memory_fuser.layers.{n}")


def _inside(module: tuple[str, str, str], *parts: str) -> tuple[str, str, str]:
    """The three names of a part of `module`; one name for all, or one each."""
    named = parts * 3 if len(parts) == 1 else parts
    ours, meta, face = (f"{outer}.{part}" for outer, part in zip(module, named, strict=True))
    return ours, meta, face


KEY_TABLE: tuple[KeyRow, ...] = (
    # Image encoder (Hiera) and neck.
    *_rows(
        *_TRUNK,
        ("patch_embedding", "patch_embed.proj", "patch_embed.projection"),
        ("position_grid", "pos_embed", "pos_embed"),
        ("position_window", "pos_embed_window", "pos_embed_window"),
    ),
    *_rows(
        *_BLOCK,
        ("attention_norm", "norm1", "layer_norm1"),
        ("attention.qkv", "attn.qkv", "attn.qkv"),
        ("attention.projection", "attn.proj", "attn.proj"),
        ("mlp_norm", "norm2", "layer_norm2"),
        ("shortcut", "proj", "proj"),
    ),
    *_mlp(*_inside(_BLOCK, "mlp"), layers=2),
    # The laterals here count from the finest stage, the others' from the coarsest.
    *(
        KeyRow(
            f"neck.laterals.{stage}",
            f"image_encoder.neck.convs.{3 - stage}.conv",
            f"vision_encoder.neck.convs.{3 - stage}",
        )
        for stage in range(4)
    ),
    # Prompt encoder. All three number the kinds of points alike: negative, positive, first and last box corner.
    *_rows(
        *_PROMPT,
        (
            "position.frequencies",
            "pe_layer.positional_encoding_gaussian_matrix",
            "shared_embedding.positional_embedding",
        ),
        ("kinds", "point_embeddings", "point_embed"),
        ("padding", "not_a_point_embed", "not_a_point_embed"),
        ("no_mask", "no_mask_embed", "no_mask_embed"),
        ("mask_encoder.0", "mask_downscaling.0", "mask_embed.conv1"),
        ("mask_encoder.1", "mask_downscaling.1", "mask_embed.layer_norm1"),
        ("mask_encoder.3", "mask_downscaling.3", "mask_embed.conv2"),
        ("mask_encoder.4", "mask_downscaling.4", "mask_embed.layer_norm2"),
        ("mask_encoder.6", "mask_downscaling.6", "mask_embed.conv3"),
    ),
    # Mask decoder.
    *_attention(*_inside(_TWO_WAY, "self_attention", "self_attn", "self_attn")),
    *_attention(*_inside(_TWO_WAY, "token_to_image", "cross_attn_token_to_image", "cross_attn_token_to_image")),
    *_attention(*_inside(_TWO_WAY, "image_to_token", "cross_attn_image_to_token", "cross_attn_image_to_token")),
    *_rows(
        *_TWO_WAY,
        ("self_norm", "norm1", "layer_norm1"),
        ("token_norm", "norm2", "layer_norm2"),
        ("mlp_norm", "norm3", "layer_norm3"),
        ("image_norm", "norm4", "layer_norm4"),
    ),
    *_mlp(*_inside(_TWO_WAY, "mlp"), layers=2),
    *_attention(
        *_inside(
            _DECODER,
            "transformer.final_token_to_image",
            "transformer.final_attn_token_to_image",
            "transformer.final_attn_token_to_image",
        )
    ),
    *_rows(
        *_DECODER,
        ("transformer.final_norm", "transformer.norm_final_attn", "transformer.layer_norm_final_attn"),
        ("object_score_token", "obj_score_token", "obj_score_token"),
        ("iou_token", "iou_token", "iou_token"),
        ("mask_tokens", "mask_tokens", "mask_tokens"),
        ("skip4", "conv_s0", "conv_s0"),
        ("skip8", "conv_s1", "conv_s1"),
        ("upscale8", "output_upscaling.0", "upscale_conv1"),
        ("upscale_norm", "output_upscaling.1", "upscale_layer_norm"),
        ("upscale4", "output_upscaling.3", "upscale_conv2"),
    ),
    *_mlp(
        *_inside(_DECODER, "mask_heads.{n}", "output_hypernetworks_mlps.{n}", "output_hypernetworks_mlps.{n}"), layers=3
    ),
    *_mlp(*_inside(_DECODER, "iou_head", "iou_prediction_head", "iou_prediction_head"), layers=3),
    *_mlp(*_inside(_DECODER, "object_score_head", "pred_obj_score_head", "pred_obj_score_head"), layers=3),
    # Memory attention.
    *_attention(*_inside(_MEMORY_LAYER, "self_attention", "self_attn", "self_attn")),
    *_attention(*_inside(_MEMORY_LAYER, "memory_attention", "cross_attn_image", "cross_attn_image")),
    *_rows(
        *_MEMORY_LAYER,
        ("self_norm", "norm1", "layer_norm1"),
        ("memory_norm", "norm2", "layer_norm2"),
        ("mlp_norm", "norm3", "layer_norm3"),
        ("expand", "linear1", "linear1"),
        ("contract", "linear2", "linear2"),
    ),
    KeyRow("memory_attention.norm", "memory_attention.norm", "memory_attention.layer_norm"),
    # Memory encoder.
    *(
        row
        for step in range(4)
        for row in _rows(
            *_DOWNSAMPLER,
            (f"{3 * step}", f"{3 * step}", f"layers.{step}.conv"),
            (f"{3 * step + 1}", f"{3 * step + 1}", f"layers.{step}.layer_norm"),
        )
    ),
    *_rows(*_DOWNSAMPLER, ("12", "12", "final_conv")),
    *_rows(
        *_FUSER,
        ("depthwise", "dwconv", "depthwise_conv"),
        ("norm", "norm", "layer_norm"),
        ("expand", "pwconv1", "pointwise_conv1"),
        ("contract", "pwconv2", "pointwise_conv2"),
        ("gain", "gamma", "scale"),
    ),
    KeyRow("memory_encoder.feature_projection", "memory_encoder.pix_feat_proj", "memory_encoder.feature_projection"),
    KeyRow("memory_encoder.projection", "memory_encoder.out_proj", "memory_encoder.projection"),
    # What SAM 2 keeps outside its parts.
    KeyRow("memory_layout.recency", "maskmem_tpos_enc", "memory_temporal_positional_encoding"),
    KeyRow("memory_layout.pointer_time", "obj_ptr_tpos_proj", "temporal_positional_encoding_projection_layer"),
    KeyRow("no_memory", "no_mem_embed", "no_memory_embedding"),
    KeyRow("no_object_pointer", "no_obj_ptr", "no_object_pointer"),
    KeyRow("no_object_memory", "no_obj_embed_spatial", "occlusion_spatial_embedding_parameter"),
    KeyRow("mask_to_logits", "mask_downsample", "mask_downsample"),
    *_mlp("pointer_head", "obj_ptr_proj", "object_pointer_proj", layers=3),
)

COPIES: Mapping[str, str] = {
    "shared_image_embedding.positional_embedding": "prompt_encoder.shared_embedding.positional_embedding",
}
"""Hugging Face keys that hold another key's values once more. The two must agree; either will do alone."""

UNUSED: Mapping[str, str] = {
    "no_mem_pos_enc": "position of the no-memory token, which no released configuration attends to",
    "no_memory_positional_encoding": "Hugging Face's name for no_mem_pos_enc",
}
"""Keys that published checkpoints hold and the network does not need, with the reason. No others are dropped."""

_ENDINGS = ("", ".weight", ".bias")
_RESHAPES: Mapping[str, Callable[[Tensor], Tensor]] = {
    "memory_layout.recency": lambda x: x.reshape(*x.shape[:1], -1),  # from (7, 1, 1, 64)
    "no_memory": lambda x: x.reshape(1, -1, 1, 1),  # from (1, 1, C)
}
_FIRST_NUMBER = re.compile(r"(?<=\.)\d+(?=\.)")
_SIGNATURES: Mapping[str, Flavour] = {
    "image_encoder.trunk.": Flavour.META,
    "vision_encoder.": Flavour.HUGGING_FACE,
    "image_encoder.patch_embedding.": Flavour.OURS,
}


def detect_flavour(state: Mapping[str, Tensor]) -> Flavour:
    """Whose names the keys are.

    Raises:
        CheckpointError: they are nobody's that we know.
    """
    for signature, flavour in _SIGNATURES.items():
        if any(key.startswith(signature) for key in state):
            return flavour
    first = ", ".join(list(state)[:5]) or "none"
    raise CheckpointError(
        f"these are not the weights of a SAM 2 network: the keys begin with {first}; expected those of Meta's SAM 2 "
        "(image_encoder.trunk...), of Hugging Face's Sam2VideoModel (vision_encoder...) or of medsam2"
    )


def rename(state: Mapping[str, Tensor], config: NetworkConfig) -> dict[str, Tensor]:
    """A network's weights under our names, checked to be complete and of the right shapes.

    Args:
        state: weights under Meta's, Hugging Face's or our names.
        config: the network that they are meant for.

    Raises:
        CheckpointError: the names are unknown, or the weights are not exactly those of the network.
    """
    renamed = to_our_names(state)
    check_fit(renamed, config)
    return renamed


def to_our_names(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights under our names, unchecked; a key that the table does not know keeps its name.

    Raises:
        CheckpointError: the names are unknown, or two keys that should agree differ.
    """
    flavour = detect_flavour(state)
    if flavour is Flavour.OURS:
        return dict(state)
    renamed: dict[str, Tensor] = {}
    for key, tensor in _with_point_kinds_stacked(state).items():
        if key in UNUSED:
            continue
        name = _our_name(COPIES.get(key, key), flavour)
        ours = _RESHAPES.get(name, _as_it_is)(tensor)
        if name in renamed and not torch.equal(renamed[name], ours):
            raise CheckpointError(
                f"'{key}' and '{COPIES.get(key)}' should hold the same values and do not: get the file again"
            )
        renamed[name] = ours
    return renamed


def _as_it_is(tensor: Tensor) -> Tensor:
    return tensor


def _with_point_kinds_stacked(state: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """Meta keeps the embeddings of the four kinds of points apart, (1, C) each; here they are one (4, C) table."""
    stem = "sam_prompt_encoder.point_embeddings"
    apart = [f"{stem}.{kind}.weight" for kind in range(4)]
    if not all(key in state for key in apart):
        return state
    others = {key: tensor for key, tensor in state.items() if key not in apart}
    return others | {f"{stem}.weight": torch.cat([state[key] for key in apart])}


def _our_name(key: str, flavour: Flavour) -> str:
    """Our name of one key, or the key itself if the table does not know it."""
    number = _FIRST_NUMBER.search(key)
    table = _table(flavour)
    module, _, leaf = key.rpartition(".")
    for candidate, ending in ((key, ""), (module, f".{leaf}")):
        if ending not in _ENDINGS:
            continue
        if candidate in table:
            return table[candidate] + ending
        layer = _FIRST_NUMBER.sub("{n}", f"{candidate}.", count=1)[:-1]
        if number and layer in table:
            return table[layer].format(n=number[0]) + ending
    return key


@cache
def _table(flavour: Flavour) -> dict[str, str]:
    """The table's rows by the names of one flavour."""
    if flavour is Flavour.META:
        return {row.meta: row.ours for row in KEY_TABLE}
    return {row.hugging_face: row.ours for row in KEY_TABLE}
