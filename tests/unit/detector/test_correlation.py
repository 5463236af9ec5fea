from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import norm

from services.detector.statistics.correlation import (
    Correlation,
    CorrelationDrift,
    coefficient,
    pearson_delta,
    spearman_delta,
)
from services.detector.structs import FloatArray

REFERENCE = Correlation(0.3, 20_000)


def correlated(rho: float, rows: int, seed: int) -> tuple[FloatArray, FloatArray]:
    x, noise = np.random.default_rng(seed).normal(size=(2, rows))
    return x, rho * x + math.sqrt(1 - rho * rho) * noise


def correlation_of(x: FloatArray, y: FloatArray) -> Correlation:
    return Correlation(float(np.corrcoef(x, y)[0, 1]), len(x))


def drift(found: CorrelationDrift | None) -> CorrelationDrift:
    assert found is not None
    return found


@pytest.mark.parametrize("sums", [(0.0, 1.0, 0.0), (math.inf, 1.0, 1.0), (math.nan, 1.0, 1.0), (1.0, 1.0, math.nan)])
def test_sums_that_say_nothing_have_no_coefficient(sums: tuple[float, float, float]) -> None:
    assert coefficient(*sums) is None


def test_a_coefficient_stays_inside_its_range() -> None:
    assert coefficient(1.0, 1.0, 1.0 + 1e-12) == 1.0
    assert coefficient(1.0, 1.0, -1.0 - 1e-12) == -1.0


def test_the_difference_is_judged_by_fishers_z() -> None:
    error = math.sqrt(1 / 997 + 1 / 19_997)
    z = (math.atanh(0.4) - math.atanh(0.3)) / error

    found = drift(pearson_delta(Correlation(0.4, 1_000), REFERENCE))

    assert found.delta == pytest.approx(0.1)
    assert found.z == pytest.approx(z, rel=1e-12)
    assert found.noise_floor == pytest.approx(0.91 * error)
    assert found.p_value == float(f"{2 * norm.sf(z):.6g}")


def test_overdispersion_and_ranks_widen_the_error() -> None:
    window = Correlation(0.4, 1_000)
    z = drift(pearson_delta(window, REFERENCE)).z

    assert drift(pearson_delta(window, REFERENCE, phi=4.0)).z == pytest.approx(z / 2)
    assert drift(spearman_delta(window, REFERENCE)).z == pytest.approx(z / math.sqrt(1.06))


@pytest.mark.parametrize(
    ("window", "reference"),
    [
        (Correlation(None, 1_000), REFERENCE),
        (Correlation(0.5, 1_000), Correlation(None, 20_000)),
        (Correlation(1.0, 3), REFERENCE),
        (Correlation(0.5, 1_000), Correlation(1.0, 3)),
    ],
    ids=["constant window", "constant reference", "three rows", "reference of three rows"],
)
def test_where_a_side_says_nothing_there_is_no_difference(window: Correlation, reference: Correlation) -> None:
    assert pearson_delta(window, reference) is None
    assert spearman_delta(window, reference) is None


def test_straight_lines_have_a_finite_z() -> None:
    line, fall = Correlation(1.0, 1_000), Correlation(-1.0, 20_000)

    assert drift(pearson_delta(line, line)) == CorrelationDrift(0.0, 0.0, 0.0, 1.0)
    assert drift(pearson_delta(line, fall)).p_value == 0.0
    assert math.isfinite(drift(pearson_delta(line, fall)).z)


@pytest.mark.parametrize("rho", [0.0, 0.3, 0.6])
def test_without_a_change_z_is_standard_normal(rho: float) -> None:
    reference = Correlation(rho, 10**9)
    ranks = Correlation(6 / math.pi * math.asin(rho / 2), 10**9)  # of the normal copula
    windows = [correlated(rho, 300, seed) for seed in range(1_500)]

    pearson = [drift(pearson_delta(correlation_of(x, y), reference)).z for x, y in windows]
    spearman = [drift(spearman_delta(correlation_of(norm.cdf(x), norm.cdf(y)), ranks)).z for x, y in windows]

    for found in (pearson, spearman):
        assert np.mean(found) == pytest.approx(0.0, abs=0.1)
        assert np.std(found) == pytest.approx(1.0, abs=0.06)
