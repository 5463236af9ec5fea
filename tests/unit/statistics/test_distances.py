from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import jensenshannon
from scipy.stats import chi2_contingency
from scipy.stats.contingency import association

from services.detector.statistics.distances import (
    chi2_pvalue,
    chi2_stat,
    cramers_v,
    hellinger,
    js_distance_base2,
    linf,
    psi,
    psi_contributions,
    psi_debiased,
    psi_floor,
)
from services.detector.structs import IntArray

REFERENCE = np.array([5000, 5000, 4000, 3000, 2000, 900, 99, 1])
WINDOW = np.array([250, 240, 210, 150, 90, 50, 10, 0])


def table(seed: int) -> tuple[IntArray, IntArray]:
    rng = np.random.default_rng(seed)
    return rng.multinomial(1_000, rng.dirichlet(np.ones(12))), rng.multinomial(50_000, rng.dirichlet(np.ones(12)))


def undrifted(seed: int) -> tuple[IntArray, IntArray]:
    rng = np.random.default_rng(seed)
    levels = rng.dirichlet(np.full(12, 5.0))
    return rng.multinomial(1_000, levels), rng.multinomial(50_000, levels)


def test_psi_adds_half_an_event_to_every_bin_of_both_sides() -> None:
    q = (np.array([6, 2, 2]) + 0.5) / 11.5
    a = (np.array([50, 50, 0]) + 0.5) / 101.5

    assert psi(np.array([6, 2, 2]), np.array([50, 50, 0])) == pytest.approx(float(np.sum((q - a) * np.log(q / a))))


def test_psi_of_one_event_against_an_empty_bin_is_finite() -> None:
    assert psi(np.array([0, 1]), np.array([10_000, 0])) == pytest.approx(
        2 * (0.75 - 0.5 / 10_001) * np.log(0.75 / (0.5 / 10_001)) / 2
        + (0.25 - 10_000.5 / 10_001) * np.log(0.25 / (10_000.5 / 10_001))
    )


def test_contributions_are_the_terms_of_psi_and_never_negative() -> None:
    terms = psi_contributions(WINDOW, REFERENCE)

    assert terms.sum() == psi(WINDOW, REFERENCE)
    assert terms.min() >= 0


def test_the_debiased_form_subtracts_what_psi_is_on_average_without_drift() -> None:
    noise = 7 * (1 / 1_000 + 1 / 20_000)

    assert psi_debiased(WINDOW, REFERENCE) == psi(WINDOW, REFERENCE) - noise
    assert psi_debiased(WINDOW, REFERENCE, phi=3.0) == pytest.approx(psi(WINDOW, REFERENCE) - 3 * noise, abs=1e-15)


def test_the_debiased_form_is_zero_on_average_without_drift() -> None:
    rng, levels = np.random.default_rng(12), np.full(10, 0.1)
    pairs = [(rng.multinomial(1_000, levels), rng.multinomial(20_000, levels)) for _ in range(2_000)]

    assert np.mean([psi_debiased(window, reference) for window, reference in pairs]) == pytest.approx(0.0, abs=3e-4)


def test_the_floored_form_floors_at_one_in_ten_thousand_and_renormalises() -> None:
    floored = np.array([0.5, 0.5, 1e-4]) / 1.0001
    even = np.array([1, 1, 1]) / 3

    expected = float(np.sum((floored - even) * np.log(floored / even)))
    assert psi_floor(np.array([5, 5, 0]), np.array([3, 3, 3])) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_jensen_shannon_equals_scipy_in_base_two(seed: int) -> None:
    window, reference = table(seed)

    assert js_distance_base2(window, reference) == pytest.approx(
        float(jensenshannon(window, reference, base=2)), abs=1e-9
    )


def test_jensen_shannon_of_a_known_pair_and_of_disjoint_sides() -> None:
    assert js_distance_base2(np.array([2, 2, 0]), np.array([1, 1, 2])) == pytest.approx(0.5579, abs=5e-5)
    assert js_distance_base2(np.array([4, 0]), np.array([0, 9])) == 1.0


@pytest.mark.parametrize("seed", range(5))
def test_chi_squared_equals_scipy_on_the_two_row_table(seed: int) -> None:
    window, reference = table(seed)

    expected = chi2_contingency(np.stack([window, reference]), correction=False).statistic
    assert chi2_stat(window, reference) == pytest.approx(expected, abs=1e-9)


def test_chi_squared_leaves_out_columns_that_are_empty_on_both_sides() -> None:
    assert chi2_stat(np.array([10, 0, 20]), np.array([30, 0, 30])) == pytest.approx(
        chi2_contingency([[10, 20], [30, 30]], correction=False).statistic, abs=1e-12
    )


@pytest.mark.parametrize("seed", range(5))
def test_the_chance_of_chi_squared_equals_scipy_on_the_two_row_table(seed: int) -> None:
    drifted, (window, reference) = table(seed), undrifted(seed)

    for pair in (drifted, (window, reference)):
        expected = chi2_contingency(np.stack(pair), correction=False).pvalue
        assert chi2_pvalue(*pair) == pytest.approx(expected, rel=1e-9, abs=1e-300)
    assert chi2_pvalue(window, reference) > 1e-4


def test_bins_that_are_empty_on_both_sides_are_no_degrees_of_freedom() -> None:
    assert chi2_pvalue(np.array([10, 0, 20]), np.array([30, 0, 30])) == pytest.approx(
        chi2_contingency([[10, 20], [30, 30]], correction=False).pvalue, abs=1e-12
    )
    assert chi2_pvalue(np.array([10, 0]), np.array([30, 0])) == 1.0


@pytest.mark.parametrize("seed", range(5))
def test_cramers_v_is_scipys_with_the_correction_of_bergsma(seed: int) -> None:
    for window, reference in (table(seed), undrifted(seed)):
        bins, last = window.size, window.sum() + reference.sum() - 1
        plain = association(np.stack([window, reference]), method="cramer")  # its square is chi2/n over min(r, k) - 1
        corrected = max(0.0, plain**2 - (bins - 1) / last)
        widths = (2 - 1 / last, bins - (bins - 1) ** 2 / last)

        assert cramers_v(window, reference) == pytest.approx(np.sqrt(corrected / (min(widths) - 1)), abs=1e-9)


def test_cramers_v_is_near_zero_without_drift_one_for_disjoint_sides_and_never_undefined() -> None:
    assert np.mean([cramers_v(*undrifted(seed)) ** 2 for seed in range(200)]) < 2e-4
    assert cramers_v(np.array([500, 0]), np.array([0, 500])) == pytest.approx(1.0, abs=1e-12)
    assert cramers_v(np.array([1, 0]), np.array([0, 1])) == 0.0
    assert cramers_v(np.array([7, 0]), np.array([9, 0])) == 0.0
    assert cramers_v(1 - np.eye(40)[0], np.eye(40)[0]) == 0.0


def test_the_largest_difference_of_shares_and_hellinger_of_a_known_pair() -> None:
    assert linf(np.array([5, 3, 2]), np.array([2, 4, 4])) == pytest.approx(0.3)
    assert hellinger(np.array([1, 0]), np.array([0, 1])) == 1.0
    assert hellinger(np.array([1, 1]), np.array([1, 0])) == pytest.approx(np.sqrt(1 - np.sqrt(0.5)))


@pytest.mark.parametrize("distance", [psi_debiased, chi2_pvalue, cramers_v])
def test_a_side_without_events_is_refused(distance: object) -> None:
    assert callable(distance)
    for pair in ((np.zeros(8), REFERENCE), (WINDOW, np.zeros(8))):
        with pytest.raises(ValueError, match="no events"):
            distance(*pair)


@pytest.mark.parametrize("distance", [psi, psi_floor, js_distance_base2, chi2_stat, linf, hellinger])
def test_equal_sides_are_at_no_distance_and_an_empty_side_is_refused(distance: object) -> None:
    assert callable(distance)
    assert distance(REFERENCE, REFERENCE) == pytest.approx(0.0, abs=1e-12)
    with pytest.raises(ValueError, match="no events"):
        distance(np.zeros(8), REFERENCE)
