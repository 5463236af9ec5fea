from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest, false_discovery_control

from services.detector.statistics.multiplicity import benjamini_hochberg
from services.detector.statistics.proportions import standard_error, wilson


def test_the_largest_rank_that_passes_carries_the_ranks_below_it() -> None:
    p_values = np.array([0.9, 0.039, 0.001, 0.03, 0.025])

    assert benjamini_hochberg(p_values).tolist() == [False, True, True, True, True]


def test_rejections_equal_the_adjusted_p_values_of_scipy() -> None:
    p_values = np.random.default_rng(5).beta(0.3, 2, size=200)

    assert (benjamini_hochberg(p_values) == (false_discovery_control(p_values) <= 0.05)).all()


def test_nothing_passes_among_large_p_values_nor_among_none() -> None:
    assert benjamini_hochberg(np.array([0.2, 0.6])).tolist() == [False, False]
    assert benjamini_hochberg(np.array([])).tolist() == []


@pytest.mark.parametrize(("successes", "trials"), [(0, 20), (7, 50), (50, 50)])
def test_the_wilson_interval_equals_scipy(successes: int, trials: int) -> None:
    expected = binomtest(successes, trials).proportion_ci(method="wilson")

    assert wilson(successes, trials) == pytest.approx((expected.low, expected.high), abs=1e-9)


def test_without_a_trial_a_rate_may_be_anything() -> None:
    assert wilson(0, 0) == (0.0, 1.0)


def test_a_rate_of_zero_is_still_uncertain() -> None:
    assert standard_error(0, 99) == pytest.approx(np.sqrt(0.005 * 0.995 / 99))
