"""Which of the kept memories a frame attends to, and how often (MedSAM-2, arXiv 2408.00874 v2, section 3.2)."""

from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from medsam2.memory.options import Weights

SMALLEST_WEIGHT = 1e-6
"""Weights are at least this much: p_i stays defined where no memory is similar at all."""


def probabilities(similarity: Tensor, weights: Weights) -> Tensor:
    """p_i of each memory, from its cosine to the query.

    The paper's p_i = sim(F_t, E_i) / sum_j sim(F_t, E_j) is undefined for negative cosines. "clamp" raises them to
    almost 0: what is opposite is not attended to. "shift" takes (1 + sim) / 2 for sim. "softmax" is the released code's
    p_i = exp(sim(F_t, E_i)) / sum_j exp(sim(F_t, E_j)).

    Args:
        similarity: (n,), [-1, 1].
        weights: see above.
    """
    cosine = similarity.double()
    if weights == "softmax":
        return cosine.softmax(dim=0)
    weight = (cosine if weights == "clamp" else (1 + cosine) / 2).clamp_min(SMALLEST_WEIGHT)
    return weight / weight.sum()


def expected_counts(p: Tensor, draws: int) -> Tensor:
    """How often each memory is drawn on average, in whole numbers: (n,) int64, in all `draws`.

    The expectations draws * p_i are rounded down, and what is missing goes to the largest remainders. If all
    expectations are below one, these are the top memories, once each.
    """
    expected = draws * p
    counts = expected.long()
    by_remainder = (expected - counts).argsort(descending=True, stable=True)
    counts[by_remainder[: draws - int(counts.sum())]] += 1
    return counts


@dataclass(frozen=True)
class Resampling:
    """Step 3 of the self-sorting bank, and the "weighted pick-up" of the paper's first version.

    Attributes:
        resample: False: each memory once, whatever the query.
        weights: how cosines become probabilities.
        draws: memories drawn; None: as many as there are, which is the paper's K once the bank is full.
    """

    resample: bool = True
    weights: Weights = "clamp"
    draws: int | None = None

    def counts(self, similarity: Tensor, generator: Generator | None) -> list[int]:
        """How often each memory is attended to.

        Args:
            similarity: (n,) of the memories to the query.
            generator: draws independently, with replacement; None is the deterministic form, `expected_counts`.
        """
        if not self.resample:
            return [1] * len(similarity)
        p, draws = probabilities(similarity, self.weights), self.draws or len(similarity)
        if generator is None:
            return [int(count) for count in expected_counts(p, draws)]
        drawn = torch.multinomial(p.to(generator.device), draws, replacement=True, generator=generator)
        return [int(count) for count in drawn.bincount(minlength=len(p))]
