"""How sure a mean is: bootstrap intervals over patients."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

LEVEL = 0.95
RESAMPLES = 2000
SEED = 0


def bootstrap_interval(values: Iterable[tuple[str, float]]) -> tuple[float, float] | None:
    """The interval in which the mean lies, by drawing patients anew with replacement (percentile bootstrap).

    A patient's values are drawn together, as they are no independent evidence.

    Args:
        values: (patient, value); NaN is left out.

    Returns:
        Its ends, the same for the same values; None with fewer than two patients.
    """
    by_patient: dict[str, list[float]] = defaultdict(list)
    for patient, value in values:
        if not math.isnan(value):
            by_patient[patient].append(value)
    if len(by_patient) < 2:
        return None
    drawn = sorted(by_patient.items())  # whatever order they came in
    found = stats.bootstrap(
        (np.array([sum(of) for _, of in drawn]), np.array([len(of) for _, of in drawn], float)),
        _mean,
        paired=True,
        vectorized=True,
        n_resamples=RESAMPLES,
        confidence_level=LEVEL,
        method="percentile",
        rng=np.random.default_rng(SEED),
    )
    return float(found.confidence_interval.low), float(found.confidence_interval.high)


def _mean(sums: NDArray[Any], counts: NDArray[Any], axis: int) -> NDArray[Any]:
    """Mean of all values, from their sums and numbers by patient."""
    mean: NDArray[Any] = sums.sum(axis) / counts.sum(axis)
    return mean
