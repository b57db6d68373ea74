"""The decoder's transformer: tokens attend to the image and the image to the tokens (SAM, appendix A)."""

from torch import Tensor, nn

from medsam2.network.layers import MLP, attend, merge_heads, split_heads

HEADS = 8
DEPTH = 2
CROSS_ATTENTION_REDUCTION = 2
"""Cross-attention works at half the width."""


class Attention(nn.Module):
    """Attention with its own projections, at `width / reduction` channels within."""

    def __init__(self, width: int, reduction: int = 1) -> None:
        super().__init__()
        inner = width // reduction
        self.query = nn.Linear(width, inner)
        self.key = nn.Linear(width, inner)
        self.value = nn.Linear(width, inner)
        self.projection = nn.Linear(inner, width)

    def forward(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """(B, tokens, C) each -> (B, query tokens, C)."""
        heads = (
            split_heads(project(x), HEADS) for project, x in ((self.query, query), (self.key, key), (self.value, value))
        )
        out: Tensor = self.projection(merge_heads(attend(*heads)))
        return out


class TwoWayLayer(nn.Module):
    """Self-attention of the tokens, tokens to image, a feed-forward layer, image to tokens.

    The first layer's self-attention takes the tokens without position and replaces them instead of adding to them.
    """

    def __init__(self, width: int, feedforward: int, is_first: bool) -> None:
        super().__init__()
        self.is_first = is_first
        self.self_attention = Attention(width)
        self.self_norm = nn.LayerNorm(width)
        self.token_to_image = Attention(width, CROSS_ATTENTION_REDUCTION)
        self.token_norm = nn.LayerNorm(width)
        self.mlp = MLP((width, feedforward, width))
        self.mlp_norm = nn.LayerNorm(width)
        self.image_to_token = Attention(width, CROSS_ATTENTION_REDUCTION)
        self.image_norm = nn.LayerNorm(width)

    def forward(
        self, tokens: Tensor, image: Tensor, token_position: Tensor, image_position: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Tokens (B, N, C) and image (B, h * w, C), both updated."""
        if self.is_first:
            tokens = self.self_attention(tokens, tokens, tokens)
        else:
            placed = tokens + token_position
            tokens = tokens + self.self_attention(placed, placed, tokens)
        tokens = self.self_norm(tokens)
        placed_image = image + image_position
        tokens = tokens + self.token_to_image(tokens + token_position, placed_image, image)
        tokens = self.token_norm(tokens)
        tokens = self.mlp_norm(tokens + self.mlp(tokens))
        image = image + self.image_to_token(placed_image, tokens + token_position, tokens)
        return tokens, self.image_norm(image)


class TwoWayTransformer(nn.Module):
    """Two such layers and a last look of the tokens at the image."""

    def __init__(self, width: int, feedforward: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(TwoWayLayer(width, feedforward, index == 0) for index in range(DEPTH))
        self.final_token_to_image = Attention(width, CROSS_ATTENTION_REDUCTION)
        self.final_norm = nn.LayerNorm(width)

    def forward(self, tokens: Tensor, image: Tensor, image_position: Tensor) -> tuple[Tensor, Tensor]:
        """Tokens (B, N, C), image and its position (B or 1, C, h, w) -> tokens (B, N, C), image (B, C, h, w)."""
        height, width = image.shape[-2:]
        cells = image.flatten(2).transpose(1, 2)
        cell_position = image_position.flatten(2).transpose(1, 2)
        token_position = tokens
        for layer in self.layers:
            tokens, cells = layer(tokens, cells, token_position, cell_position)
        look = self.final_token_to_image(tokens + token_position, cells + cell_position, cells)
        return self.final_norm(tokens + look), cells.transpose(1, 2).unflatten(2, (height, width))
