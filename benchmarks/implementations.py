"""The implementations that are compared, behind one verb: segment these slices from these prompts."""

import hashlib
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from copy import deepcopy
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import get_args
from unittest.mock import patch

import torch
from torch import Tensor, nn

from benchmarks.cases import Case
from medsam2.engine.propagate import propagate
from medsam2.engine.track import Track
from medsam2.memory import FifoBank
from medsam2.network import NetworkConfig, Sam2Network
from medsam2.network.config import PRESETS, Precision
from medsam2.weights.keys import to_our_names
from medsam2.weights.openvino_encoder import OpenVinoEncoder, openvino_is_installed

# The tests build transformers' model with the same random weights; a benchmark of other weights would prove less.
sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from reference.sam2_transformers import Session, build_pair  # type: ignore[import-not-found]

OURS, COMPILED, TRANSFORMERS, META = "medsam2", "medsam2-openvino", "transformers", "sam2"

META_FILES = {
    "sam2.1-hiera-tiny": "sam2.1_hiera_t",
    "sam2.1-hiera-small": "sam2.1_hiera_s",
    "sam2.1-hiera-base-plus": "sam2.1_hiera_b+",
    "sam2.1-hiera-large": "sam2.1_hiera_l",
}
"""Names of Meta's configurations."""

META_SETTINGS = (
    "sam_mask_decoder_extra_args.dynamic_multimask_via_stability=true",
    "sam_mask_decoder_extra_args.dynamic_multimask_stability_delta=0.05",
    "sam_mask_decoder_extra_args.dynamic_multimask_stability_thresh=0.98",
    "binarize_mask_from_pts_for_mem_enc=true",
)
"""What Meta's predictor sets for videos, but for filling holes, which is no part of the network."""

Segment = Callable[[Case, Tensor], Tensor]
"""From a case and its frames (T, 3, S, S) to mask logits (T, B, S / 4, S / 4) float32."""


@dataclass(frozen=True)
class Implementation:
    """One of those that are compared.

    Attributes:
        name: of the package.
        segment: does the work.
    """

    name: str
    segment: Segment


@dataclass(frozen=True)
class TensorFrames:
    """Frames that are there already; reading and resizing is nobody's work here."""

    frames: Tensor

    @property
    def frame_shape(self) -> tuple[int, int]:
        """The network's square."""
        return self.frames.shape[-2], self.frames.shape[-1]

    def __len__(self) -> int:
        return len(self.frames)

    def frame(self, t: int) -> Tensor:
        """(3, S, S)."""
        return self.frames[t]

    def through(self, _region: object) -> "TensorFrames":
        """No network here looks at parts of a frame."""
        return self


def implementations(config: NetworkConfig, size: int) -> list[Implementation]:
    """All that are installed, with the same random weights; the first one is ours."""
    pair = build_pair(config, size)
    for model in (pair.network, pair.reference):
        model.requires_grad_(False)
    found = [Implementation(OURS, _ours(pair.network, compiled=False))]
    if openvino_is_installed():
        found.append(Implementation(COMPILED, _ours(pair.network, compiled=True)))
    found.append(Implementation(TRANSFORMERS, _transformers(pair.reference)))
    if find_spec("sam2") and _preset_name(config) in META_FILES:
        found.append(Implementation(META, _meta(pair.network, size)))
    return found


def _ours(network: Sam2Network, *, compiled: bool) -> Segment:
    precisions: tuple[Precision, ...] = get_args(Precision)
    converted = {name: deepcopy(network).in_precision(getattr(torch, name)) for name in precisions}
    for one in converted.values() if compiled else ():
        one.compiled_maps = OpenVinoEncoder(one, _sha256(one))

    def segment(case: Case, frames: Tensor) -> Tensor:
        tracks = [Track(FifoBank(), {case.start: prompt}) for prompt in case.prompts()]
        found = _no_logits(case)
        for results in propagate(converted[case.precision], TensorFrames(frames), tracks):
            for one in results:
                found[one.frame, one.track] = one.logits
        return found

    return segment


def _sha256(network: Sam2Network) -> str:
    digest = hashlib.sha256()
    for tensor in network.state_dict().values():
        digest.update(tensor.float().numpy().tobytes())
    return digest.hexdigest()


def _transformers(model: nn.Module) -> Segment:
    def segment(case: Case, frames: Tensor) -> Tensor:
        found = _no_logits(case)
        with torch.inference_mode(), _autocast(case):
            session = Session(model, frames)
            for name, prompt in enumerate(case.prompts()):
                session.add(name, case.start, prompt)
            session.prompt(case.start)
            for reverse in (False, True):
                for frame, logits in session.propagate(case.start, reverse).items():
                    found[frame] = logits.float()
        return found

    return segment


def _meta(network: Sam2Network, size: int) -> Segment:
    from sam2.build_sam import build_sam2_video_predictor  # type: ignore[import-not-found]

    cells = size // 16
    grids = [
        f"memory_attention.layer.{attention}.feat_sizes=[{cells},{cells}]"
        for attention in ("self_attention", "cross_attention")
    ]
    settings = [f"++model.{one}" for one in (*META_SETTINGS, f"image_size={size}", *grids)]
    predictor = build_sam2_video_predictor(
        f"configs/sam2.1/{META_FILES[_preset_name(network.config)]}.yaml",
        device="cpu",
        hydra_overrides_extra=settings,
        apply_postprocessing=False,
    )
    _give_weights(predictor, network)

    def segment(case: Case, frames: Tensor) -> Tensor:
        found = _no_logits(case)
        # Slices that are there already, and masks as the network gives them: at stride 4.
        loaded = (frames, case.size // 4, case.size // 4)
        with (
            torch.inference_mode(),
            _autocast(case),
            patch("sam2.sam2_video_predictor.load_video_frames", lambda **_: loaded),
            patch("sam2.sam2_video_predictor.tqdm", lambda order, **_: order),
        ):
            state = predictor.init_state("")
            for name, prompt in enumerate(case.prompts()):
                points = prompt.points / case.size
                predictor.add_new_points_or_box(
                    state, case.start, name, points, prompt.kinds.int(), normalize_coords=False
                )
            for reverse in (False, True):
                for frame, _, logits in predictor.propagate_in_video(state, case.start, reverse=reverse):
                    found[frame] = logits[:, 0].float()
        return found

    return segment


@torch.no_grad()
def _give_weights(predictor: nn.Module, network: Sam2Network) -> None:
    """Write our weights into Meta's model: the key table gives views of its parameters under our names."""
    theirs, ours = predictor.state_dict(), network.state_dict()
    for name, view in to_our_names(theirs).items():
        view.copy_(ours[name])
    for kind, embedding in enumerate(ours["prompt_encoder.kinds.weight"]):  # those are apart there
        theirs[f"sam_prompt_encoder.point_embeddings.{kind}.weight"].copy_(embedding[None])


def _preset_name(config: NetworkConfig) -> str:
    return next((name for name, preset in PRESETS.items() if preset == config), "")


def _no_logits(case: Case) -> Tensor:
    return torch.full((case.slices, case.objects, case.size // 4, case.size // 4), torch.nan)


def _autocast(case: Case) -> AbstractContextManager[object]:
    return torch.autocast("cpu", torch.bfloat16) if case.precision == "bfloat16" else nullcontext()
