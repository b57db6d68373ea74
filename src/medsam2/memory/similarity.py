"""How alike frames are: the cosine of their features, always in one feature space.

Compared are the frames' own features (C, h, w) before memory attention, all flattened alike. The released code of
MedSAM-2 compares a query flattened as (h w, C) with memories flattened as (C, h w), taken after memory attention.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from medsam2.errors import ConfigurationError, ShapeError
from medsam2.network import MemoryEntry


def similarity(image: Tensor, entries: Sequence[MemoryEntry]) -> Tensor:
    """sim(F_t, E_i), the cosine of a frame and each of the memories: (len(entries),) float32 in CPU memory, [-1, 1].

    Args:
        image: (1, C, h, w), the frame's features before any memory.
        entries: at least one, with image features.

    Raises:
        ShapeError: the features differ in shape.
        ConfigurationError: an entry holds no image features.
    """
    query, *memories = _directions([image, *(image_of(entry) for entry in entries)])
    return (torch.stack(memories) @ query).cpu()


def pairwise_similarity(entries: Sequence[MemoryEntry]) -> Tensor:
    """sim(E_i, E_j) of all pairs: (len(entries), len(entries)); see `similarity`."""
    directions = _directions([image_of(entry) for entry in entries])
    return (directions @ directions.T).cpu()


def dissimilarity(entries: Sequence[MemoryEntry]) -> Tensor:
    """D_i = sum over j != i of (1 - sim(E_i, E_j)), of each entry among the others: (len(entries),).

    MedSAM-2 (arXiv 2408.00874 v2, section 3.2).
    """
    return (1 - pairwise_similarity(entries)).fill_diagonal_(0).sum(dim=1)


def image_of(entry: MemoryEntry) -> Tensor:
    """The features of the entry's frame before any memory, (1, C, h, w).

    Raises:
        ConfigurationError: the entry does not hold them.
    """
    if entry.image is None:
        raise ConfigurationError(
            f"the memory of frame {entry.frame} holds no image features; a policy that compares frames needs them"
        )
    return entry.image


def _directions(images: Sequence[Tensor]) -> Tensor:
    """Unit vectors (n, C * h * w). Memories are chosen by them; no gradient passes."""
    shapes = {tuple(image.shape) for image in images}
    if len(shapes) > 1:
        raise ShapeError(f"frames to compare have features of shapes {sorted(shapes)}; expected (1, C, h, w) of all")
    return F.normalize(torch.stack([image.detach().float().flatten() for image in images]), dim=1)
