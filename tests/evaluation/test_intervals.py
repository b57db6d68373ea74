import math

import numpy as np
import pytest

from medsam2.evaluation.intervals import bootstrap_interval


def draws(patients, each, seed=0, spread=1.0):
    """Values of several structures of each patient, who differ among themselves by `spread`."""
    generator = np.random.default_rng(seed)
    own = generator.normal(0, spread, patients)
    return [(f"p{p}", float(own[p] + generator.normal(0, 0.01))) for p in range(patients) for _ in range(each)]


def test_the_interval_is_about_that_of_the_normal_distribution():
    values = draws(200, 1)
    low, high = bootstrap_interval(values)
    numbers = [value for _, value in values]
    error = 1.96 * np.std(numbers, ddof=1) / math.sqrt(200)
    assert (low + high) / 2 == pytest.approx(np.mean(numbers), abs=0.02)
    assert (high - low) / 2 == pytest.approx(error, rel=0.1)


def test_structures_of_one_patient_are_no_independent_evidence():
    """Ten structures a patient make the mean no surer where all of a patient's are alike."""
    one, ten = bootstrap_interval(draws(30, 1)), bootstrap_interval(draws(30, 10))
    assert ten[1] - ten[0] == pytest.approx(one[1] - one[0], rel=0.2)
    as_if_alone = bootstrap_interval((f"{p}-{n}", value) for n, (p, value) in enumerate(draws(30, 10)))
    assert as_if_alone[1] - as_if_alone[0] < 0.5 * (ten[1] - ten[0])


def test_it_is_the_same_every_time_and_in_any_order():
    values = draws(12, 2)
    assert bootstrap_interval(values) == bootstrap_interval(reversed(values))


def test_equal_values_leave_no_doubt():
    assert bootstrap_interval([("a", 0.5), ("b", 0.5), ("b", math.nan)]) == (0.5, 0.5)


@pytest.mark.parametrize("values", [[], [("a", 0.5), ("a", 0.7)], [("a", 0.5), ("b", math.nan)]])
def test_one_patient_has_no_interval(values):
    assert bootstrap_interval(values) is None
