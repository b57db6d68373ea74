"""From features and prompts to masks (SAM, section 3; SAM 2, section 4 and appendix D)."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from medsam2.network.layers import MLP, LayerNorm2d
from medsam2.network.outputs import ChosenMask, ImageFeatures, MaskPrediction
from medsam2.network.position import FourierPosition
from medsam2.network.two_way_transformer import TwoWayTransformer

CANDIDATES = 4
"""One mask for a clear prompt and three for an ambiguous one."""

IOU_HIDDEN = 256
STABILITY_OFFSET = 0.05
STABILITY_THRESHOLD = 0.98
"""The mask for a clear prompt is trusted if moving the threshold by +-0.05 keeps 98 % of it (SAM 2's predictor)."""


class FineLayer(nn.Module):
    """Two convolutions on the stride-4 map beside a way past them: where exactly an edge runs is a local matter.

    Not in SAM 2, whose decoder mixes no neighbours at its finest map; the starter has them (`fine_layers`).

    Args:
        width: channels of the map.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = LayerNorm2d(width)
        self.spread = nn.Conv2d(width, 2 * width, kernel_size=3, padding=1)
        self.gather = nn.Conv2d(2 * width, width, kernel_size=3, padding=1)

    def forward(self, fine: Tensor) -> Tensor:
        """(B, C, H, W) -> the same."""
        mixed: Tensor = self.gather(F.gelu(self.spread(self.norm(fine))))
        return fine + mixed


class MaskDecoder(nn.Module):
    """Predicts four candidate masks, their quality, and whether the object is there at all."""

    def __init__(self, width: int, feedforward: int, fine_layers: int = 0) -> None:
        super().__init__()
        self.transformer = TwoWayTransformer(width, feedforward)
        self.object_score_token = nn.Embedding(1, width)
        self.iou_token = nn.Embedding(1, width)
        self.mask_tokens = nn.Embedding(CANDIDATES, width)
        self.skip4 = nn.Conv2d(width, width // 8, kernel_size=1)
        self.skip8 = nn.Conv2d(width, width // 4, kernel_size=1)
        self.upscale8 = nn.ConvTranspose2d(width, width // 4, kernel_size=2, stride=2)
        self.upscale_norm = LayerNorm2d(width // 4)
        self.upscale4 = nn.ConvTranspose2d(width // 4, width // 8, kernel_size=2, stride=2)
        self.fine_layers = nn.Sequential(*(FineLayer(width // 8) for _ in range(fine_layers)))
        self.mask_heads = nn.ModuleList(MLP((width, width, width, width // 8)) for _ in range(CANDIDATES))
        self.iou_head = MLP((width, IOU_HIDDEN, IOU_HIDDEN, CANDIDATES))
        self.object_score_head = MLP((width, width, width, 1))

    def skips(self, stride4: Tensor, stride8: Tensor) -> tuple[Tensor, Tensor]:
        """The neck's fine maps, reduced once per frame to what `forward` adds: (F, C / 8, ...), (F, C / 4, ...)."""
        return self.skip4(stride4), self.skip8(stride8)

    def forward(
        self, features: ImageFeatures, sparse: Tensor, dense: Tensor, position: FourierPosition
    ) -> MaskPrediction:
        """Decode B objects.

        Args:
            features: of B frames, stride 16 conditioned on memory; one frame is shared if F = 1.
            sparse: (B, N, C) prompt tokens.
            dense: (B, C, h, w) dense prompt embedding.
            position: encodes the grid's cells as it encoded the clicks.
        """
        own = (self.object_score_token.weight, self.iou_token.weight, self.mask_tokens.weight)
        tokens = torch.cat((torch.cat(own).expand(len(sparse), -1, -1), sparse), dim=1)
        grid = position.grid(*dense.shape[-2:]).to(dense.dtype)
        tokens, image = self.transformer(tokens, features.stride16 + dense, grid)
        mask_tokens = tokens[:, 2 : 2 + CANDIDATES]
        iou: Tensor = self.iou_head(tokens[:, 1])
        score: Tensor = self.object_score_head(tokens[:, 0])
        return MaskPrediction(
            logits=self._masks(features, image, mask_tokens),
            iou=iou.sigmoid(),
            tokens=mask_tokens,
            object_score=score[:, 0],
        )

    def _masks(self, features: ImageFeatures, image: Tensor, mask_tokens: Tensor) -> Tensor:
        """(B, M, 4h, 4w): each mask token's filter over the upscaled image."""
        fine = F.gelu(self.upscale_norm(self.upscale8(image) + features.stride8))
        fine = self.fine_layers(F.gelu(self.upscale4(fine) + features.stride4))
        filters = torch.stack([head(mask_tokens[:, m]) for m, head in enumerate(self.mask_heads)], dim=1)
        return (filters @ fine.flatten(2)).unflatten(2, fine.shape[-2:])


def choose_mask(prediction: MaskPrediction, ambiguous: Tensor, prefer_stable: bool = True) -> ChosenMask:
    """Choose one candidate for each object, as SAM 2's predictor does.

    An ambiguous prompt (at most one click) takes the candidate among 1..3 with the best estimated quality; a clear one
    takes candidate 0, or, if that is not stable, the mask and quality of the best among 1..3. The token stays that of
    the candidate that the prompt calls for.

    Args:
        prediction: of B objects.
        ambiguous: (B,) bool.
        prefer_stable: fall back from an unstable candidate 0 (off while training).
    """
    best = prediction.iou[:, 1:].argmax(dim=1) + 1
    called_for = torch.where(ambiguous, best, 0)
    shown = called_for
    if prefer_stable:
        shown = torch.where(ambiguous | _is_stable(prediction.logits[:, 0]), called_for, best)
    rows = torch.arange(len(best), device=best.device)
    return ChosenMask(prediction.logits[rows, shown], prediction.iou[rows, shown], prediction.tokens[rows, called_for])


def agree_on_mask(prediction: MaskPrediction) -> ChosenMask:
    """The mean of all candidates of each object: their logits, estimates and tokens."""
    return ChosenMask(prediction.logits.mean(1), prediction.iou.mean(1), prediction.tokens.mean(1))


def _is_stable(logits: Tensor) -> Tensor:
    """Whether a mask hardly depends on the threshold: (B, H, W) -> (B,) bool. An empty mask is stable."""
    inner = (logits > STABILITY_OFFSET).flatten(1).sum(1).float()
    outer = (logits > -STABILITY_OFFSET).flatten(1).sum(1).float()
    return torch.where(outer > 0, inner / outer, 1.0) >= STABILITY_THRESHOLD
