"""SAM 2 in plain PyTorch (Ravi et al. 2024, arXiv 2408.00714): the parts, and the verbs that compose them."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Self

import torch
from torch import Tensor, nn

from medsam2.errors import ShapeError
from medsam2.network.config import MEMORY_CHANNELS, NetworkConfig, check_size
from medsam2.network.hiera import Hiera
from medsam2.network.layers import MLP
from medsam2.network.mask_decoder import MaskDecoder
from medsam2.network.memory_attention import MemoryAttention
from medsam2.network.memory_encoder import MemoryEncoder
from medsam2.network.memory_tokens import MemoryLayout
from medsam2.network.neck import Neck
from medsam2.network.outputs import FramePrompt, ImageFeatures, MaskPrediction, MemorySelection
from medsam2.network.prompt_encoder import PromptEncoder

RGB = 3

FeatureMaps = tuple[Tensor, Tensor, Tensor]
"""The maps of `ImageFeatures`, finest first."""


class Sam2Network(nn.Module):
    """The SAM 2 network.

    The verbs in the order of use: `encode_image`, `condition`, `decode`, `point_to_object`, `encode_memory`. The
    chain itself, with its choices, is `medsam2.engine.step`.

    Example:
        >>> import torch
        >>> from medsam2.network import FramePrompt, NetworkConfig, Sam2Network
        >>> network = Sam2Network(NetworkConfig.preset("starter")).eval()
        >>> features = network.encode_image(torch.zeros(1, 1, 64, 64))
        >>> network.decode(network.condition(features, None), FramePrompt.none(1)).logits.shape
        torch.Size([1, 4, 16, 16])
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        self.compiled_maps: Callable[[Tensor], FeatureMaps] | None = None
        """Computes `maps` in their place in inference: the same encoder, compiled elsewhere for this processor."""
        width = config.width
        self.image_encoder = Hiera(config)
        self.neck = Neck(self.image_encoder.widths, width)
        self.prompt_encoder = PromptEncoder(width, config.drawn_prompts)
        self.mask_decoder = MaskDecoder(width, config.feedforward, config.fine_layers)
        self.memory_layout = MemoryLayout(width, config.timed_memory)
        self.memory_attention = MemoryAttention(width, config.feedforward, config.memory_layers)
        self.memory_encoder = MemoryEncoder(width)
        self.no_memory = nn.Parameter(torch.zeros(1, width, 1, 1))
        self.pointer_head = MLP((width, width, width, width))
        self.no_object_pointer = nn.Parameter(torch.zeros(1, width))
        # Brings a drawn mask to stride 4 and to the scale of logits, so that it can prompt for an object pointer.
        self.mask_to_logits = nn.Conv2d(1, 1, kernel_size=4, stride=4)
        self.no_object_memory = nn.Parameter(torch.zeros(1, MEMORY_CHANNELS)) if config.timed_memory else None

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.no_memory.device

    @property
    def dtype(self) -> torch.dtype:
        """The precision of features, prompts and masks."""
        return self.no_memory.dtype

    @property
    def precision(self) -> torch.dtype:
        """The precision of image encoder, memory encoder and memory attention: of nearly all of the arithmetic."""
        return self.image_encoder.position_grid.dtype

    def in_precision(self, precision: torch.dtype) -> Self:
        """Convert image encoder, memory encoder and memory attention in place.

        What is small stays in float32: in prompts, mask decoder and pointers rounding costs masks and gains no time.
        """
        for part in (self.image_encoder, self.neck, self.memory_layout, self.memory_attention, self.memory_encoder):
            part.to(precision)
        return self

    def encode_image(self, images: Tensor) -> ImageFeatures:
        """Encode frames.

        Args:
            images: (F, 3, S, S) or (F, 1, S, S), normalised with the ImageNet mean and standard deviation; S is a
                multiple of 32.

        Raises:
            ShapeError: the images are not square, or have neither one channel nor three.
            ConfigurationError: S is not a multiple of 32.
        """
        if images.ndim != 4 or images.shape[1] not in (1, RGB) or images.shape[2] != images.shape[3]:
            raise ShapeError(
                f"images have shape {tuple(images.shape)}; expected (frames, 1 or 3 channels, S, S), square"
            )
        check_size(images.shape[-1])
        maps = self.maps if self.compiled_maps is None or torch.is_grad_enabled() else self.compiled_maps
        return ImageFeatures(*maps(images.expand(-1, RGB, -1, -1)))

    def maps(self, images: Tensor) -> FeatureMaps:
        """Encode frames (F, 3, S, S): trunk, neck, and what the mask decoder takes of the fine maps."""
        stages = self.image_encoder(images.to(self.precision))
        stride4, stride8, stride16 = map(self._widen, self.neck(stages))
        return *self.mask_decoder.skips(stride4, stride8), stride16

    def condition(self, features: ImageFeatures, memory: Sequence[MemorySelection] | None) -> ImageFeatures:
        """Let each object's frame attend to the object's memories.

        Args:
            features: of one frame, shared, or of B frames.
            memory: one selection an object, all of one layout; None for a frame that has no past.

        Returns:
            Features of B frames, stride 16 conditioned (of one shared frame, if there is no memory).
        """
        if memory is None:
            return replace(features, stride16=features.stride16 + self.no_memory)
        conditioned = self._widen(self.memory_attention(self._narrow(features.stride16), self.memory_layout(memory)))
        if len(features) == 1:
            features = features.expand(len(memory))
        return replace(features, stride16=conditioned)

    def decode(self, features: ImageFeatures, prompt: FramePrompt) -> MaskPrediction:
        """Predict the masks of B objects from conditioned features (of B frames, or one shared) and prompts."""
        sparse, dense = self.prompt_encoder(prompt, features.size)
        if (fine := self.prompt_encoder.fine(prompt, features.size)) is not None:
            features = replace(features, stride4=features.stride4 + fine[0], stride8=features.stride8 + fine[1])
        prediction: MaskPrediction = self.mask_decoder(features, sparse, dense, self.prompt_encoder.position)
        return prediction

    def point_to_object(self, token: Tensor, present: Tensor) -> Tensor:
        """The object pointers (B, C) of mask tokens (B, C); a fixed one where the object is not `present` (B,)."""
        here = present[:, None].to(token.dtype)
        pointer: Tensor = here * self.pointer_head(token) + (1 - here) * self.no_object_pointer
        return pointer

    def encode_memory(self, features: ImageFeatures, mask: Tensor, present: Tensor) -> Tensor:
        """Encode what was found on a frame.

        Args:
            features: of the frame (shared) or of B frames, before any memory.
            mask: (B, 1, S, S) mask probabilities in [0, 1].
            present: (B,) bool, whether the object is on the frame.

        Returns:
            Spatial memories (B, 64, h, w).
        """
        memory: Tensor = self._widen(self.memory_encoder(self._narrow(features.stride16), mask))
        if self.no_object_memory is not None:
            absent = 1 - present.to(memory.dtype)
            memory = memory + absent[:, None, None, None] * self.no_object_memory[..., None, None]
        return memory

    def _narrow(self, features: Tensor) -> Tensor:
        """From the precision of the masks to that of the encoder."""
        return features if self.precision == self.dtype else features.to(self.precision)

    def _widen(self, features: Tensor) -> Tensor:
        """From the precision of the encoder to that of the masks. Where both are one, autocast may have its own."""
        return features if self.precision == self.dtype else features.to(self.dtype)
