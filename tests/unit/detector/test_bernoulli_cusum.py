from __future__ import annotations

import math

import numpy as np
import pytest

from services.detector.banks.bernoulli_cusum import BernoulliCusumBank
from services.detector.structs import FloatArray

NEVER = np.array([1e9])


def flags(*parts: tuple[int, float], seed: int = 40) -> FloatArray:
    """Return [rows, 1] flags: each part is rows and a rate."""
    source = np.random.default_rng(seed)
    return np.concatenate([source.random(rows) < rate for rows, rate in parts]).astype(np.float64).reshape(-1, 1)


def test_the_statistic_is_the_largest_of_its_own_sums() -> None:
    values = flags((400, 0.1), (400, 0.3))
    bank = BernoulliCusumBank.for_increase(np.array([0.1]), NEVER)
    bank.update(values)
    expected = []
    for odds in (1.25, 1.6, 2.5):
        p1 = odds * 0.1 / (0.9 + odds * 0.1)
        total = 0.0
        for value in values[:, 0].tolist():
            total = max(0.0, total + (math.log(p1 / 0.1) if value else math.log((1 - p1) / 0.9)))
        expected.append(total)
    statistic = bank.snapshot()["statistic"]
    assert isinstance(statistic, np.ndarray)
    assert statistic.tolist() == [pytest.approx(expected, abs=1e-9)]


def test_more_errors_are_found_with_their_onset_and_rate() -> None:
    found = BernoulliCusumBank.for_increase(np.array([0.06]), np.array([12.0])).update(
        flags((20_000, 0.06), (900, 0.2))
    )
    assert len(found) >= 1
    assert 20_000 < found.row[0] < 20_300
    assert found.row[0] - found.events[0] + 1 == pytest.approx(20_000, abs=60)
    assert found.mean[0] == pytest.approx(0.2, abs=0.06)
    assert found.statistic[0] >= 12.0
    assert set(found.direction.tolist()) == {1}


def test_fewer_errors_are_no_increase() -> None:
    assert len(BernoulliCusumBank.for_increase(np.array([0.3]), np.array([8.0])).update(flags((20_000, 0.2)))) == 0


def test_false_alarms_stay_within_the_bound_of_the_likelihood_ratio() -> None:
    values = np.concatenate([flags((50_000, 0.1), seed=seed) for seed in range(20)], axis=1)
    threshold = math.log(10_000) + math.log(3)
    found = BernoulliCusumBank.for_increase(np.full(20, 0.1), np.full(20, threshold)).update(values)
    assert len(found) <= 1_000_000 / 10_000


def test_recovery_is_found_when_the_old_rate_is_back() -> None:
    bank = BernoulliCusumBank.for_recovery(np.array([0.2]), np.array([0.06]), np.array([math.log(1_000)]))
    found = bank.update(flags((5_000, 0.2), (500, 0.06)))
    assert 5_000 < found.row[0] < 5_200
    assert set(found.direction.tolist()) == {-1}
    assert found.mean[0] < 0.12


def test_a_detection_starts_the_series_again() -> None:
    llr = math.log(2.0)
    bank = BernoulliCusumBank(np.array([[llr]]), np.array([[-llr]]), np.array([3 * llr]))
    found = bank.update(np.array([[1.0], [0.0], [1.0], [1.0], [1.0], [1.0], [1.0], [1.0]]))
    assert found.row.tolist() == [4, 7]
    assert found.events.tolist() == [3, 3]
    assert found.mean.tolist() == [1.0, 1.0]


def test_each_row_is_judged_by_the_null_of_its_stratum() -> None:
    # Young labels are errors half of the time, old ones hardly ever: only the mix of ages changes.
    p0 = np.array([[0.5], [0.02]])
    source = np.random.default_rng(41)
    strata = np.concatenate([source.random(5_000) < 0.8, source.random(5_000) < 0.3]).astype(np.int64)
    values = (source.random(10_000) < p0[strata, 0]).astype(np.float64).reshape(-1, 1)
    assert len(BernoulliCusumBank.for_increase(p0, np.array([9.0])).update(values, strata)) == 0
    assert len(BernoulliCusumBank.for_increase(np.array([0.12]), np.array([9.0])).update(values)) > 0


def test_a_stratum_that_is_not_there_is_refused() -> None:
    bank = BernoulliCusumBank.for_increase(np.array([0.1]), np.array([9.0]))
    with pytest.raises(ValueError, match="strata"):
        bank.update(np.zeros((1, 1)), np.array([1]))


@pytest.mark.parametrize("rate", [0.0, 1.0, math.nan])
def test_a_rate_without_a_likelihood_is_refused(rate: float) -> None:
    with pytest.raises(ValueError, match="strictly between"):
        BernoulliCusumBank.for_increase(np.array([rate]), np.array([9.0]))


def test_constants_of_different_series_are_refused() -> None:
    with pytest.raises(ValueError, match="different series"):
        BernoulliCusumBank(np.zeros((2, 1)), np.zeros((1, 1)), np.zeros(2))
