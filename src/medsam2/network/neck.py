"""The feature pyramid behind the trunk (SAM 2, appendix D)."""

from torch import Tensor, nn
from torch.nn import functional as F


class Neck(nn.Module):
    """Brings the trunk's stages to one width; strides 16 and 32 are fused top-down, 4 and 8 are skips.

    Args:
        stage_widths: channels of the trunk's four stages, finest first.
        width: channels out.
    """

    def __init__(self, stage_widths: list[int], width: int) -> None:
        super().__init__()
        self.laterals = nn.ModuleList(nn.Conv2d(stage, width, kernel_size=1) for stage in stage_widths)

    def forward(self, stages: list[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """Four maps, finest first -> maps at strides 4, 8 and 16, each (B, width, ., .)."""
        stride4, stride8, stride16, stride32 = (
            lateral(stage) for lateral, stage in zip(self.laterals, stages, strict=True)
        )
        return stride4, stride8, stride16 + F.interpolate(stride32, scale_factor=2.0, mode="nearest")
