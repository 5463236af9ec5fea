from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import ks_2samp, kstwobign, wasserstein_distance

from services.detector.grid import Grid
from services.detector.statistics.grid_distances import ks_pvalue, ks_stat, wasserstein_norm
from services.detector.structs import FloatArray

RNG = np.random.default_rng(11)
NORMAL = RNG.normal(100, 15, 20_000)
LOAN_TERMS = RNG.choice([6.0, 12.0, 24.0, 36.0, 48.0], 20_000, p=[0.1, 0.3, 0.3, 0.2, 0.1])
ZERO_INFLATED = np.where(RNG.random(20_000) < 0.4, 0.0, RNG.lognormal(8, 2, 20_000))
THOUSAND_VALUES = np.sort(RNG.lognormal(3, 1, 1_024))


def distances(reference: FloatArray, window: FloatArray) -> tuple[float, float]:
    grid = Grid.of(reference)
    w, r = grid.counts(window), grid.counts(reference)
    sd, median = float(reference.std()), float(np.median(reference))
    return ks_stat(w, r), wasserstein_norm(w, r, grid.edges, sd=sd, median=median)


@pytest.mark.parametrize("shift", [0.0, 0.1, 0.5, 3.0])
def test_on_a_continuous_column_ks_is_within_one_512th_and_wasserstein_within_one_percent(shift: float) -> None:
    window = np.random.default_rng(3).normal(100 + 15 * shift, 15, 5_000)

    ks, wasserstein = distances(NORMAL, window)

    assert ks == pytest.approx(ks_2samp(NORMAL, window).statistic, abs=1 / 512)
    assert wasserstein == pytest.approx(wasserstein_distance(NORMAL, window) / NORMAL.std(), rel=0.01, abs=1e-3)


def test_on_a_column_of_few_values_both_are_exact() -> None:
    window = np.random.default_rng(3).choice([6.0, 12.0, 24.0, 36.0, 48.0], 1_000, p=[0.2, 0.2, 0.2, 0.2, 0.2])

    ks, wasserstein = distances(LOAN_TERMS, window)

    assert ks == pytest.approx(ks_2samp(LOAN_TERMS, window).statistic, abs=1e-12)
    assert wasserstein == pytest.approx(wasserstein_distance(LOAN_TERMS, window) / LOAN_TERMS.std(), abs=1e-9)


def some_of_a_thousand(seed: int) -> tuple[FloatArray, FloatArray]:
    """Return a reference of 1,024 values and a window that prefers the large ones, the more so the higher the seed."""
    rng = np.random.default_rng(seed)
    odds = np.linspace(1.0, 1.0 + seed / 10, THOUSAND_VALUES.size)
    reference = np.concatenate([THOUSAND_VALUES, rng.choice(THOUSAND_VALUES, 9_000)])
    return reference, rng.choice(THOUSAND_VALUES, 200 + 300 * seed, p=odds / odds.sum())


@pytest.mark.parametrize("seed", range(6))
def test_up_to_a_thousand_values_have_scipys_ks_chance_and_wasserstein_to_nine_digits(seed: int) -> None:
    reference, window = some_of_a_thousand(seed)
    grid = Grid.of(reference)

    chance = ks_pvalue(grid.counts(window), grid.counts(reference))

    exact = ks_2samp(window, reference, method="asymp")
    effective = window.size * reference.size / (window.size + reference.size)
    assert chance == pytest.approx(kstwobign.sf(exact.statistic * np.sqrt(effective)), rel=1e-9)
    assert chance == pytest.approx(exact.pvalue, rel=0.1, abs=0.01)
    assert distances(reference, window)[1] == pytest.approx(
        wasserstein_distance(reference, window) / reference.std(), abs=1e-9
    )


@pytest.mark.parametrize("shift", [0.0, 0.02, 0.05, 0.1])
def test_on_a_continuous_column_the_ks_chance_errs_upwards_and_by_no_more_than_a_512th_explains(shift: float) -> None:
    window = np.random.default_rng(3).normal(100 + 15 * shift, 15, 5_000)
    grid = Grid.of(NORMAL)
    w, r = grid.counts(window), grid.counts(NORMAL)

    exact = ks_2samp(window, NORMAL, method="asymp").pvalue
    one_cell_more = kstwobign.sf((ks_stat(w, r) + 1 / 512 + 1 / NORMAL.size) * np.sqrt(4_000))

    assert one_cell_more <= exact <= ks_pvalue(w, r)


def test_the_ks_chance_of_few_events_is_defined() -> None:
    grid = Grid.of(LOAN_TERMS)
    reference = grid.counts(LOAN_TERMS)

    assert ks_pvalue(reference, reference) == 1.0
    assert ks_pvalue(np.array([1, 0]), np.array([0, 1])) == pytest.approx(kstwobign.sf(np.sqrt(0.5)), rel=1e-9)
    with pytest.raises(ValueError, match="no events"):
        ks_pvalue(np.zeros(grid.cells), reference)


def test_values_between_those_of_the_reference_do_not_hide_from_ks() -> None:
    window = LOAN_TERMS[:1_000] - 0.5

    ks, _ = distances(LOAN_TERMS, window)

    assert ks == pytest.approx(ks_2samp(LOAN_TERMS, window).statistic, abs=1e-12)


def test_a_heavy_value_among_many_has_a_cell_of_its_own() -> None:
    window = np.where(ZERO_INFLATED[:4_000] == 0, -1e-3, ZERO_INFLATED[:4_000])

    ks, _ = distances(ZERO_INFLATED, window)

    assert ks == pytest.approx(ks_2samp(ZERO_INFLATED, window).statistic, abs=1 / 512)
    assert ks > 0.39


def test_a_change_of_unit_shows_in_full() -> None:
    window = NORMAL[:1_000] * 1_000

    ks, wasserstein = distances(NORMAL, window)

    assert ks == 1.0
    assert wasserstein > 1_000


def test_a_constant_column_is_measured_on_the_scale_of_its_value() -> None:
    ks, wasserstein = distances(np.full(100, 5.0), np.full(50, 5.0))

    assert (ks, wasserstein) == (0.0, 0.0)
    assert np.isfinite(distances(np.full(100, 5.0), np.full(50, 6.0))[1])
