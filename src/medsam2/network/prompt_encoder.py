"""Clicks, boxes and masks as tokens and dense embeddings (SAM, section 3; SAM 2, section 4)."""

import torch
from torch import Tensor, nn

from medsam2.network.config import STRIDE
from medsam2.network.layers import LayerNorm2d
from medsam2.network.outputs import FramePrompt, PointKind
from medsam2.network.position import FourierPosition

MASK_STRIDE = 4
"""Pixels a side of one cell of a mask prompt."""

DRAWN_LEVEL = 6.0
"""Logit with which a click or the inside of a box is drawn (about .998 as a probability)."""

CLICK_RADIUS = 6.0
"""Standard deviation in pixels of a drawn click."""


class PromptEncoder(nn.Module):
    """Embeds the prompts of a frame.

    Args:
        width: channels of the embeddings.
        drawn_prompts: clicks and boxes are also drawn, as soft logits, into the dense prompt and into the decoder's
            fine maps (not in SAM 2; a small network learns where a prompt is much faster so).
    """

    def __init__(self, width: int, drawn_prompts: bool) -> None:
        super().__init__()
        self.drawn_prompts = drawn_prompts
        self.position = FourierPosition(width)
        self.kinds = nn.Embedding(len(PointKind) - 1, width)
        self.padding = nn.Embedding(1, width)
        self.no_mask = nn.Embedding(1, width)
        self.mask_encoder = nn.Sequential(
            nn.Conv2d(1, 4, kernel_size=2, stride=2),
            LayerNorm2d(4),
            nn.GELU(),
            nn.Conv2d(4, 16, kernel_size=2, stride=2),
            LayerNorm2d(16),
            nn.GELU(),
            nn.Conv2d(16, width, kernel_size=1),
        )
        if drawn_prompts:
            self.drawing4 = nn.Conv2d(1, width // 8, kernel_size=3, padding=1)
            self.drawing8 = nn.Conv2d(1, width // 4, kernel_size=4, stride=2, padding=1)

    def forward(self, prompt: FramePrompt, size: int) -> tuple[Tensor, Tensor]:
        """Embed the prompts of B objects on one frame.

        Args:
            prompt: clicks and box corners in network pixels; mask logits at stride 4.
            size: S, the input side.

        Returns:
            Sparse tokens (B, N + 1, C): each point, and one padding token as SAM appends it; and the dense
            embedding (B, C, S / 16, S / 16).
        """
        return self._points(prompt, size), self._dense(prompt, size)

    def _points(self, prompt: FramePrompt, size: int) -> Tensor:
        pad = prompt.kinds.new_full((len(prompt.kinds), 1), PointKind.PADDING)
        kinds = torch.cat((prompt.kinds, pad), dim=1)
        points = torch.cat((prompt.points, prompt.points.new_zeros(len(kinds), 1, 2)), dim=1)
        # A click on a pixel means its centre.
        position = self.position((points + 0.5) / size)
        is_padding = (kinds == PointKind.PADDING)[..., None]
        table = torch.cat((self.kinds.weight, self.padding.weight))
        return torch.where(is_padding, 0.0, position).to(table.dtype) + table[kinds]

    def fine(self, prompt: FramePrompt, size: int) -> tuple[Tensor, Tensor] | None:
        """What to add to the decoder's maps at strides 4 and 8, (B, C / 8, ...) and (B, C / 4, ...); None in SAM 2."""
        if not self.drawn_prompts:
            return None
        drawing = (self._drawing(prompt, size) / DRAWN_LEVEL).tanh().to(self.no_mask.weight.dtype)
        given = _given(prompt).to(drawing.dtype)
        return self.drawing4(drawing) * given, self.drawing8(drawing) * given

    def _dense(self, prompt: FramePrompt, size: int) -> Tensor:
        grid = size // STRIDE
        none = self.no_mask.weight[:, :, None, None].expand(len(prompt.kinds), -1, grid, grid)
        dtype = self.no_mask.weight.dtype
        if not self.drawn_prompts:
            return none if prompt.mask is None else self.mask_encoder(prompt.mask.to(dtype))
        return torch.where(_given(prompt), self.mask_encoder(self._drawing(prompt, size).to(dtype)), none)

    def _drawing(self, prompt: FramePrompt, size: int) -> Tensor:
        """The prompts as one soft mask, (B, 1, S / 4, S / 4)."""
        drawing = draw(prompt, size // MASK_STRIDE)
        return drawing if prompt.mask is None else drawing + prompt.mask.float()


def _given(prompt: FramePrompt) -> Tensor:
    """Whether an object has any prompt at all: (B, 1, 1, 1) bool."""
    given = (prompt.kinds != PointKind.PADDING).any(1)
    return (given if prompt.mask is None else torch.ones_like(given))[:, None, None, None]


def draw(prompt: FramePrompt, cells: int) -> Tensor:
    """Clicks as soft spots and boxes as filled rectangles: logits (B, 1, cells, cells) at stride 4."""
    centre = torch.arange(cells, device=prompt.points.device) * MASK_STRIDE + (MASK_STRIDE - 1) / 2
    x, y = prompt.points[..., 0], prompt.points[..., 1]
    near_x = torch.exp(-((centre - x[..., None]) ** 2) / (2 * CLICK_RADIUS**2))
    near_y = torch.exp(-((centre - y[..., None]) ** 2) / (2 * CLICK_RADIUS**2))
    sign = (prompt.kinds == PointKind.POSITIVE).float() - (prompt.kinds == PointKind.NEGATIVE).float()
    clicks = torch.einsum("bn,bny,bnx->byx", sign, near_y, near_x)
    return DRAWN_LEVEL * (clicks + _draw_boxes(prompt, centre))[:, None]


def _draw_boxes(prompt: FramePrompt, centre: Tensor) -> Tensor:
    """1 inside a box, -1 outside, 0 for objects without one: (B, cells, cells)."""
    first = (prompt.kinds == PointKind.BOX_FIRST).float()[..., None]
    last = (prompt.kinds == PointKind.BOX_LAST).float()[..., None]
    low = (prompt.points * first).sum(1)[..., None]
    high = (prompt.points * last).sum(1)[..., None]
    inside = (centre >= low - MASK_STRIDE / 2) & (centre <= high + MASK_STRIDE / 2)
    filled = 2.0 * (inside[:, 1, :, None] & inside[:, 0, None, :]).float() - 1.0
    return filled * first.sum(1)[..., None]
