"""SAM 2 as Hugging Face transformers implements it, with random weights: what medsam2's network is compared with."""

from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import (
    Sam2Config,
    Sam2HieraDetConfig,
    Sam2MaskDecoderConfig,
    Sam2Model,
    Sam2PromptEncoderConfig,
    Sam2VideoConfig,
    Sam2VideoInferenceSession,
    Sam2VideoMaskDecoderConfig,
    Sam2VideoModel,
    Sam2VideoPromptEncoderConfig,
    Sam2VisionConfig,
)

from medsam2.engine.track import NetworkPrompt
from medsam2.network import NetworkConfig, Sam2Network
from medsam2.weights.keys import rename
from reference.random_weights import randomise

SMALL = NetworkConfig(
    embedding_width=16,
    heads=1,
    depths=(1, 2, 3, 2),
    global_blocks=(4,),
    width=128,
    feedforward=96,
    memory_layers=2,
    size=128,
)
"""SAM 2.1's structure, small; two pointer tokens a pointer, windows that do not divide the grids."""

SMALL_UNTIMED = NetworkConfig(
    embedding_width=16,
    heads=2,
    depths=(2, 1, 2, 1),
    global_blocks=(4,),
    windows=(8, 4, 16, 8),
    position_grid=14,
    width=128,
    feedforward=96,
    memory_layers=1,
    timed_memory=False,
    size=128,
)
"""SAM 2.0's structure, small."""


LOUDNESS_OF_MASKS = 6.0


@dataclass(frozen=True)
class Pair:
    """The same weights twice: transformers' model and medsam2's network."""

    reference: Sam2VideoModel
    network: Sam2Network


@torch.no_grad()
def build_pair(config: NetworkConfig, size: int, seed: int = 0, score_bias: float = 0.0) -> Pair:
    """Both implementations with the same random weights.

    Args:
        config: the network.
        size: the input side that transformers' model is made for.
        seed: of the weights.
        score_bias: added to the object score.
    """
    torch.manual_seed(seed)
    reference = Sam2VideoModel(video_config(config, size)).eval()
    randomise(reference, seed)
    # In random weights a mask hardly counts beside the image when both become a memory; in trained ones it does.
    reference.memory_encoder.mask_downsampler.final_conv.weight *= LOUDNESS_OF_MASKS
    reference.mask_decoder.pred_obj_score_head.proj_out.bias += score_bias
    # One set of frequencies in SAM 2; transformers keeps two copies.
    shared = reference.shared_image_embedding.positional_embedding
    reference.prompt_encoder.shared_embedding.positional_embedding.copy_(shared)
    network = Sam2Network(config).eval()
    network.load_state_dict(rename(reference.state_dict(), config))
    return Pair(reference, network)


def image_model(pair: Pair) -> Sam2Model:
    """Transformers' model for single images, with the weights of `pair`."""
    config = pair.reference.config
    model = Sam2Model(
        Sam2Config(
            vision_config=config.vision_config,
            prompt_encoder_config=Sam2PromptEncoderConfig(
                hidden_size=config.prompt_encoder_config.hidden_size,
                image_size=config.prompt_encoder_config.image_size,
            ),
            mask_decoder_config=Sam2MaskDecoderConfig(
                hidden_size=config.mask_decoder_config.hidden_size,
                mlp_dim=config.mask_decoder_config.mlp_dim,
            ),
        )
    ).eval()
    missing = model.load_state_dict(pair.reference.state_dict(), strict=False).missing_keys
    if missing:
        raise RuntimeError(f"the video model lacks {missing}")
    return model


def vision_config(config: NetworkConfig, size: int) -> Sam2VisionConfig:
    """Transformers' settings of the image encoder."""
    widths = [config.embedding_width * 2**stage for stage in range(4)]
    return Sam2VisionConfig(
        backbone_config=Sam2HieraDetConfig(
            hidden_size=config.embedding_width,
            num_attention_heads=config.heads,
            image_size=[size, size],
            blocks_per_stage=list(config.depths),
            embed_dim_per_stage=widths,
            num_attention_heads_per_stage=[config.heads * 2**stage for stage in range(4)],
            window_size_per_stage=list(config.windows),
            global_attention_blocks=list(config.global_blocks),
            window_positional_embedding_background_size=[config.position_grid, config.position_grid],
        ),
        backbone_channel_list=widths[::-1],
        backbone_feature_sizes=[[size // stride, size // stride] for stride in (4, 8, 16)],
        fpn_hidden_size=config.width,
    )


def video_config(config: NetworkConfig, size: int) -> Sam2VideoConfig:
    """Transformers' settings of the whole video model."""
    return Sam2VideoConfig(
        vision_config=vision_config(config, size),
        prompt_encoder_config=Sam2VideoPromptEncoderConfig(hidden_size=config.width, image_size=size),
        mask_decoder_config=Sam2VideoMaskDecoderConfig(hidden_size=config.width, mlp_dim=config.feedforward),
        image_size=size,
        enable_occlusion_spatial_embedding=config.timed_memory,
        enable_temporal_pos_encoding_for_object_pointers=config.timed_memory,
        memory_attention_hidden_size=config.width,
        memory_attention_num_layers=config.memory_layers,
        memory_attention_feed_forward_hidden_size=config.feedforward,
        memory_attention_rope_feat_sizes=[size // 16, size // 16],
        memory_encoder_hidden_size=config.width,
        mask_downsampler_embed_dim=config.width,
        memory_fuser_embed_dim=config.width,
        memory_fuser_intermediate_dim=4 * config.width,
    )


class Session:
    """One inference session of transformers' video model, used as its users do."""

    def __init__(self, model: Sam2VideoModel, frames: Tensor) -> None:
        size = frames.shape[-1]
        self.model = model
        self.session = Sam2VideoInferenceSession(frames, video_height=size, video_width=size, dtype=frames.dtype)

    def add(self, name: int, frame: int, prompt: NetworkPrompt) -> None:
        """Prompt the object called `name`."""
        index = self.session.obj_id_to_idx(name)
        if prompt.drawn is not None:
            self.session.add_mask_inputs(index, frame, prompt.drawn[None])
        else:
            inputs = {"point_coords": prompt.points[None, None], "point_labels": prompt.kinds[None, None].int()}
            self.session.add_point_inputs(index, frame, inputs)
        self.session.obj_with_new_inputs.append(name)

    def prompt(self, frame: int) -> Tensor:
        """Segment the frame that was just prompted: logits (B, S / 4, S / 4)."""
        return self.model(self.session, frame_idx=frame).pred_masks[:, 0]

    def propagate(self, start: int, reverse: bool) -> dict[int, Tensor]:
        """Logits (B, S / 4, S / 4) by frame."""
        outputs = self.model.propagate_in_video_iterator(self.session, start, reverse=reverse)
        return {output.frame_idx: output.pred_masks[:, 0] for output in outputs}

    def remembered(self, name: int, frame: int) -> dict[str, Tensor]:
        """What the session keeps of a prompted frame."""
        return self.session.output_dict_per_obj[self.session.obj_id_to_idx(name)]["cond_frame_outputs"][frame]

    @torch.inference_mode()
    def correct(self, name: int, frame: int, prompt: NetworkPrompt, previous: Tensor) -> Tensor:
        """Logits (1, S / 4, S / 4) of a frame that was segmented before, from clicks and the `previous` logits."""
        inputs = {"point_coords": prompt.points[None, None], "point_labels": prompt.kinds[None, None].int()}
        output = self.model._run_single_frame_inference(
            self.session,
            frame_idx=frame,
            obj_idx=self.session.obj_id_to_idx(name),
            batch_size=1,
            is_init_cond_frame=False,
            point_inputs=inputs,
            mask_inputs=None,
            reverse=False,
            prev_sam_mask_logits=previous[None],
        )
        return output["pred_masks"][:, 0]
