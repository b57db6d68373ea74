"""From a mask and its frame to a memory (SAM 2, section 4 and appendix D)."""

import torch
from torch import Tensor, nn

from medsam2.network.config import MEMORY_CHANNELS
from medsam2.network.layers import LayerNorm2d

MASK_SCALE, MASK_BIAS = 20.0, -10.0
"""Mask probabilities [0, 1] become [-10, 10] before they are encoded (SAM 2's released configuration)."""

FUSER_LAYERS = 2
LAYER_SCALE = 1e-6
"""First value of the residual gain (ConvNeXt, Liu et al. 2022)."""


class MaskDownsampler(nn.Sequential):
    """Four strided convolutions bring a mask to stride 16: (B, 1, S, S) -> (B, C, h, w)."""

    def __init__(self, width: int) -> None:
        layers: list[nn.Module] = []
        for channels in (1, 4, 16, 64):
            layers += [nn.Conv2d(channels, 4 * channels, kernel_size=3, stride=2, padding=1)]
            layers += [LayerNorm2d(4 * channels), nn.GELU()]
        super().__init__(*layers, nn.Conv2d(256, width, kernel_size=1))


class FuserBlock(nn.Module):
    """A ConvNeXt block: a wide depth-wise convolution and a channel MLP, scaled and added."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(width, width, kernel_size=7, padding=3, groups=width)
        self.norm = LayerNorm2d(width)
        self.expand = nn.Linear(width, 4 * width)
        self.contract = nn.Linear(4 * width, width)
        self.gain = nn.Parameter(torch.full((width,), LAYER_SCALE))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, h, w) -> the same."""
        y = self.norm(self.depthwise(x)).movedim(1, -1)
        y = self.contract(nn.functional.gelu(self.expand(y)))
        return x + (self.gain * y).movedim(-1, 1)


class MemoryEncoder(nn.Module):
    """Fuses a frame's features with the mask that was found there."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.mask_downsampler = MaskDownsampler(width)
        self.feature_projection = nn.Conv2d(width, width, kernel_size=1)
        self.fuser = nn.Sequential(*(FuserBlock(width) for _ in range(FUSER_LAYERS)))
        self.projection = nn.Conv2d(width, MEMORY_CHANNELS, kernel_size=1)

    def forward(self, features: Tensor, mask: Tensor) -> Tensor:
        """Encode a memory.

        Args:
            features: (B or 1, C, h, w), the frame before memory attention.
            mask: (B, 1, S, S) probabilities in [0, 1].

        Returns:
            (B, 64, h, w).
        """
        mask = self.mask_downsampler((mask * MASK_SCALE + MASK_BIAS).to(features.dtype))
        out: Tensor = self.projection(self.fuser(self.feature_projection(features) + mask))
        return out
